"""The ledger: budgets as they stand, and what a batch changes in them.

Only differences are written, so that what one batch spends and what flows back beside it add up whatever comes
first; and each is written on the condition that it still fits, so that no two writers spend the same units.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Budget:
    """A row of ``budgets``; see :class:`agentsim.server.schema.BudgetRow`."""

    grant_id: int
    parent_grant_id: int | None
    root_grant_id: int
    model: str
    given: int
    ends_at: int
    used: int = 0
    pooled: int = 0
    returned_at: int | None = None

    @property
    def left(self) -> int:
        """What it has left; nothing once that has flowed back."""
        return 0 if self.returned_at is not None else self.given - self.used


@dataclass(slots=True)
class Ledger:
    """The budgets that a batch needs, and what it does to them."""

    budgets: dict[int, Budget] = field(default_factory=dict)
    new: list[Budget] = field(default_factory=list)
    #: Units by grant: spent or set aside, and spent from the pool of a root.
    used: Counter[int] = field(default_factory=Counter)
    pooled: Counter[int] = field(default_factory=Counter)
    #: New ends of grants that were refreshed.
    ends: dict[int, int] = field(default_factory=dict)

    def add(self, budget: Budget) -> None:
        """Open a budget."""
        self.budgets[budget.grant_id] = budget
        self.new.append(budget)

    def spend(self, budget: Budget, units: int, pool: Budget | None) -> None:
        """Take units out of a budget, and count them in a pool."""
        budget.used += units
        self.used[budget.grant_id] += units
        if pool is not None:
            pool.pooled += units
            self.pooled[pool.grant_id] += units

    def move_end(self, grant_id: int, ends_at: int) -> None:
        """A refresh has moved the moment from which nothing of the grant can be active."""
        budget = self.budgets[grant_id]
        if budget.ends_at != ends_at:
            budget.ends_at = self.ends[grant_id] = ends_at

    def moved(self) -> list[Budget]:
        """Budgets that were opened, or whose ends were moved."""
        return [*self.new, *(self.budgets[grant] for grant in self.ends)]

    def inserts(self) -> list[dict[str, Any]]:
        """Rows of new budgets, with what was spent since."""
        return [asdict(budget) for budget in self.new]

    def updates(self) -> list[dict[str, Any]]:
        """What changed of others, in the order of keys, so that two batches never wait for each other."""
        fresh = {budget.grant_id for budget in self.new}
        changed = (self.used.keys() | self.pooled.keys() | self.ends.keys()) - fresh
        return [
            {
                "id": grant,
                "spent": self.used[grant],
                "pooling": self.pooled[grant],
                "end": self.budgets[grant].ends_at,
            }
            for grant in sorted(changed)
        ]
