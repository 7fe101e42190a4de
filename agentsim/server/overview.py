"""What administrators see: agents, who was granted what, by whom and how it is used, trees, and the audit trail.

Reads alone, each in a transaction of its own beside the writer's; pages go by id.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Select, func, select

from agentsim.server.admission import is_text
from agentsim.server.batch import Row
from agentsim.server.clock import Clock, SystemClock
from agentsim.server.credentials import parse_client_name, principal_of
from agentsim.server.errors import InvalidRequest
from agentsim.server.lineage import unpack
from agentsim.server.marks import MarkIndex
from agentsim.server.parties import Person
from agentsim.server.schema import Agent, AuditRow, GrantStateRow, IssuedToken
from agentsim.server.store import Store, rows_of, table
from agentsim.server.views import View, agent_view, audit_view, grant_view

#: Rows on a page: at most, and where nothing is said.
MOST_ROWS = 1_000
ROWS = 100

_AGENTS, _TOKENS = table(Agent), table(IssuedToken)
_AUDIT, _STATES = table(AuditRow), table(GrantStateRow)
_GRANTS = (
    select(_TOKENS, _AGENTS.c.agent_name, _AGENTS.c.owner.label("agent_owner"), _STATES.c.state)
    .select_from(
        _TOKENS.join(_AGENTS, _AGENTS.c.client_id == _TOKENS.c.client_id).outerjoin(
            _STATES, _STATES.c.grant_id == _TOKENS.c.grant_id
        )
    )
    .where(_TOKENS.c.token_id == _TOKENS.c.grant_id)
)


class Overview:
    """Looks into one database.

    Parameters
    ----------
    store : the database; it is read, never written.
    clock : tells what has expired.
    """

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._marks = MarkIndex()
        self._marks_read = 0
        self._lock = Lock()

    def agents(
        self, *, owner: str | None = None, status: str | None = None, after: int = 0, limit: int = ROWS
    ) -> View:
        """Registered agents, oldest first; ``status`` is ``pending``, ``active`` or ``disabled``."""
        query = select(_AGENTS).where(_AGENTS.c.client_id > after).order_by(_AGENTS.c.client_id)
        if owner is not None:
            query = query.where(_AGENTS.c.owner == _kept_text("owner", owner))
        if status is not None:
            query = query.where(*_status_is(status))
        with self._store.reading() as connection:
            rows = rows_of(connection, query.limit(_bounded(limit)))
        return _page("agents", [agent_view(row) for row in rows], rows, "client_id", limit)

    def grants(
        self,
        *,
        client_id: str | None = None,
        owner: str | None = None,
        principal: str | None = None,
        task_id: str | None = None,
        before: int | None = None,
        limit: int = ROWS,
    ) -> View:
        """Grants, newest first: to whom, by whom, for what, and how they are used."""
        query = _GRANTS.order_by(_TOKENS.c.token_id.desc())
        if before is not None:
            query = query.where(_TOKENS.c.token_id < before)
        if client_id is not None:
            query = query.where(_TOKENS.c.client_id == _number_of(client_id))
        for column, value in (("owner", owner), ("principal", principal), ("task_id", task_id)):
            if value is not None:
                query = query.where(_TOKENS.c[column] == _kept_text(column, value))
        return self._grant_page(query, limit)

    def consents(self, person: Person, *, before: int | None = None, limit: int = ROWS) -> View:
        """The living root grants that a person has consented to, newest first, with how many hang ``below`` each."""
        principal = principal_of(person.account)
        query = _GRANTS.order_by(_TOKENS.c.token_id.desc()).where(
            _TOKENS.c.token_id == _TOKENS.c.root_grant_id,
            _TOKENS.c.principal == principal,
            _TOKENS.c.owner == person.owner,
            _TOKENS.c.grant_expires_at > self._clock.now(),
        )
        if before is not None:
            query = query.where(_TOKENS.c.token_id < before)
        found = self._grant_page(query, limit)
        living = [grant for grant in found["grants"] if grant["status"] == "active"]
        roots = [int(grant["grant_id"]) for grant in living]
        below = (
            select(_TOKENS.c.root_grant_id, func.count())
            .where(_TOKENS.c.root_grant_id.in_(roots), _TOKENS.c.token_id == _TOKENS.c.grant_id)
            .group_by(_TOKENS.c.root_grant_id)
        )
        with self._store.reading() as connection:
            counts = {str(row[0]): row[1] - 1 for row in connection.execute(below)}
        return {**found, "grants": [{**grant, "below": counts[grant["grant_id"]]} for grant in living]}

    def tree(self, grant_id: int, *, after: int = 0, limit: int = MOST_ROWS) -> View:
        """The whole tree that a grant stands in, parents before children."""
        with self._store.reading() as connection:
            root = connection.execute(
                select(_TOKENS.c.root_grant_id).where(_TOKENS.c.token_id == grant_id)
            ).scalar()
        query = (
            _GRANTS.where(_TOKENS.c.root_grant_id == root, _TOKENS.c.token_id > after)
            if root is not None
            else _GRANTS.where(_TOKENS.c.token_id == grant_id)
        )
        return self._grant_page(query.order_by(_TOKENS.c.token_id), limit)

    def audit(
        self,
        *,
        client_id: str | None = None,
        grant_id: int | None = None,
        event_type: str | None = None,
        status: str | None = None,
        before: int | None = None,
        limit: int = ROWS,
    ) -> View:
        """The audit trail, newest first."""
        query = select(_AUDIT).order_by(_AUDIT.c.log_id.desc())
        if before is not None:
            query = query.where(_AUDIT.c.log_id < before)
        if client_id is not None:
            query = query.where(_AUDIT.c.client_id == _number_of(client_id))
        if grant_id is not None:
            query = query.where(_AUDIT.c.grant_id == grant_id)
        for column, value in (("event_type", event_type), ("status", status)):
            if value is not None:
                query = query.where(_AUDIT.c[column] == _kept_text(column, value))
        with self._store.reading() as connection:
            rows = rows_of(connection, query.limit(_bounded(limit)))
        return _page("audit", [audit_view(row) for row in rows], rows, "log_id", limit)

    def _grant_page(self, query: Select[Any], limit: int) -> View:
        now = self._clock.now()
        with self._lock, self._store.reading() as connection:
            self._read_marks(connection)
            rows = rows_of(connection, query.limit(_bounded(limit)))
            views = [grant_view(row, self._ended_by(row), now) for row in rows]
        return _page("grants", views, rows, "token_id", limit)

    def _read_marks(self, connection: Connection) -> None:
        marks, self._marks_read = self._store.marks_after(connection, self._marks_read)
        for mark in marks:
            self._marks.add(mark)

    def _ended_by(self, row: Row) -> int | None:
        return self._marks.ended_by(unpack(row["lineage"]), row["owner"], row["principal"])


def _status_is(status: str) -> tuple[Any, ...]:
    conditions = {
        "active": (_AGENTS.c.is_active,),
        "pending": (~_AGENTS.c.is_active, _AGENTS.c.disabled_at.is_(None)),
        "disabled": (~_AGENTS.c.is_active, _AGENTS.c.disabled_at.is_not(None)),
    }
    if status not in conditions:
        raise InvalidRequest("invalid_request", "unknown status", asked=status[:80], allowed=list(conditions))
    return conditions[status]


def _kept_text(name: str, value: str) -> str:
    """A text that a database could hold: what none can, a database might choke on."""
    if not is_text(value):
        raise InvalidRequest("invalid_request", f"{name} must be a text")
    return value


def _number_of(client_id: str) -> int:
    number = parse_client_name(client_id)
    if number is None:
        raise InvalidRequest("invalid_request", "client_id is not an agent's", asked=client_id[:80])
    return number


def _bounded(limit: int) -> int:
    if not 1 <= limit <= MOST_ROWS:
        raise InvalidRequest("invalid_request", f"limit must be from 1 to {MOST_ROWS}", asked=limit)
    return limit


def _page(name: str, views: list[View], rows: list[Row], key: str, limit: int) -> View:
    """Views and, where there may be more, the id to go on from."""
    return {name: views, "next": str(rows[-1][key]) if len(rows) == limit else None}


def parse_id(text: str, name: str) -> int:
    """An id out of a query or a command line.

    Raises
    ------
    InvalidRequest
        If it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) < 1 << 63):
        raise InvalidRequest("invalid_request", f"{name} must be a whole number", asked=text[:80])
    return int(text)


def as_ids(query: Mapping[str, str], names: tuple[str, ...]) -> dict[str, int]:
    """The ids among a query's parameters."""
    return {name: parse_id(query[name], name) for name in names if name in query}
