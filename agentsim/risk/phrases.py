"""What was unusual, in words for people: of a feature's value, and of a word that a detector was surprised at."""

from __future__ import annotations

import re
from functools import cache

from agentsim.risk.catalogue import FEATURES

_REFUSED = {
    "beyond_parent": "asking for more than its parent has",
    "beyond_registration": "asking for more than it is registered for",
    "not_granted": "something that it was not granted",
    "limit": "the depth or number of its children",
    "ended": "using what had ended",
    "parent_ended": "using a parent that had ended",
    "refresh_reuse": "a refresh token that was used up",
    "wrong_task": "a task that is not its own",
    "credential": "credentials that do not hold",
    "other": "other reasons",
}
_PEER = {
    "tools": "used {} tool(s)",
    "resources": "turned to {} resource(s)",
    "transitions": "took {} step(s) from one tool to the next",
}
_HOW = {"new": "that no grant of its {} has", "rare": "that fewer than 1 in 100 grants of its {} have"}

#: What a value of a feature is told as: ``{}`` is the value, ``(s)`` and ``(es)`` are left out for one.
PHRASES: dict[str, str] = {
    "decisions": "was decided about {} time(s)",
    "verifies": "had its tokens verified {} time(s)",
    "executions": "had the outcome of {} tool call(s) reported",
    "refreshes": "had its tokens refreshed {} time(s)",
    "introspections": "had its tokens looked up {} time(s)",
    "foreign_lookups": "had its tokens looked up {} time(s) by servers that they are not for",
    "idle_refreshes": "was refreshed {} time(s) without any use before the next",
    "children": "made {} child grant(s)",
    "own_children": "asked for {} child grant(s) under a grant of its own",
    "grants": "has {} grant(s)",
    "cost": "spent {} unit(s) of budgets",
    "refused_share": "was refused in {} of its decisions",
    "error_share": "failed in {} of its calls",
    "executions_per_verify": "had {} call(s) reported for each verification",
    "refreshes_per_verify": "was refreshed {} time(s) for each verification",
    "introspections_per_verify": "was looked up {} time(s) for each verification",
    **{f"refused_{group}": f"was refused {{}} time(s) for {why}" for group, why in _REFUSED.items()},
    "excess_asked": "asked for {} thing(s) beyond what is allowed",
    "tools": "used {} tool(s)",
    "resources": "turned to {} resource(s)",
    "tool_entropy": "mixed its tools with {} bit(s) of entropy",
    "most_repeats": "used one tool {} time(s)",
    "longest_run": "used one tool {} time(s) in a row",
    "transitions": "went from tool to tool in {} way(s)",
    "callers": "was presented by {} caller(s)",
    "source_ips": "came from {} address(es)",
    "caller_changes": "changed its caller {} time(s)",
    "address_changes": "changed its address {} time(s)",
    "caller_returns": "went back {} time(s) to a caller that it had before",
    "address_returns": "went back {} time(s) to an address that it had before",
    "granted_tools": "was granted {} tool(s)",
    "granted_resources": "was granted {} resource(s)",
    "used_tools_share": "used {} of the tools granted",
    "used_resources_share": "used {} of the resources granted",
    "tools_of_parent": "was granted {} of its parent's tools",
    "depth": "lies {} level(s) below its root",
    "elder_siblings": "came after {} other child grant(s) of its parent",
    "namesakes": "has nearly the name of {} agent(s) registered before it",
    "withdrawn_uses": "used tools {} time(s) that it is no longer registered for",
    "ended_others": "ended {} grant(s) of other agents",
    **{
        f"{what}_{how}_{whose}": f"{phrase} {rarity.format(whose)}"
        for what, phrase in _PEER.items()
        for how, rarity in _HOW.items()
        for whose in ("role", "task")
    },
    "active_s": "was at work for {} second(s)",
    "pause_mean_s": "paused {} second(s) between its events",
    "burstiness": "has pauses of burstiness {}",
}

#: Features that are a share of something, told in per cent.
_SHARES = {name for name, feature in FEATURES.items() if feature.unit == "share"}
_PLURAL = re.compile(r"\((e?s)\)")


def feature_phrase(name: str, value: float) -> str:
    """A feature's value as what was done: ``turned to 41 resources``."""
    phrase = PHRASES.get(name, f"{name.replace('_', ' ')}: {{}}")
    return _PLURAL.sub("" if value == 1 else r"\1", phrase).format(feature_value(name, value))


def feature_value(name: str, value: float) -> str:
    """A feature's value: shares in per cent, else three digits, whole numbers whole."""
    if name in _SHARES:
        return f"{100 * value:.3g} %"
    # Percentiles lie between the values that there are, by the little that a logarithm and back leaves.
    near = round(value)
    return f"{near:,}" if abs(value - near) < 1e-6 or abs(value) >= 1000 else f"{value:.3g}"


def word_phrase(word: str) -> str:
    """A detector's word as what was done: ``use mail_send #2`` is told as ``used mail_send again``."""
    verb, _, rest = word.partition(" ")
    name, _, number = rest.rpartition("#")
    name, again = name.strip(), "" if number == "1" else " again"
    match verb:
        case "use":
            return f"used {name}{again}"
        case "refused":
            return f"was refused{again}: {name.replace('_', ' ')}"
        case "caller" | "source_ip":
            place = "caller" if verb == "caller" else "address"
            return f"changed its {place}{again}"
        case "then":
            before, _, after = rest.partition(" > ")
            return f"began with {after}" if before == "start" else f"{after} right after {before}"
        case "on":
            return f"turned to {rest}"
        case _:
            return word


def without_numbers(reason: str) -> str:
    """What a reason is about, the same for all values: what follows is left out, and numbers are told as N."""
    for template, pattern in _patterns():
        if pattern.match(reason):
            return _PLURAL.sub(r"\1", template).format("N")
    return reason.partition(", as 1 in ")[0]


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    found = []
    for template in PHRASES.values():
        parts = [re.escape(part) for part in _PLURAL.sub(r"\0\1\0", template).split("\0")]
        # Every second part is a plural's ending.
        parts[1::2] = [f"(?:{part})?" for part in parts[1::2]]
        text = "".join(parts).replace(r"\{\}", r"[\d.,e+-]+(?: %)?")
        found.append((template, re.compile(rf"{text}(?: \(|$)")))
    return tuple(found)
