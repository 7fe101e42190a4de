"""The fill: after a mark, the rows below it are marked as revoked, one audit row each.

Nobody's safety waits for it: a token under a mark is dead before the fill begins. It goes in bounded steps, each one
transaction that also moves the mark's cursor, so that it resumes where a crash stopped it; it passes through
tokens that have expired, were refreshed or were revoked before.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

import orjson
from sqlalchemy import Connection, bindparam, select, update

from agentsim.server.audit import ABOUT, Entry, Head, Trail
from agentsim.server.batch import Row
from agentsim.server.ids import IdGenerator
from agentsim.server.reach import SEEN, below, budget_of, grant_of, roots_of, task_of, token_of
from agentsim.server.returns import Returns, give_back
from agentsim.server.schema import EndedTasks, IssuedToken, RevocationMark
from agentsim.server.store import Store, rows_of, table

_TOKENS, _MARKS, _ENDED_TASKS = table(IssuedToken), table(RevocationMark), table(EndedTasks)
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
_UNFILLED = (
    select(*(_TOKENS.c[name] for name in SEEN))
    .where(_TOKENS.c.root_grant_id == bindparam("root"), _TOKENS.c.token_id > bindparam("cursor"))
    .order_by(_TOKENS.c.token_id)
    .limit(bindparam("most"))
)
_STANDING = select(_MARKS).where(_MARKS.c.revocation_id == bindparam("id"))
_TASKS = select(_ENDED_TASKS.c.tasks).where(_ENDED_TASKS.c.revocation_id == bindparam("id"))
_ROOT_OF = select(_TOKENS.c.root_grant_id).where(_TOKENS.c.token_id == bindparam("token"))


#: How many tasks are told of a mark at most.
MOST_TASKS = 1_000
#: Seconds for which a worker does not ask again after it has found another one filling.
_REST = 0.1


@dataclass(slots=True)
class Closed:
    """A mark whose rows are all filled in. ``tasks`` are the first of the grants that it ended, in order of issue."""

    revocation_id: int
    affected_grants: int
    affected_tokens: int
    tasks: list[str]


@dataclass(slots=True)
class Closure:
    """How far a mark's fill has come, whichever worker did it. ``tasks`` are the first that it ended, in order of issue."""

    revocation_id: int
    #: ``pending`` or ``closed``.
    closure: str
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
    """Fills in marks in the order in which they were made.

    A mark is gone into only once it has *settled*: a batch that had not read it may still be about to commit rows
    below it, and a fill that has passed their place would leave them out. Passing the barrier exclusively, once,
    waits for the last of these; whatever begins afterwards reads the mark and adds nothing below it, so that the
    fill is complete and comes to an end. Of several workers one fills at a time.
    """

    def __init__(self, store: Store, ids: IdGenerator) -> None:
        self._store = store
        self._ids = ids
        self._job: _Job | None = None
        self._pending = True
        #: Marks up to this place have settled; whether there may be later ones.
        self._settled = 0
        self._unsettled = True
        self._rest_until = 0.0
        self.returns = Returns(store)

    def wake(self) -> None:
        """There are new marks."""
        self._pending = self._unsettled = True

    def pending(self, now: int) -> bool:
        """Whether a mark or a budget's rest may wait, and no other worker was at it a moment ago."""
        return (self._pending or self.returns.due(now)) and time.monotonic() >= self._rest_until

    def step(self, head: Head, limit: int, now: int) -> tuple[list[Closed], Head]:
        """One transaction of at most ``limit`` tokens; returns the marks it closed and the audit chain's new head."""
        closed: list[Closed] = []
        trail = Trail(head, self._ids)
        # Until this step is committed the job is the database's to tell: a rollback must not leave a cursor ahead.
        job, self._job = self._job, None
        if self._unsettled and not self._settle():
            return closed, head
        # A step that a power cut undoes is done again: its cursor lies in the same transaction.
        with self._store.transaction(hurried=True) as connection:
            if not self._is_ours(connection):
                return closed, head
            if job is not None and not _is_up_to_date(connection, job):
                job = None
            while limit > 0:
                if job is None:
                    mark = self._next(connection)
                    if mark is None:
                        break
                    job = _begin(connection, mark)
                # A mark may name what no token carries.
                limit -= self._advance(connection, job, trail, limit, now) if job.roots else 1
                if not job.roots:
                    closed.append(_close(connection, job))
                    job = None
            if job is not None:
                _save(connection, job.mark)
            next_end = (
                self.returns.step(connection, trail, limit, now) if limit > 0 else self.returns.next_end
            )
            self._store.write_trail(connection, trail)
        self._job, self.returns.next_end = job, next_end
        # With room to spare there was nothing left to begin.
        self._pending = limit <= 0 or self._unsettled
        return closed, trail.head

    def _settle(self) -> bool:
        """Let every batch end that may not have read the newest marks; False where another worker fills."""
        with self._store.transaction() as connection:
            if not self._is_ours(connection):
                return False
            self._store.pass_barrier(connection, exclusive=True)
            self._settled = self._store.last_place(connection)
        self._unsettled = False
        return True

    def _is_ours(self, connection: Connection) -> bool:
        """Whether no other worker fills; if one does, it is left alone for a while."""
        ours = self._store.try_fill(connection)
        if not ours:
            self._rest_until = time.monotonic() + _REST
        return ours

    def _next(self, connection: Connection) -> Row | None:
        """The next mark to fill in, if it has settled."""
        mark = self._store.next_pending(connection)
        if mark is not None and mark["place"] > self._settled:
            self._unsettled = True
            return None
        return mark

    def _advance(self, connection: Connection, job: _Job, trail: Trail, limit: int, now: int) -> int:
        """Go on in the job's first tree; returns how many tokens were looked at, at least one."""
        root, mark = job.roots[0], job.mark
        values = {"root": root, "cursor": job.cursor, "most": limit}
        rows = connection.execute(_UNFILLED, values).all()
        ended = below(mark, root, rows)
        if ended:
            self._store.end_tokens(connection, mark, list(map(token_of, ended)))
        firsts = [row for row in ended if token_of(row) == grant_of(row)]
        budgeted = [grant_of(row) for row in firsts if budget_of(row) is not None]
        give_back(self._store, connection, trail, budgeted, now)
        trail.extend(_entry(mark, now), [row[: len(ABOUT)] for row in ended])
        self._note_tasks(connection, job, map(task_of, ended))
        mark["affected_tokens"] += len(ended)
        mark["affected_grants"] += len(firsts)
        if rows:
            mark["cursor"] = job.cursor = token_of(rows[-1])
        if len(rows) < limit:
            job.roots.pop(0)
            job.cursor = 0
        return max(len(rows), 1)

    def _note_tasks(self, connection: Connection, job: _Job, ended: Iterable[str]) -> None:
        known = len(job.tasks)
        if known < MOST_TASKS:
            job.tasks.update(dict.fromkeys(ended))
            job.tasks = dict(islice(job.tasks.items(), MOST_TASKS))
        if len(job.tasks) > known:
            self._store.put_tasks(connection, job.mark["revocation_id"], job.tasks)


def _is_up_to_date(connection: Connection, job: _Job) -> bool:
    """Whether no other worker has gone on with this mark."""
    (mark,) = rows_of(connection, _STANDING, id=job.mark["revocation_id"])
    return bool(mark["closure"] == "pending" and mark["cursor"] == job.mark["cursor"])


def _begin(connection: Connection, mark: Row) -> _Job:
    roots = [row.root_grant_id for row in connection.execute(roots_of(mark))]
    cursor = mark["cursor"]
    if cursor:
        # Resumed: the cursor is a token of the tree that was being gone through.
        current = connection.execute(_ROOT_OF, {"token": cursor}).scalar_one()
        roots = [root for root in roots if root >= current]
        return _Job(mark, roots, cursor, dict.fromkeys(_read_tasks(connection, mark["revocation_id"])))
    return _Job(mark, roots, cursor)


def _read_tasks(connection: Connection, revocation_id: int) -> list[str]:
    found = connection.execute(_TASKS, {"id": revocation_id}).scalar_one_or_none()
    tasks: list[str] = [] if found is None else orjson.loads(found)
    return tasks


def _entry(mark: Row, now: int) -> Entry:
    """What the audit rows of all tokens that a mark has ended tell alike."""
    return Entry(
        event_type="token_ended",
        timestamp=now,
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


def read_closure(connection: Connection, revocation_id: int, most: int = MOST_TASKS) -> Closure | None:
    """What a mark has ended so far, as the database tells it.

    Parameters
    ----------
    most : how many distinct tasks are told at most, and never more than :data:`MOST_TASKS`.

    Returns
    -------
    None where there is no such mark.
    """
    marks = rows_of(connection, _STANDING, id=revocation_id)
    if not marks:
        return None
    tasks = _read_tasks(connection, revocation_id)[:most]
    mark = marks[0]
    return Closure(revocation_id, mark["closure"], mark["affected_grants"], mark["affected_tokens"], tasks)
