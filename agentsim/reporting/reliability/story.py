"""What the ``reliability`` report says in words: verdict, numbers, tables, method and limits."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from agentsim.experiments.soak import Drift
from agentsim.experiments.soak.load.drift import LEAST_S, MARGIN
from agentsim.reporting import words
from agentsim.reporting.figures import Folded, Note, Table
from agentsim.reporting.reliability.facts import TRIALS, Facts
from agentsim.reporting.summary import Number


def tone(facts: Facts) -> Literal["good", "watch", "bad"]:
    """Whether it stood all that."""
    if facts.lost or facts.let_in:
        return "bad"
    return "watch" if facts.unasked or facts.grows or facts.overloaded else "good"


def verdict(facts: Facts) -> str:
    """The report in one sentence."""
    wrong = [
        f"{words.plural(facts.lost, 'answered operation was', 'answered operations were')} lost"
        if facts.lost
        else "",
        f"{words.plural(facts.let_in, 'time', 'times')} something was let in that had to be refused"
        if facts.let_in
        else "",
        f"{words.plural(facts.unasked, 'error')} came that nothing had asked for" if facts.unasked else "",
    ]
    found = "; ".join(filter(None, wrong)) or (
        "Nothing was lost, nobody was let in, and no error came that nothing had asked for"
    )
    grown = f"; {' and '.join(facts.grows)} grew" if facts.grows else ""
    late = (
        f"; {words.percent(facts.soak.dropped)} of the requests under load were dropped, the machine being too busy"
        if facts.overloaded
        else ""
    )
    return f"{found}, in {_listed(facts)}{grown}{late}."


def numbers(facts: Facts) -> list[Number]:
    """The three numbers."""
    others = [words.plural(facts.tried(part), TRIALS[part]) for part in ("kills", "faults", "bad inputs")]
    if len(facts.seconds):
        level = facts.waits.level if facts.waits else float(facts.seconds["p99_ms"].median())
        last = Number(
            value=words.duration(1e3 * level),
            label="p99 of a second under load, the median",
            note=f"memory {_moved(facts.memory)}; p99 {'cut off by dropped requests' if facts.overloaded else _moved(facts.waits)}",
        )
    else:
        last = Number(value=words.count(facts.unasked), label="errors that nothing had asked for")
    return [
        Number(
            value=words.count(facts.operations),
            label="operations answered and judged",
            note=", ".join(others),
        ),
        Number(
            value=f"{words.count(facts.lost)} / {words.count(facts.let_in)}",
            label="lost / let in that had to be refused",
            note=f"{words.plural(facts.unasked, 'error')} that nothing had asked for",
        ),
        last,
    ]


def what_was_done(facts: Facts) -> Table:
    """The soak at a glance."""
    told = facts.soak.manifest
    rows = {
        "parts": ", ".join(told.parts),
        "database": told.database,
        "under load": f"{words.duration(1e6 * told.seconds)}, {words.number(told.rate)} requests a second on {told.connections} connections"
        if "load" in told.parts
        else "left out",
        **{f"{TRIALS[part]}s": words.count(facts.tried(part)) for part in TRIALS if part != "load"},
        "operations": words.count(facts.operations),
        "wall time": words.duration(1e6 * told.wall_seconds),
    }
    return Table(pd.DataFrame({"what": list(rows), "how much": list(rows.values())}), "The soak in numbers")


def tallies(facts: Facts) -> Table:
    """Every kind of trial, with what went wrong."""
    every = facts.soak.manifest.tallies
    table = pd.DataFrame(
        {
            "part": [each.part for each in every],
            "tried": [each.name for each in every],
            "times": [each.tried for each in every],
            "operations": [each.operations for each in every],
            "lost": [each.lost for each in every],
            "let in": [each.let_in for each in every],
            "errors": [each.unasked for each in every],
        }
    )
    unsound = sum(not each.sound for each in every)
    kinds = words.plural(len(every), "kind")
    told = (
        f"In {unsound} of {kinds} of trials something went wrong"
        if unsound
        else f"Nothing went wrong in {kinds} of trials"
    )
    return Table(table, told)


def notes(facts: Facts) -> Folded | Note:
    """What went wrong, in sentences."""
    rows = [(each.name, sentence) for each in facts.soak.manifest.tallies for sentence in each.notes]
    if not rows:
        return Note("There is nothing to tell of single trials.")
    return Folded(
        pd.DataFrame(rows, columns=["tried", "what went wrong"]), "What went wrong, the first of each kind"
    )


def method(facts: Facts) -> list[str]:
    """How the numbers were come by."""
    told = facts.soak.manifest
    made = ", ".join(f"{name} {version}" for name, version in sorted(told.versions.items()))
    said = [
        "agentsim serve runs as a process of its own, as anybody would start it; all that is asked goes over HTTP on loopback, and every answer is judged.",
        "Lost: an answered operation that is not there afterwards, or half of one that is. Let in: a token, credentials or a body that had to be refused, and was not. An error: a "
        "status of 500, no answer, or a refusal of what had to be granted.",
        "Under load, access tokens live for seconds: trees are issued, exchanged, refreshed, revoked or left to expire all along, what must be refused is presented at verification, introspection and "
        "exchange in turn, and the clean-up removes trees that become long enough over meanwhile. An answer's time counts from the moment at which its request was meant to begin; a request whose "
        "connection is not free within a second of it is dropped, and counted.",
        f"Flat: over the second half of the load, growth of more than {MARGIN:.0%} of the median an hour is ruled out (interval of 95 % of Theil and Sen's slope through medians of equal "
        f"stretches). Grows: the whole interval is above none, and reaches beyond that. Unclear: neither can be told. Halves shorter than {LEAST_S} seconds are not judged.",
        "Memory is what the server's processes have resident, sampled each second.",
        f"Made with {made}" + (f", commit {told.commit[:12]}." if told.commit else "."),
    ]
    return said


def limits(facts: Facts) -> list[str]:
    """What the numbers do not say."""
    left_out = {"load", "kills", "faults", "inputs"} - set(facts.soak.manifest.parts)
    said = [
        "None in so many trials is no proof of none: of n trials without a fault, the rate of faults may still be as high as 3/n (95 %).",
        "Load, server and database share one machine: times are of that machine and of whatever else it did.",
        "What was tried was thought of by those who wrote the server. Attackers may think of something else.",
        "A server keeps what it has read and checked, each kind up to a bound, and pages of an SQLite database up to 256 MB: memory grows until these are full, and a soak that ends "
        "before tells nothing of what comes after.",
        "A kill ends the server's process, not the machine: what a disk has promised to keep and does not is not seen.",
        "Stretches of a curve resemble their neighbours, so the intervals of slopes are rather too narrow, and what grows over days cannot be seen in minutes.",
    ]
    if left_out:
        said.insert(0, f"This soak left out: {', '.join(sorted(left_out))}.")
    return said


def _listed(facts: Facts) -> str:
    done = {part: facts.tried(part) for part in ("kills", "faults", "bad inputs")}
    parts = [words.plural(facts.operations, "operation")]
    parts += [words.plural(count, TRIALS[part]) for part, count in done.items() if count]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _moved(found: Drift | None) -> str:
    return "too short" if found is None else found.verdict
