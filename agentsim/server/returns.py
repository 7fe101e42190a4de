"""What is left of a budget flows back to the parent when its grant has ended: below a mark, or by expiry.

Beside the fill, in bounded steps. A grant that ends later than its parent gives to the next above that has not ended
yet; what a root has left goes nowhere.
"""

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, select, update

from agentsim.server.audit import Entry, Trail
from agentsim.server.databases import ConflictError
from agentsim.server.ledger import Budget
from agentsim.server.schema import BudgetRow
from agentsim.server.store import Store, table

_BUDGETS = table(BudgetRow)
_OPEN = _BUDGETS.c.returned_at.is_(None)
#: In the order from the leaves up: children have the larger ids.
_DUE = (
    select(_BUDGETS.c.grant_id)
    .where(_OPEN, _BUDGETS.c.ends_at <= bindparam("now"))
    .order_by(_BUDGETS.c.grant_id.desc())
    .limit(bindparam("most"))
)
_NEXT = select(func.min(_BUDGETS.c.ends_at)).where(_OPEN)
#: Whoever spends beside this has changed ``used``: then nothing is written, and it is all done anew.
_CHANGE = (
    update(_BUDGETS)
    .where(_BUDGETS.c.grant_id == bindparam("id"), _BUDGETS.c.used == bindparam("seen"), _OPEN)
    .values(used=_BUDGETS.c.used - bindparam("back"), returned_at=bindparam("at"))
)


class Returns:
    """Knows when the next budget ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Microseconds; None where no open budget is known.
        self.next_end: int | None = 0

    def note(self, budgets: Iterable[Budget]) -> None:
        """Budgets have been opened, or their ends been moved."""
        ends = [budget.ends_at for budget in budgets]
        if ends:
            self.next_end = min(ends) if self.next_end is None else min(self.next_end, *ends)

    def due(self, now: int) -> bool:
        """Whether a budget has ended whose rest is still to flow back."""
        return self.next_end is not None and now >= self.next_end

    def step(self, connection: Connection, trail: Trail, limit: int, now: int) -> int | None:
        """Give back what grants have left that have expired, of at most ``limit`` of them.

        Returns
        -------
        When the next one ends, to be kept once this is committed.
        """
        if not self.due(now):
            return self.next_end
        ended = list(connection.execute(_DUE, {"now": now, "most": limit}).scalars())
        give_back(self._store, connection, trail, ended, now)
        found: int | None = connection.execute(_NEXT).scalar_one()
        return found


def give_back(store: Store, connection: Connection, trail: Trail, ended: list[int], now: int) -> None:
    """Let what ended grants have left flow to the nearest grant above that has not ended.

    Raises
    ------
    ConflictError
        If somebody spends at the same time.
    """
    if not ended:
        return
    budgets = _with_ancestors(store, connection, ended)
    back: Counter[int] = Counter()
    closing = [
        budgets[grant]
        for grant in sorted(ended, reverse=True)
        if grant in budgets and _is_open(budgets[grant])
    ]
    # All of them first: what ends together gives to what goes on above it.
    for budget in closing:
        budget.returned_at = now
    for budget in closing:
        above = _nearest_open(budgets, budget)
        left = budget.given - budget.used
        if above is not None and budget.model == "carve-out" and left:
            back[above.grant_id] += left
            trail.append(_entry(budget, above, left, now))
    changes = [
        {"id": grant, "seen": budgets[grant].used, "back": back[grant], "at": budgets[grant].returned_at}
        for grant in sorted({budget.grant_id for budget in closing} | back.keys())
    ]
    if changes and connection.execute(_CHANGE, changes).rowcount != len(changes):
        raise ConflictError("a budget was spent from while it flowed back")


def _with_ancestors(store: Store, connection: Connection, grants: Iterable[int]) -> dict[int, Budget]:
    """Budgets of these grants and of all above them."""
    budgets: dict[int, Budget] = {}
    wanted = set(grants)
    while wanted:
        found = {budget.grant_id: budget for budget in store.budgets(connection, wanted)}
        budgets |= found
        above = {budget.parent_grant_id for budget in found.values()}
        wanted = {grant for grant in above if grant is not None} - budgets.keys()
    return budgets


def _is_open(budget: Budget) -> bool:
    return budget.returned_at is None


def _nearest_open(budgets: dict[int, Budget], budget: Budget) -> Budget | None:
    above = budget
    while above.parent_grant_id is not None:
        above = budgets[above.parent_grant_id]
        if _is_open(above):
            return above
    return None


def _entry(budget: Budget, above: Budget, units: int, now: int) -> Entry:
    return Entry(
        event_type="budget_returned",
        timestamp=now,
        grant_id=budget.grant_id,
        parent_grant_id=budget.parent_grant_id,
        details={"units": units, "to": str(above.grant_id)},
    )
