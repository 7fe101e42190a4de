"""Budgets: what a grant may spend, in units that the organisation counts in; pure arithmetic and its refusals.

*carve-out*: a child's budget is taken out of its parent's, so that siblings together never spend more than their
parent was given. *shared-pool*: nothing is set aside; each grant spends up to its own budget, and all of a tree are
held against the pool of its root. The pool is read without a lock and increased at the commit, as pools are that must
not become everybody's bottleneck: writers beside each other may overshoot it. A tree keeps the model that its root
was granted under.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agentsim.server import scopes
from agentsim.server.batch import Batch
from agentsim.server.claims import Claims
from agentsim.server.errors import InsufficientScope, InvalidRequest, InvalidScope
from agentsim.server.ledger import Budget
from agentsim.server.policy import Policy

#: More than any organisation counts, and far below what a column holds.
MOST_UNITS = 10**15


@dataclass(frozen=True, slots=True)
class Charge:
    """What a use of a token costs; ``left`` is what its grant has after it. None: the grant is not budgeted."""

    cost: int | None = None
    left: int | None = None


def root_budget(policy: Policy, asked: int | None) -> int | None:
    """The budget of a root grant: what it asks for, or what the policy gives; None where it has none.

    Raises
    ------
    InvalidScope
        ``budget_exceeds_policy``.
    """
    _check_amount(asked)
    most = policy.budgets.root
    if asked is not None and most is not None and asked > most:
        raise InvalidScope(
            "budget_exceeds_policy", "the policy gives a root no such budget", asked=asked, allowed=most
        )
    return most if asked is None else asked


def child_budget(batch: Batch, asked: int | None, parent: Claims) -> int | None:
    """The budget of a child: what it asks for, or its share of what the parent has.

    Raises
    ------
    InvalidScope
        ``budget_exceeds_parent``, with what is left as what is allowed.
    """
    _check_amount(asked)
    if parent.budget is None:
        return asked
    above = batch.budget(parent.grant_id)
    if above.model == "shared-pool":
        share = most = above.given
    else:
        most = above.left
        share = int(most * batch.policy.budgets.child_share)
    if asked is not None and asked > most:
        raise InvalidScope(
            "budget_exceeds_parent",
            "the parent has no such budget left",
            asked=asked,
            allowed=most,
            hint="ask for less, or when other children of the parent have ended",
        )
    return share if asked is None else asked


def open_budget(batch: Batch, claims: Claims, parent: Claims | None, *, refreshable: bool) -> None:
    """Give a new grant its budget, taken out of the parent's where it is carved out."""
    if claims.budget is None:
        return
    above = batch.budget(parent.grant_id) if parent is not None and parent.budget is not None else None
    if above is not None and above.model == "carve-out":
        batch.loaded.ledger.spend(above, claims.budget, None)
    batch.loaded.ledger.add(
        Budget(
            grant_id=claims.grant_id,
            parent_grant_id=None if above is None else above.grant_id,
            root_grant_id=claims.grant_id if above is None else above.root_grant_id,
            model=batch.policy.budgets.model if above is None else above.model,
            given=claims.budget,
            ends_at=claims.grant_expires_at if refreshable else claims.expires_at,
        )
    )


def call_cost(policy: Policy, tools: Iterable[str]) -> int:
    """What a call of these tools costs, each counted once."""
    return sum(policy.tool_costs.get(tool, policy.tool_cost) for tool in set(tools))


def spend(batch: Batch, claims: Claims, tools: str) -> Charge:
    """Spend what a call of these tools (canonical text) costs.

    Raises
    ------
    InsufficientScope
        ``budget_exhausted``: nothing has been spent.
    """
    if claims.budget is None:
        return Charge()
    cost = call_cost(batch.policy, scopes.members(tools))
    budget = batch.budget(claims.grant_id)
    pool = batch.budget(budget.root_grant_id) if budget.model == "shared-pool" else None
    left = left_of(batch, claims)
    if cost > left:
        raise InsufficientScope(
            "budget_exhausted",
            "the grant's budget does not cover this call",
            asked=cost,
            allowed=left,
            hint="the parent, or whoever gave the task, must give more",
        )
    if cost:
        batch.loaded.ledger.spend(budget, cost, pool)
    return Charge(cost, left - cost)


def left_of(batch: Batch, claims: Claims) -> int:
    """What a budgeted grant may spend still."""
    budget = batch.budget(claims.grant_id)
    if budget.model == "carve-out":
        return budget.left
    pool = batch.budget(budget.root_grant_id)
    return max(0, min(budget.left, pool.given - pool.pooled))


def _check_amount(asked: int | None) -> None:
    if asked is not None and not 0 <= asked <= MOST_UNITS:
        raise InvalidRequest(
            "invalid_request", "a budget is a whole number of units", asked=asked, allowed=[0, MOST_UNITS]
        )
