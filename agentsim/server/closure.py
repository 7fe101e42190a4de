"""The fill: after a mark, the rows below it are marked as revoked, one audit row each.

Nobody's safety waits for it: a token under a mark is dead before the fill begins. It goes in bounded steps, each one
transaction that also moves the mark's cursor, so that it resumes where a crash stopped it; it passes through
tokens that have expired, were refreshed or were revoked before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, text, update

from agentsim.server.audit import Entry, Head, Trail
from agentsim.server.batch import Row
from agentsim.server.ids import IdGenerator
from agentsim.server.lineage import unpack
from agentsim.server.schema import IssuedToken, RevocationMark
from agentsim.server.store import Store, rows_of, table

_TOKENS, _MARKS = table(IssuedToken), table(RevocationMark)
_END = (
    update(_TOKENS)
    .where(_TOKENS.c.token_id == bindparam("ended"))
    .values(
        is_revoked=True,
        revoked_at=bindparam("at"),
        revocation_reason=bindparam("why"),
        revocation_id=bindparam("mark"),
    )
)
_SAVE = (
    update(_MARKS)
    .where(_MARKS.c.revocation_id == bindparam("id"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("closure", "cursor", "affected_grants", "affected_tokens")
        }
    )
)
# A literal: with a bound value SQLite cannot know that the partial index serves.
_NEXT_MARK = select(_MARKS).where(text("closure = 'pending'")).order_by(_MARKS.c.revocation_id).limit(1)
_UNFILLED = (
    select(_TOKENS)
    .where(_TOKENS.c.root_grant_id == bindparam("root"), _TOKENS.c.token_id > bindparam("cursor"))
    .order_by(_TOKENS.c.token_id)
    .limit(bindparam("most"))
)
_ROOT_OF = select(_TOKENS.c.root_grant_id).where(_TOKENS.c.token_id == bindparam("token"))
#: Where in a lineage triple a mark's key stands.
_POSITION = {"grant": 0, "grant_only": 0, "client": 1, "task": 2}


@dataclass(slots=True)
class Closed:
    """A mark whose rows are all filled in. ``tasks`` are those of the grants that it ended, in order of issue."""

    revocation_id: int
    affected_grants: int
    affected_tokens: int
    tasks: list[str]


@dataclass(slots=True)
class _Job:
    """A mark being filled in: the trees that are still to be gone through."""

    mark: Row
    roots: list[int]
    cursor: int
    tasks: dict[str, None] = field(default_factory=dict)


class Filler:
    """Fills in marks in the order in which they were made."""

    def __init__(self, store: Store, ids: IdGenerator) -> None:
        self._store = store
        self._ids = ids
        self._job: _Job | None = None
        self._pending = True

    def wake(self) -> None:
        """There are new marks."""
        self._pending = True

    def pending(self) -> bool:
        """Whether a mark may wait to be filled in."""
        return self._pending

    def step(self, head: Head, limit: int, now: int) -> tuple[list[Closed], Head]:
        """One transaction of at most ``limit`` tokens; returns the marks it closed and the audit chain's new head."""
        closed = []
        trail = Trail(head, self._ids)
        # Until this step is committed the job is the database's to tell: a rollback must not leave a cursor ahead.
        job, self._job = self._job, None
        with self._store.transaction() as connection:
            while limit > 0:
                if job is None:
                    marks = rows_of(connection, _NEXT_MARK)
                    if not marks:
                        break
                    job = _begin(connection, marks[0])
                # A mark may name what no token carries.
                limit -= self._advance(connection, job, trail, limit, now) if job.roots else 1
                if not job.roots:
                    closed.append(_close(connection, job))
                    job = None
            if job is not None:
                _save(connection, job.mark)
            self._store.write_trail(connection, trail.rows, trail.head)
        self._job = job
        # With room to spare there was nothing left to begin.
        self._pending = limit <= 0
        return closed, trail.head

    def _advance(self, connection: Connection, job: _Job, trail: Trail, limit: int, now: int) -> int:
        """Go on in the job's first tree; returns how many tokens were looked at, at least one."""
        rows = rows_of(connection, _UNFILLED, root=job.roots[0], cursor=job.cursor, most=limit)
        ended = [row for row in rows if _below(job.mark, row)]
        if ended:
            connection.execute(_END, [_end_values(job.mark, row["token_id"]) for row in ended])
        for row in ended:
            trail.append(_entry(job.mark, row, now))
            job.tasks[row["task_id"]] = None
        job.mark["affected_tokens"] += len(ended)
        job.mark["affected_grants"] += sum(row["token_id"] == row["grant_id"] for row in ended)
        if rows:
            job.mark["cursor"] = job.cursor = rows[-1]["token_id"]
        if len(rows) < limit:
            job.roots.pop(0)
            job.cursor = 0
        return max(len(rows), 1)


def _begin(connection: Connection, mark: Row) -> _Job:
    roots = [row.root_grant_id for row in connection.execute(_roots(mark))]
    cursor = mark["cursor"]
    if cursor:
        # Resumed: the cursor is a token of the tree that was being gone through.
        current = connection.execute(_ROOT_OF, {"token": cursor}).scalar_one()
        done, roots = [root for root in roots if root <= current], [root for root in roots if root >= current]
        return _Job(mark, roots, cursor, dict.fromkeys(_ended_tasks(connection, mark, done)))
    return _Job(mark, roots, cursor)


def _ended_tasks(connection: Connection, mark: Row, roots: list[int]) -> Iterator[str]:
    """Tasks of the tokens that a mark has ended in these trees, in order."""
    for root in roots:
        query = (
            select(_TOKENS.c.task_id)
            .where(_TOKENS.c.root_grant_id == root, _TOKENS.c.revocation_id == mark["revocation_id"])
            .order_by(_TOKENS.c.token_id)
        )
        yield from connection.execute(query).scalars()


def _roots(mark: Row) -> Select[Any]:
    """The trees in which a mark's key occurs."""
    column = {
        "grant": _TOKENS.c.token_id,
        "grant_only": _TOKENS.c.token_id,
        "client": _TOKENS.c.client_id,
        "task": _TOKENS.c.task_key,
        "principal": _TOKENS.c.principal,
    }[mark["kind"]]
    value = mark["subject"] if mark["kind"] == "principal" else mark["key"]
    query = select(_TOKENS.c.root_grant_id).where(column == value, _TOKENS.c.owner == mark["owner"])
    if mark["kind"] in ("client", "principal"):
        query = query.where(_TOKENS.c.root_grant_id < mark["revocation_id"])
    return query.distinct().order_by(_TOKENS.c.root_grant_id)


def _below(mark: Row, row: Any) -> bool:
    """Whether a mark ended this token and no fill has dealt with it."""
    if row["is_revoked"]:
        return False
    kind, key = mark["kind"], mark["key"]
    if kind == "grant_only":
        return bool(row["grant_id"] == key)
    if kind == "principal":
        return bool(row["principal"] == mark["subject"] and row["root_grant_id"] < mark["revocation_id"])
    before = mark["revocation_id"] if kind == "client" else None
    position = _POSITION[kind]
    return any(
        triple[position] == key and (before is None or triple[0] < before)
        for triple in unpack(row["lineage"])
    )


def _end_values(mark: Row, token_id: int) -> Row:
    return {"ended": token_id, "at": mark["revoked_at"], "why": mark["reason"], "mark": mark["revocation_id"]}


def _entry(mark: Row, row: Any, now: int) -> Entry:
    return Entry(
        event_type="token_ended",
        timestamp=now,
        client_id=row["client_id"],
        token_id=row["token_id"],
        grant_id=row["grant_id"],
        parent_grant_id=row["parent_grant_id"],
        root_grant_id=row["root_grant_id"],
        task_id=row["task_id"],
        parent_task_id=row["parent_task_id"],
        reason=mark["reason"],
        details={"revocation_id": mark["revocation_id"]},
    )


def _close(connection: Connection, job: _Job) -> Closed:
    mark = job.mark
    mark["closure"] = "closed"
    _save(connection, mark)
    return Closed(mark["revocation_id"], mark["affected_grants"], mark["affected_tokens"], list(job.tasks))


def _save(connection: Connection, mark: Row) -> None:
    names = ("closure", "cursor", "affected_grants", "affected_tokens")
    connection.execute(_SAVE, {"id": mark["revocation_id"]} | {f"new_{name}": mark[name] for name in names})
