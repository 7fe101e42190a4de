"""The features of a grant: what each means, in which unit, and which refusals are counted together."""

from dataclasses import dataclass

#: Refusals by what was wrong, so that a feature does not hang on one machine code.
REFUSALS: dict[str, tuple[str, ...]] = {
    "beyond_parent": (
        "scope_exceeds_parent",
        "tools_exceed_parent",
        "resources_exceed_parent",
        "level_exceeds_parent",
        "scope_widened",
    ),
    "beyond_registration": (
        "scope_exceeds_registration",
        "tools_exceed_registration",
        "resources_exceed_registration",
        "level_exceeds_registration",
    ),
    "not_granted": (
        "insufficient_scope",
        "tool_not_granted",
        "resource_not_granted",
        "level_too_low",
        "not_entitled",
    ),
    "limit": ("depth_exceeded", "fanout_exceeded"),
    "ended": (
        "expired",
        "revoked",
        "parent_expired",
        "parent_revoked",
        "task_terminated",
        "refresh_expired",
        "refresh_revoked",
    ),
    "refresh_reuse": ("refresh_reused",),
    "wrong_task": ("task_mismatch", "parent_task_mismatch", "not_delegated"),
    "credential": (
        "agent_inactive",
        "bad_signature",
        "invalid_client",
        "parent_invalid",
        "refresh_invalid",
        "token_malformed",
        "wrong_client",
    ),
    "other": (),
}


@dataclass(frozen=True)
class Feature:
    """One feature: its family, unit and meaning."""

    family: str
    unit: str
    meaning: str


#: Families: ``count``, ``rate``, ``outcome`` (reports of what a tool call came to), ``refusal``, ``diversity``, ``caller``, ``scope``, ``tree``, ``peer``
#: (compared with the other grants of the Run) and ``timing`` (only where the Run's times mean anything).
FEATURES: dict[str, Feature] = {
    "decisions": Feature("count", "events", "decisions about the grant after its issue"),
    "verifies": Feature("count", "events", "verifications of its tokens"),
    "executions": Feature("outcome", "events", "tool calls whose outcome was reported"),
    "refreshes": Feature("count", "events", "refreshes asked for"),
    "introspections": Feature("count", "events", "introspections of its tokens"),
    "children": Feature("count", "grants", "child grants made under it"),
    "refused_share": Feature("rate", "share", "decisions that were refusals"),
    "error_share": Feature("rate", "share", "uses of tools whose execution failed"),
    "executions_per_verify": Feature("outcome", "ratio", "executions for each granted verification"),
    "refreshes_per_verify": Feature("rate", "ratio", "refreshes for each verification"),
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
    "transitions": Feature("diversity", "pairs", "distinct pairs of a tool and the tool used next"),
    "callers": Feature("caller", "callers", "distinct callers that presented its tokens"),
    "source_ips": Feature("caller", "addresses", "distinct source addresses of its events"),
    "caller_changes": Feature("caller", "changes", "times the caller changed from one event to the next"),
    "address_changes": Feature(
        "caller", "changes", "times the source address changed from one event to the next"
    ),
    "granted_tools": Feature("scope", "tools", "tools granted"),
    "granted_resources": Feature("scope", "resources", "resources granted"),
    "used_tools_share": Feature("scope", "share", "granted tools that were used"),
    "used_resources_share": Feature("scope", "share", "granted resources that were used"),
    "tools_of_parent": Feature("scope", "share", "tools granted for each tool of the parent (1 for a root)"),
    "depth": Feature("tree", "levels", "delegations between the root and the grant"),
    "siblings": Feature("tree", "grants", "other grants under the same parent"),
    "descendants": Feature("tree", "grants", "grants below it, at any depth"),
    "tree_size": Feature("tree", "grants", "grants in its tree"),
    **{
        f"{what}_{how}_{whose}": Feature(
            "peer", what, f"{what} used that {share} of the other grants of its {whose} used"
        )
        for what in ("tools", "resources", "transitions")
        for how, share in (("new", "none"), ("rare", "fewer than 1 in 100"))
        for whose in ("role", "task")
    },
    "active_s": Feature("timing", "seconds", "from its issue to its last event"),
    "gap_mean_s": Feature("timing", "seconds", "mean time between its events"),
    "burstiness": Feature("timing", "-1 to 1", "(s - m) / (s + m) of the times between its events"),
}


def families(*names: str) -> list[str]:
    """The features of some families, in order."""
    return [name for name, feature in FEATURES.items() if feature.family in names]
