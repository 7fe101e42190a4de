"""The features of a grant, a lineage tree or an agent: what each means, and in which unit."""

from __future__ import annotations

from dataclasses import dataclass

from agentsim.risk.reasons import REFUSALS
from agentsim.risk.states import KINDS, EntityKind


@dataclass(frozen=True)
class Feature:
    """One feature.

    Attributes
    ----------
    family : one of :data:`FAMILIES`.
    unit, meaning : in words; "it" is the grant, all grants of the tree, or all doings of the agent.
    kinds : what it is a feature of.
    """

    family: str
    unit: str
    meaning: str
    kinds: tuple[EntityKind, ...] = KINDS


_GRANT: tuple[EntityKind, ...] = ("grant",)
_MANY: tuple[EntityKind, ...] = ("tree", "agent")
_AGENT: tuple[EntityKind, ...] = ("agent",)

#: What the features of each family are about.
FAMILIES: dict[str, str] = {
    "count": "how often something happened",
    "rate": "how often, for each time that something else happened",
    "outcome": "what tool calls came to, where resource servers report it",
    "refusal": "what was refused, by what was wrong with it",
    "diversity": "how many different tools and resources were used, and in which order",
    "caller": "who presented the tokens, and from where",
    "scope": "what was granted, and how much of it was used",
    "tree": "where a grant stands in its tree",
    "identity": "an agent's name, its registration and whom it has ended",
    "peer": "what others of the same role, or on the same task, do not do or hardly ever do",
    "timing": "when something happened; only where the times of a Run mean anything",
}

FEATURES: dict[str, Feature] = {
    "decisions": Feature("count", "events", "decisions about it, its issue aside"),
    "verifies": Feature("count", "events", "verifications of its tokens"),
    "executions": Feature("outcome", "events", "tool calls whose outcome was reported"),
    "refreshes": Feature("count", "events", "times that its tokens were refreshed"),
    "introspections": Feature("count", "events", "introspections of its tokens"),
    "foreign_lookups": Feature(
        "count", "events", "introspections by resource servers that its tokens are not for"
    ),
    "idle_refreshes": Feature("count", "events", "refreshes after which nothing was used before the next"),
    "children": Feature("count", "grants", "child grants made under it"),
    "own_children": Feature(
        "count", "requests", "child grants that an agent asked for under a grant of its own"
    ),
    "grants": Feature("count", "grants", "grants made within it", _MANY),
    "cost": Feature("count", "units", "units of budgets that its calls have cost"),
    "refused_share": Feature("rate", "share", "decisions that were refusals"),
    "error_share": Feature("outcome", "share", "executions that failed"),
    "executions_per_verify": Feature("outcome", "ratio", "executions for each verification"),
    "refreshes_per_verify": Feature("rate", "ratio", "refreshes for each verification"),
    "introspections_per_verify": Feature("rate", "ratio", "introspections for each verification"),
    **{
        f"refused_{group}": Feature("refusal", "events", f"refusals of the group {group.replace('_', ' ')}")
        for group in REFUSALS
    },
    "excess_asked": Feature(
        "refusal", "names", "scopes, tools and resources asked for beyond what was allowed"
    ),
    "tools": Feature("diversity", "tools", "distinct tools used"),
    "resources": Feature("diversity", "resources", "distinct resources used"),
    "tool_entropy": Feature("diversity", "bits", "Shannon entropy of the tools used"),
    "most_repeats": Feature("diversity", "uses", "uses of the tool used most"),
    "longest_run": Feature(
        "diversity", "uses", "uses of one tool on the same resources one after the other, at most"
    ),
    "transitions": Feature("diversity", "pairs", "distinct pairs of a tool and the tool used next"),
    "callers": Feature("caller", "callers", "distinct callers that presented its tokens"),
    "source_ips": Feature("caller", "addresses", "distinct source addresses of its events"),
    "caller_changes": Feature("caller", "changes", "times the caller changed from one event to the next"),
    "address_changes": Feature(
        "caller", "changes", "times the source address changed from one event to the next"
    ),
    "caller_returns": Feature("caller", "changes", "changes back to a caller that was there before"),
    "address_returns": Feature("caller", "changes", "changes back to a source address that was there before"),
    "granted_tools": Feature("scope", "tools", "tools granted", _GRANT),
    "granted_resources": Feature("scope", "resources", "resources granted", _GRANT),
    "used_tools_share": Feature("scope", "share", "distinct tools used for each tool granted", _GRANT),
    "used_resources_share": Feature(
        "scope", "share", "distinct resources used for each resource granted", _GRANT
    ),
    "tools_of_parent": Feature(
        "scope", "share", "tools granted for each tool of the parent (1 for a root)", _GRANT
    ),
    "depth": Feature("tree", "levels", "delegations between the root and it", _GRANT),
    "elder_siblings": Feature("tree", "grants", "grants that its parent had made before it", _GRANT),
    "namesakes": Feature(
        "identity", "agents", "agents that had been registered before it under nearly its name", _AGENT
    ),
    "withdrawn_uses": Feature(
        "identity", "uses", "uses of tools that it is no longer registered for", _AGENT
    ),
    "ended_others": Feature("identity", "grants", "grants of other agents that it ended", _AGENT),
    **{
        f"{what}_{how}_{whose}": Feature(
            "peer",
            what,
            f"{what} it used that {share} of the grants of its {whose} in the reference used",
            _GRANT,
        )
        for what in ("tools", "resources", "transitions")
        for how, share in (("new", "none"), ("rare", "fewer than 1 in 100"))
        for whose in ("role", "task")
    },
    "active_s": Feature("timing", "seconds", "from its first event to its last"),
    "pause_mean_s": Feature("timing", "seconds", "mean time between its events; an hour at most counts"),
    "burstiness": Feature("timing", "-1 to 1", "(s - m) / (s + m) of the times between its events"),
}


def families(*names: str, kind: EntityKind | None = None) -> list[str]:
    """The features of some families, in order; those of one kind of entity where it is given."""
    return [
        name
        for name, feature in FEATURES.items()
        if feature.family in names and (kind is None or kind in feature.kinds)
    ]
