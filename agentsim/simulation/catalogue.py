"""The roles of a scenario as tables that numpy can look up: codes, masks, chains.

Tools and resources have codes below 64 in alphabetical order, so a set of them is one ``uint64`` mask. A *kind* is a
kind of task of a role; kinds of all roles are numbered through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from agentsim.simulation.role import Role, reachable
from agentsim.simulation.scenario import Scenario

Floats = npt.NDArray[np.float64]
Masks = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int64]


class Choices:
    """Weighted choices, one row per state, drawn for many states at once.

    Parameters
    ----------
    weights : shape ``(rows, options)``; a row of zeros stands for one that is never asked.
    """

    def __init__(self, weights: Floats) -> None:
        totals = weights.sum(axis=1, keepdims=True)
        shares = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
        reached = np.minimum(np.cumsum(shares, axis=1), 1.0)
        # Behind the last option with any weight nothing may be chosen, whatever the sums were rounded to.
        last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
        reached[np.arange(weights.shape[1]) >= last[:, None]] = 1.0
        self._options = weights.shape[1]
        self._last = last
        # Row r covers r..r+1, so one binary search serves all rows.
        self._reached = (reached + np.arange(len(weights))[:, None]).ravel()

    def draw(self, rows: npt.NDArray[np.integer], uniform: Floats) -> Codes:
        """Return one option per entry of ``rows``, from a uniform draw in [0, 1) each."""
        rows = rows.astype(np.int64, copy=False)
        found = np.searchsorted(self._reached, rows + uniform, side="right")
        # Where row + uniform is rounded up to the next row, the last option is meant.
        drawn: Codes = np.minimum(found - rows * self._options, self._last[rows])
        return drawn


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything about the roles that is looked up per agent or per call.

    Arrays named after kinds have shape ``(kinds,)``, those after roles ``(roles,)``.
    """

    roles: tuple[str, ...]
    #: All tools, and all resources, alphabetically; their codes are their places.
    tools: tuple[str, ...]
    resources: tuple[str, ...]
    settings: tuple[Role, ...]
    #: Role code of each kind, and the range of kinds of each role.
    kind_role: Codes
    first_kind: Codes
    kind_text: tuple[str, ...]
    #: What a kind of task needs.
    kind_tools: Masks
    kind_resources: Masks
    #: Resources that each tool works on in any role, shape ``(tools,)``.
    tool_resources: Masks
    #: What agents of a role register for: what they, and all roles below them, may ever need.
    role_tools: Masks
    role_resources: Masks
    #: Place of the role's level in the policy's order, before and after taking in the roles below.
    role_level: Codes
    levels: tuple[str, ...]
    #: Draws a kind for a role.
    kinds: Choices
    #: Draws a role for a child; rows are the parents' roles.
    children: Choices
    #: Draws the first tool of a kind, the next tool (row ``kind * len(tools) + tool``), and a resource (same rows).
    first_tool: Choices
    next_tool: Choices
    resource: Choices
    #: The role's tool and resource weights for slips; rows are roles.
    any_tool: Choices
    any_resource: Choices
    _work: Mapping[tuple[int, int], tuple[str, ...]] = field(repr=False)

    def setting(self, name: str) -> Floats:
        """One numeric field of every role, shape ``(roles,)``."""
        return np.array([getattr(role, name) for role in self.settings], dtype=np.float64)

    def works_on(self, kind: int, tool: int) -> tuple[str, ...]:
        """Resources that a kind of task uses a tool on; empty where it does not need the tool."""
        return self._work.get((kind, tool), ())

    def tool_names(self, mask: int) -> tuple[str, ...]:
        """Names of the tools of a mask, alphabetically."""
        return _names(self.tools, int(mask))

    def resource_names(self, mask: int) -> tuple[str, ...]:
        """Names of the resources of a mask, alphabetically."""
        return _names(self.resources, int(mask))


@lru_cache(65_536)
def _names(names: tuple[str, ...], mask: int) -> tuple[str, ...]:
    return tuple(name for code, name in enumerate(names) if mask >> code & 1)


def compile_roles(scenario: Scenario, tenant: int) -> Catalogue:
    """Make the tables of those roles that the roots of a tenant lead to."""
    reached = reachable(scenario.roles, scenario.roots_of(tenant))
    roles = [scenario.roles[name] for name in reached]
    tools = sorted({tool for role in roles for tool in role.tools})
    resources = sorted({name for role in roles for name in role.resources})
    kinds = [(code, kind) for code, role in enumerate(roles) for kind in role.tasks]
    work = [roles[code].tools_of(kind) for code, kind in kinds]
    below = _below(roles, reached)
    kind_weights = np.zeros((len(roles), len(kinds)))
    for number, (code, kind) in enumerate(kinds):
        kind_weights[code, number] = kind.weight
    levels = scenario.policy.levels
    own_level = np.array([levels.index(role.level) for role in roles])
    return Catalogue(
        roles=tuple(reached),
        tools=tuple(tools),
        resources=tuple(resources),
        settings=tuple(roles),
        kind_role=np.array([code for code, _ in kinds]),
        first_kind=np.searchsorted([code for code, _ in kinds], np.arange(len(roles) + 1)),
        kind_text=tuple(kind.text for _, kind in kinds),
        kind_tools=_masks(tools, work),
        kind_resources=_masks(resources, [{r for names in uses.values() for r in names} for uses in work]),
        tool_resources=_masks(
            resources, [[r for role in roles for r in role.tools.get(tool, ())] for tool in tools]
        ),
        role_tools=_masks(tools, [{t for code in codes for t in roles[code].tools} for codes in below]),
        role_resources=_masks(
            resources, [{r for code in codes for r in roles[code].resources} for codes in below]
        ),
        role_level=np.array([max(own_level[code] for code in codes) for codes in below]),
        levels=levels,
        kinds=Choices(kind_weights),
        children=Choices(np.array([[role.child_roles.get(name, 0.0) for name in reached] for role in roles])),
        first_tool=Choices(
            np.array([_start(roles[code], uses, tools) for (code, _), uses in zip(kinds, work, strict=True)])
        ),
        next_tool=Choices(
            np.array(
                [
                    row
                    for (code, _), uses in zip(kinds, work, strict=True)
                    for row in _chain(roles[code], uses, tools)
                ]
            )
        ),
        resource=Choices(
            np.array([[float(r in uses.get(tool, ())) for r in resources] for uses in work for tool in tools])
        ),
        any_tool=Choices(np.array([[float(tool in role.tools) for tool in tools] for role in roles])),
        any_resource=Choices(np.array([[float(r in role.resources) for r in resources] for role in roles])),
        _work={
            (number, tools.index(tool)): names
            for number, uses in enumerate(work)
            for tool, names in uses.items()
        },
    )


def _below(roles: Sequence[Role], names: Sequence[str]) -> list[set[int]]:
    """For each role, the codes of itself and of all roles that it may lead to."""
    by_name = dict(zip(names, roles, strict=True))
    return [{names.index(name) for name in reachable(by_name, {own: 1.0})} for own in names]


def _masks(names: Sequence[str], sets: Iterable[Iterable[str]]) -> Masks:
    places = {name: code for code, name in enumerate(names)}
    return np.array([sum({1 << places[name] for name in members}) for members in sets], dtype=np.uint64)


def _start(role: Role, uses: Mapping[str, tuple[str, ...]], tools: Sequence[str]) -> list[float]:
    """Weights of the first tool of a task; all its tools alike where the role's start has none of them."""
    weights = [role.start.get(tool, 0.0) if tool in uses else 0.0 for tool in tools]
    return weights if any(weights) else [float(tool in uses) for tool in tools]


def _chain(role: Role, uses: Mapping[str, tuple[str, ...]], tools: Sequence[str]) -> list[list[float]]:
    """One row of weights per tool: what the task calls next."""
    start = _start(role, uses, tools)
    rows = []
    for tool in tools:
        row = role.chain.get(tool, {})
        weights = [row.get(following, 0.0) if following in uses else 0.0 for following in tools]
        rows.append(weights if any(weights) else start)
    return rows
