"""Refusals by what was wrong, so that a feature does not hang on one machine code."""

from __future__ import annotations

#: Groups of reasons. What is in none is ``other``.
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
        "task_terminated",
        "refresh_expired",
        "refresh_revoked",
    ),
    "parent_ended": ("parent_expired", "parent_revoked"),
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

GROUPS = tuple(REFUSALS)
_GROUP_OF = {reason: place for place, group in enumerate(GROUPS) for reason in REFUSALS[group]}


def group_of(reason: str) -> int:
    """The place of a reason's group in :data:`GROUPS`."""
    return _GROUP_OF.get(reason, len(GROUPS) - 1)
