"""What the ``lineage`` report says in words: verdict, numbers, method and limits."""

from __future__ import annotations

from typing import Literal

from agentsim.reporting import words
from agentsim.reporting.lineage.tables import Lineage
from agentsim.reporting.origin import made_with, origin
from agentsim.reporting.summary import Number


def tone(facts: Lineage) -> Literal["good", "watch", "bad"]:
    """Whether what was revoked had ended."""
    if facts.honoured:
        return "bad"
    return "watch" if facts.longest_exposure else "good"


def verdict(facts: Lineage) -> str:
    """The report in one sentence."""
    if not len(facts.forest):
        return "No grant was issued in this run."
    if not facts.deepest:
        return f"None of the {words.plural(len(facts.forest), 'grant')} was passed on; {_ends(facts)}."
    chain = f"chains are {words.plural(facts.deepest, 'delegation')} long at most"
    return f"{words.percent(facts.narrower)} of the delegated grants hold less than their parent; {chain}; {_ends(facts)}."


def _ends(facts: Lineage) -> str:
    if facts.honoured:
        return f"{words.plural(facts.honoured, 'use was', 'uses were')} honoured after the grant's end, which must not happen"
    if facts.revocations.empty:
        return "nothing was revoked"
    if facts.longest_exposure:
        return f"what was revoked was honoured by resource servers for up to {words.duration(facts.longest_exposure)}, by the token server not at all"
    return "what was revoked ended at once"


def numbers(facts: Lineage) -> list[Number]:
    """The three numbers."""
    same = 1 - facts.narrower
    uses = int(facts.revocations["refused"].sum())
    length = words.duration(facts.longest_exposure) if facts.longest_exposure else "at once"
    return [
        Number(
            value=words.percent(facts.narrower),
            label="of the delegated grants hold less than their parent",
            note=f"{words.percent(same)} hold the same" if facts.deepest else "no grant was delegated",
        ),
        Number(
            value=words.count(facts.deepest),
            label="delegations in the longest chain",
            note=f"in {words.plural(len(facts.trees), 'lineage tree')} of {words.plural(len(facts.forest), 'grant')}",
        ),
        Number(
            value="–" if facts.revocations.empty else "never" if facts.honoured else length,
            label="from a revocation until nothing below it was honoured",
            note="nothing was revoked"
            if facts.revocations.empty
            else f"{words.plural(uses, 'later use')} refused after {words.plural(len(facts.revocations), 'revocation')}",
        ),
    ]


def method(facts: Lineage) -> list[str]:
    """How the numbers were come by."""
    return [
        origin(
            facts.run,
            drawn="who delegates to whom, how much, and who attacks is",
            recorded="who delegated to whom is recorded, what each was granted follows from what it used",
        ),
        "A tree is a root grant and all that was delegated from it, at any depth. Two trees have the same shape if one can be laid on the other, whoever is in them.",
        "A child keeps a member of its parent's scope if it holds it whole: file_read:github is given up where only file_read:github/docs is passed on.",
        "A member of a scope counts as used once a verification under it was let through.",
        "A revocation ends the grants that carry its mark and were not ended before. Uses after it are verifications, refreshes and requests for a child; their order is that of the audit log.",
        "Tasks that were completed end their grants, too. They are no revocations and are left out of those figures.",
        "Attacks are shown where the run's labels name them. Labels are answers: nothing that judges ever reads them.",
        made_with(facts.run),
    ]


def limits(facts: Lineage) -> list[str]:
    """What the numbers do not say."""
    said = [
        "Unused scope is what was not used in this run; it may have been needed another time.",
        "That nothing is honoured after a revocation holds where the token server is asked. A resource server that decides by itself is counted as far as the run has such.",
        "The tree that is shown is one of many, chosen because something happened in it.",
    ]
    if facts.run.manifest.kind == "simulation":
        said.append(
            "Agents delegate as the scenario's roles say, and simulated attacks are our own invention: the figures say what the server makes of that, not how real agents delegate."
        )
    elif not facts.run.manifest.source.get("timing", True):
        said.append("The traces have no clock: times say how the replay was cut, not when agents acted.")
    return said
