"""Clean-up: what is long over leaves the database, and no later answer is another one for it.

A tree goes whole, once its root's absolute expiry has passed for a time of retention: no grant outlives its parent's. It
goes from its youngest token up, in bounded steps, so that what a crash leaves of it is a smaller tree of the same kind.
With a grant go its state, its budget and the mark that named it; marks on agents and principals go once every token that
is older has gone. Marks on tasks stay: they end what will carry the same name, too. Audit rows are another matter
(:mod:`agentsim.audit`); each step that removes anything adds one, in the same transaction, which says by whose wish and
how much.

While a mark is being filled in, or a budget's rest is to flow back, no tree goes: both still read it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection, Delete, Table, bindparam, delete, exists, func, select, text

from agentsim.server.audit import Entry, Head, Trail
from agentsim.server.clock import SECOND
from agentsim.server.ids import IdGenerator, first_id
from agentsim.server.marks import MarkIndex
from agentsim.server.schema import SessionRow
from agentsim.server.statements import (
    ASSERTIONS,
    BUDGETS,
    CODES,
    ENDED_TASKS,
    MARKS,
    STATES,
    TOKENS,
    table,
)
from agentsim.server.store import Store

#: How long a tree is kept at least. Status lists and pages of marks that were fetched before are believed for as long.
LEAST_KEEP_US = 3600 * SECOND
#: What is of use until its expiry alone is kept for so long after it: clocks may be set.
_SLACK_US = 3600 * SECOND
_SESSIONS = table(SessionRow)

_DEAD = (
    select(TOKENS.c.token_id)
    # In words, so that the index on roots serves.
    .where(text("token_id = root_grant_id"), TOKENS.c.grant_expires_at <= bindparam("cutoff"))
    .order_by(TOKENS.c.grant_expires_at)
    .limit(bindparam("most"))
)
_YOUNGEST = (
    select(TOKENS.c.token_id, TOKENS.c.grant_id)
    .where(TOKENS.c.root_grant_id == bindparam("root"))
    .order_by(TOKENS.c.token_id.desc())
    .limit(bindparam("most"))
)
_OLDEST = select(func.min(TOKENS.c.token_id))
_NEXT_MARKS = (
    select(MARKS.c.revocation_id, MARKS.c.kind, MARKS.c.key, MARKS.c.closure)
    .where(MARKS.c.revocation_id > bindparam("after"))
    .order_by(MARKS.c.revocation_id)
    .limit(bindparam("most"))
)
_FLOWING = select(exists().where(BUDGETS.c.returned_at.is_(None), BUDGETS.c.ends_at <= bindparam("now")))


@dataclass(slots=True)
class Cleaned:
    """How many rows a step has removed, by table. ``more``: another step may find something at once."""

    removed: dict[str, int] = field(default_factory=dict)
    more: bool = False

    @property
    def total(self) -> int:
        """Of all tables."""
        return sum(self.removed.values())


class Cleaner:
    """Removes what is over from one database, a bounded step at a time."""

    def __init__(self, store: Store, ids: IdGenerator) -> None:
        self._store = store
        self._ids = ids
        #: Marks up to this id have been looked at while no older token was left.
        self._looked = 0

    @cached_property
    def _by_key(self) -> dict[Table, Delete]:
        return {
            source: delete(source).where(self._store.among(key))
            for source, key in (
                (TOKENS, TOKENS.c.token_id),
                (STATES, STATES.c.grant_id),
                (BUDGETS, BUDGETS.c.grant_id),
                (ENDED_TASKS, ENDED_TASKS.c.revocation_id),
            )
        }

    @cached_property
    def _marks(self) -> Delete:
        # The newest keeps its place: SQLite would give the same place to the next mark, which a feed had passed by then.
        return delete(MARKS).where(
            self._store.among(MARKS.c.revocation_id),
            MARKS.c.closure == "closed",
            self._store.place < bindparam("last_place"),
        )

    def step(
        self, head: Head, marks: MarkIndex, keep_us: int, limit: int, now: int, by: str
    ) -> tuple[Cleaned, Head]:
        """One transaction that removes at most about ``limit`` rows of each kind.

        Parameters
        ----------
        head : of the audit chain that tells of it.
        marks : all that the database holds. Those that go, go here as well.
        keep_us : how long a tree is kept after its end, at least :data:`LEAST_KEEP_US`.
        by : whose wish it is.

        Returns
        -------
        What has gone, and the audit chain's new head.
        """
        done, trail, looked = Cleaned(), Trail(head, self._ids), self._looked
        try:
            gone = self._remove_all(done, trail, marks, max(keep_us, LEAST_KEEP_US), limit, now, by)
        except Exception:
            # What was rolled back is to be looked at again.
            self._looked = looked
            raise
        for kind, key, revocation_id in gone:
            marks.forget(kind, key, revocation_id)
        return done, trail.head

    def _remove_all(
        self, done: Cleaned, trail: Trail, marks: MarkIndex, keep_us: int, limit: int, now: int, by: str
    ) -> list[tuple[str, int, int]]:
        """The transaction of a step; returns the marks that went as kind, key and id."""
        # A step that a power cut undoes is done again.
        with self._store.transaction(hurried=True) as connection:
            # Another worker's clean-up, and any fill, holds the same lock.
            if not self._store.try_fill(connection):
                return []
            self._remove_expired(connection, done, limit, now - _SLACK_US)
            left = limit - done.total
            if left > 0 and not self._is_being_read(connection, now):
                gone = self._remove_trees(connection, done, marks, now - keep_us, left)
                gone += self._remove_passed_marks(connection, done, now - LEAST_KEEP_US, left)
            else:
                gone = []
            # Codes were kept for the sake of grants that have gone now.
            done.more = done.more or done.total >= limit or TOKENS.name in done.removed
            if done.total:
                told = {"by": by, "keep_seconds": keep_us // SECOND, "removed": done.removed}
                trail.append(Entry(event_type="cleaned_up", timestamp=now, details=told))
                self._store.write_trail(connection, trail)
        return gone

    def _is_being_read(self, connection: Connection, now: int) -> bool:
        if self._store.next_pending(connection) is not None:
            return True
        return bool(connection.execute(_FLOWING, {"now": now}).scalar_one())

    def _remove_expired(self, connection: Connection, done: Cleaned, limit: int, cutoff: int) -> None:
        """Assertions that have expired, sessions that are over, and codes that can lead to nothing any more."""
        for name, statement in _EXPIRED.items():
            values = {"cutoff": cutoff, "most": limit, "before": first_id(cutoff)}
            if name != "authorization_codes":
                del values["before"]
            _count(done, name, connection.execute(statement, values).rowcount)

    def _remove_trees(
        self, connection: Connection, done: Cleaned, marks: MarkIndex, cutoff: int, limit: int
    ) -> list[tuple[str, int, int]]:
        """Trees from their leaves up; returns the marks that went with them as kind, key and id."""
        tokens: list[int] = []
        grants: list[int] = []
        for root in connection.execute(_DEAD, {"cutoff": cutoff, "most": limit}).scalars():
            if len(tokens) >= limit:
                break
            found = connection.execute(_YOUNGEST, {"root": root, "most": limit - len(tokens)}).all()
            tokens += [row.token_id for row in found]
            grants += [row.grant_id for row in found if row.token_id == row.grant_id]
        if not tokens:
            return []
        gone = [
            (kind, grant, marks.by_kind[kind][grant][0])
            for kind in ("grant", "grant_only")
            for grant in grants
            if grant in marks.by_kind[kind]
        ]
        self._remove_marks(connection, done, gone)
        for source, keys in ((BUDGETS, grants), (STATES, grants), (TOKENS, tokens)):
            self._remove(connection, done, source, keys)
        return gone

    def _remove_passed_marks(
        self, connection: Connection, done: Cleaned, cutoff: int, limit: int
    ) -> list[tuple[str, int, int]]:
        """Marks that are older than every token that is left: whatever they ended has gone. Those on tasks end what comes, too."""
        oldest = connection.execute(_OLDEST).scalar_one()
        end = first_id(cutoff) if oldest is None else min(oldest, first_id(cutoff))
        rows = connection.execute(_NEXT_MARKS, {"after": self._looked, "most": limit}).all()
        passed = [row for row in rows if row.revocation_id < end]
        gone = [
            (row.kind, row.key, row.revocation_id)
            for row in passed
            if row.kind != "task" and row.closure == "closed"
        ]
        self._remove_marks(connection, done, gone)
        if passed:
            self._looked = passed[-1].revocation_id
            done.more = len(passed) == limit
        return gone

    def _remove_marks(self, connection: Connection, done: Cleaned, gone: list[tuple[str, int, int]]) -> None:
        if gone:
            ids = [revocation_id for _, _, revocation_id in gone]
            last = self._store.last_place(connection)
            removed = connection.execute(self._marks, {"keys": ids, "last_place": last}).rowcount
            _count(done, "revocations", removed)
            self._remove(connection, done, ENDED_TASKS, ids)

    def _remove(self, connection: Connection, done: Cleaned, source: Table, keys: list[int]) -> None:
        if keys:
            _count(done, source.name, connection.execute(self._by_key[source], {"keys": keys}).rowcount)


def _expired() -> Iterator[tuple[str, Delete]]:
    for source, key in ((ASSERTIONS, ASSERTIONS.c.assertion_key), (_SESSIONS, _SESSIONS.c.session_hash)):
        over = (
            select(key)
            .where(source.c.expires_at <= bindparam("cutoff"))
            .order_by(source.c.expires_at)
            .limit(bindparam("most"))
        )
        yield source.name, delete(source).where(key.in_(over))
    # A code that was redeemed ends its grant when it comes again: it is kept as long as that one.
    over = (
        select(CODES.c.code_id)
        .where(CODES.c.code_id < bindparam("before"), CODES.c.expires_at <= bindparam("cutoff"))
        .where(~exists().where(TOKENS.c.token_id == CODES.c.grant_id))
        .order_by(CODES.c.code_id)
        .limit(bindparam("most"))
    )
    yield CODES.name, delete(CODES).where(CODES.c.code_id.in_(over))


_EXPIRED = dict(_expired())


def _count(done: Cleaned, name: str, removed: int) -> None:
    if removed:
        # SQLAlchemy's names are no plain text, and JSON's must be.
        done.removed[str(name)] = done.removed.get(name, 0) + removed
