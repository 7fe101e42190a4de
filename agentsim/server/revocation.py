"""Revocation: a mark ends a grant, a task, an agent's or a principal's grants, and all that hangs below, at once.

The rows below are filled in afterwards (:mod:`agentsim.server.closure`); no decision waits for them.
"""

from agentsim.server.answers import Revocation
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row, about_first_issue, about_grant, told_grounds
from agentsim.server.checks import authenticate, check_text
from agentsim.server.credentials import (
    client_name,
    digest,
    matches,
    parse_client_name,
    parse_keyed_token,
    writable_name,
)
from agentsim.server.errors import AccessDenied, InvalidRequest, InvalidToken
from agentsim.server.lineage import Lineage, principal_key, task_key, unpack
from agentsim.server.operations.ends import Revoke
from agentsim.server.parties import Admin, Credentials

#: The most tasks that one request may end by name.
MOST_TASKS = 1_000


def revoke(batch: Batch, request: Revoke, entry: Entry) -> Revocation:
    """Mark what is to end. A token that is not ours is no error (RFC 7009 section 2.2): nothing is revoked."""
    entry.reason = request.reason[:80]
    by = request.by.owner if isinstance(request.by, Admin) else request.by.client_id
    entry.details = {"by": by[:80] if isinstance(request.by, Admin) else writable_name(by)}
    if request.grounds is not None:
        entry.details["risk"] = told_grounds(request.grounds)
    _check_form(request)
    caller = None if isinstance(request.by, Admin) else authenticate(batch, request.by, entry)
    # Other agents may work on a task of the same name: ending it is not one agent's to decide.
    if caller is not None and (request.token is None or request.affected_task_chain):
        raise AccessDenied("not_entitled", "an agent may revoke by token only, and end no tasks by name")
    owner = _named_owner(request)
    if request.token is not None or request.grant_id is not None:
        found = _named_grant(batch, request, entry)
        if found is None:
            entry.status, entry.reason = "refused", "token_malformed"
            return Revocation(
                log_id=0,
                revocation_id=None,
                revoked=False,
                affected_tasks_terminated=False,
                closure="closed",
            )
        lineage, grant_owner, task_id = found
        _check_entitled(request.by, caller, lineage, grant_owner)
        owner = grant_owner
        kind, key, subject = (
            ("grant" if request.cascade else "grant_only"),
            lineage[-1][0],
            str(lineage[-1][0]),
        )
        tasks = [task_id]
    else:
        kind, key, subject, owner = _by_name(batch, request, owner)
        tasks = [request.task_id] if request.task_id is not None else []
    for task in request.affected_task_chain:
        check_text(affected_task_chain=task)
    standing_marks = len(batch.inserts["revocations"])
    named_keys = [(kind, key, subject)]
    named_keys += [("task", task_key(owner, task), task) for task in request.affected_task_chain]
    marks = [_mark(batch, *named, owner, request.reason, by, entry.timestamp) for named in named_keys]
    revocation_id = marks[0]
    tasks = list(dict.fromkeys([*tasks, *request.affected_task_chain]))
    entry.details |= {
        "kind": kind,
        "subject": subject,
        "revocation_id": revocation_id,
        "marks": [row["revocation_id"] for row in batch.inserts["revocations"][standing_marks:]],
        "cascade": request.cascade,
        "tasks": tasks[:20],
    }
    closed = batch.old_marks.closed
    return Revocation(
        log_id=0,
        revocation_id=revocation_id,
        revocation_ids=list(dict.fromkeys(marks)),
        affected_task_chain=tasks,
        count=sum(closed.get(mark, 0) for mark in dict.fromkeys(marks)),
        closure="closed" if all(mark in closed for mark in marks) else "pending",
    )


def _check_form(request: Revoke) -> None:
    """Refuse what names nothing, or several things, or too much, whoever asks."""
    named = [request.token, request.grant_id, request.task_id, request.client_id, request.principal]
    if sum(name is not None for name in named) != 1:
        raise InvalidRequest(
            "invalid_request", "name exactly one of token, grant_id, task_id, client_id and principal"
        )
    if request.token is None and request.grant_id is None and not request.cascade:
        raise InvalidRequest("invalid_request", "only the revocation of a grant can leave out the cascade")
    if len(request.affected_task_chain) > MOST_TASKS:
        raise InvalidRequest("invalid_request", f"at most {MOST_TASKS} tasks can be named")
    check_text(
        reason=request.reason, task_id=request.task_id, principal=request.principal, owner=request.owner
    )


def end_client(batch: Batch, agent: Row, *, reason: str, revoked_by: str, now: int) -> int:
    """Mark an agent from within another decision; returns the revocation's id."""
    client_id = agent["client_id"]
    subject = client_name(client_id)
    return _mark(batch, "client", client_id, subject, agent["owner"], reason, revoked_by, now)


def end_principal(batch: Batch, owner: str, principal: str, *, reason: str, revoked_by: str, now: int) -> int:
    """Mark a principal from within another decision; returns the revocation's id."""
    key = principal_key(owner, principal)
    return _mark(batch, "principal", key, principal, owner, reason, revoked_by, now)


def end_grant(batch: Batch, row: Row, *, reason: str, revoked_by: str, now: int) -> int:
    """Mark a grant from within another decision; returns the revocation's id."""
    grant_id = row["grant_id"]
    return _mark(batch, "grant", grant_id, str(grant_id), row["owner"], reason, revoked_by, now)


def _named_grant(batch: Batch, request: Revoke, entry: Entry) -> tuple[Lineage, str, str] | None:
    """Lineage, owner and task of the grant that a token belongs to, or an id names."""
    if request.token is not None:
        return _grant_of(batch, request.token, entry)
    row = batch.first_issue(request.grant_id)
    if row is None:
        raise AccessDenied("not_entitled", "there is no such grant of yours")
    about_first_issue(entry, row)
    return unpack(row["lineage"]), row["owner"], row["task_id"]


def _grant_of(batch: Batch, token: str, entry: Entry) -> tuple[Lineage, str, str] | None:
    """Lineage, owner and task of the grant that an access or refresh token belongs to."""
    token_id = parse_keyed_token("rt", token)
    if token_id is not None:
        row = batch.loaded.tokens.get(token_id)
        if row is not None and matches(token, row["refresh_token_hash"]):
            entry.token_id, entry.grant_id, entry.root_grant_id = (
                token_id,
                row["grant_id"],
                row["root_grant_id"],
            )
            entry.parent_grant_id = row["parent_grant_id"]
            entry.task_id, entry.parent_task_id = row["task_id"], row["parent_task_id"]
            return unpack(row["lineage"]), row["owner"], row["task_id"]
    else:
        try:
            claims = batch.codec.decode(token)
        except InvalidToken:
            pass
        else:
            caller = entry.client_id
            about_grant(entry, claims)
            entry.client_id = caller if caller is not None else claims.client_id
            return claims.lineage, claims.owner, claims.task_id
    entry.access_token_hash = digest(token)
    return None


def _named_owner(request: Revoke) -> str:
    """Whose task, agent or principal is named: the administrator's own, or of the owner that it names."""
    if not isinstance(request.by, Admin):
        return ""
    if request.owner is None or request.owner == request.by.owner:
        return request.by.owner
    if not request.by.everywhere:
        raise AccessDenied("not_entitled", "another owner's tasks and agents are not yours to end")
    return request.owner


def _check_entitled(by: Admin | Credentials, caller: Row | None, lineage: Lineage, owner: str) -> None:
    """An administrator ends grants of its own agents, an agent its own grants and those below them."""
    if caller is None:
        entitled = isinstance(by, Admin) and (by.everywhere or by.owner == owner)
    else:
        entitled = caller["client_id"] in (client for _, client, _ in lineage)
    if not entitled:
        raise AccessDenied("not_entitled", "the token is neither yours nor below yours")


def _by_name(batch: Batch, request: Revoke, owner: str) -> tuple[str, int, str, str]:
    """Kind, key and subject of the mark, and the owner of what it names."""
    if request.task_id is not None:
        return "task", task_key(owner, request.task_id), request.task_id, owner
    if request.principal is not None:
        return "principal", principal_key(owner, request.principal), request.principal, owner
    client_id = parse_client_name(request.client_id or "")
    agent = None if client_id is None else batch.loaded.agents.get(client_id)
    everywhere = isinstance(request.by, Admin) and request.by.everywhere and request.owner is None
    if client_id is None or agent is None or not (everywhere or agent["owner"] == owner):
        raise AccessDenied("not_entitled", "no such agent of yours")
    return "client", client_id, client_name(client_id), agent["owner"]


def _mark(
    batch: Batch, kind: str, key: int, subject: str, owner: str, reason: str, revoked_by: str, now: int
) -> int:
    """Mark a key, unless it is marked for good already; returns the revocation's id."""
    standing = batch.mark(kind, key)
    if standing is not None and kind in ("grant", "grant_only", "task"):
        return standing[0]
    revocation_id = batch.ids.next(now)
    batch.add_mark(
        {
            "revocation_id": revocation_id,
            "kind": kind,
            "key": key,
            "subject": subject,
            "owner": owner,
            "reason": reason,
            "revoked_by": revoked_by,
            "revoked_at": now,
            "closure": "pending",
            "cursor": 0,
            "affected_grants": 0,
            "affected_tokens": 0,
        }
    )
    return revocation_id
