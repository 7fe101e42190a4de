"""Views: how rows of the tables read to administrators. Ids are text, times ISO 8601 in UTC, and nothing is secret."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from agentsim.server.batch import Row
from agentsim.server.credentials import client_name
from agentsim.server.history import GrantState
from agentsim.server.lineage import unpack
from agentsim.server.metadata import profile_of

#: What one row, or one page of rows, reads like.
View = dict[str, Any]


def grant_view(row: Row, ended: int | None, now: int) -> View:
    """A grant: its first token's row with its agent's name and owner, and its state.

    Parameters
    ----------
    ended : the revocation that ended it, if one did.
    now : microseconds; tells what has expired.
    """
    state = GrantState() if row["state"] is None else GrantState.from_json(row["state"])
    return {
        "grant_id": str(row["grant_id"]),
        "parent_grant_id": _text(row["parent_grant_id"]),
        "root_grant_id": str(row["root_grant_id"]),
        "depth": row["depth"],
        "client_id": client_name(row["client_id"]),
        "agent_name": row["agent_name"],
        "owner": row["owner"],
        "agent_owner": row["agent_owner"],
        "granted_by": client_name(unpack(row["lineage"])[-2][1]) if row["depth"] else row["principal"],
        "principal": row["principal"],
        "task_id": row["task_id"],
        "task_description": row["task_description"],
        "scope": row["scope"],
        "level": row["max_scope_level"],
        "audience": row["audience"].split(),
        "budget": row["budget"],
        "status": _status(row, ended, now, held=bool(state.held_at)),
        "revocation_id": _text(ended),
        "issued_at": _moment(row["issued_at"]),
        "grant_expires_at": _moment(row["grant_expires_at"]),
        "usage": _usage(state.patterns()),
    }


def _status(row: Row, ended: int | None, now: int, *, held: bool) -> str:
    if ended is not None:
        return "revoked"
    if now >= row["grant_expires_at"]:
        return "expired"
    return "held" if held else "active"


def agent_view(row: Row) -> View:
    """What is registered of an agent, without its keys."""
    profile = asdict(profile_of(row))
    del profile["jwks"]
    return profile | {name: _moment(row[name]) for name in ("created_at", "updated_at")}


def audit_view(row: Row) -> View:
    """A decision."""
    ids = ("log_id", "token_id", "grant_id", "parent_grant_id", "root_grant_id")
    return {
        **{name: _text(row[name]) for name in ids},
        "chain": row["chain"],
        "client_id": None if row["client_id"] is None else client_name(row["client_id"]),
        "task_id": row["task_id"],
        "parent_task_id": row["parent_task_id"],
        "event_type": row["event_type"],
        "timestamp": _moment(row["timestamp"]),
        "status": row["status"],
        "reason": row["reason"],
        "source_ip": row["source_ip"],
        "details": orjson.loads(row["details"]),
    }


def _usage(usage: View) -> View:
    """How a grant is used: its state's counts, and when something was asked about it first and last."""
    for name in ("first_at", "last_at"):
        usage[name] = _moment(usage[name]) if usage.get(name) else None
    return usage


def _text(value: int | None) -> str | None:
    """Ids as text: JSON's numbers are exact to 53 bits only."""
    return None if value is None else str(value)


def _moment(microseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
