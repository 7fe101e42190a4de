"""What the ``scale`` report says in words: verdict, numbers, method and limits."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from agentsim.lineage.bars import COMPLETED
from agentsim.reporting import words
from agentsim.reporting.origin import made_with, origin
from agentsim.reporting.scale.costs import bend
from agentsim.reporting.scale.tables import Scale
from agentsim.reporting.summary import Number

#: An operation may cost this much more late in a Run before the verdict says so.
_BEND = 1.2


def tone(scale: Scale) -> Literal["good", "watch", "bad"]:
    """Whether the Run went as it should."""
    if scale.honoured:
        return "bad"
    return "watch" if scale.summary.exposed_calls or scale.wall.late_over_early > _BEND else "good"


def verdict(scale: Scale) -> str:
    """The report in one sentence."""
    summary = scale.summary
    each = words.duration(scale.wall.us_per_agent)
    people = f" and {words.count(summary.people)} people" if summary.people else ""
    first = f"{words.plural(summary.agents, 'agent')}{people} took {each} of server time each"
    cost = bend(scale).partition(" (")[0]
    cost = cost[0].lower() + cost[1:]
    if scale.honoured:
        late = words.plural(scale.honoured, "operation was", "operations were")
        return f"{late} honoured after the grant had ended, which must not happen; {first}."
    if not summary.marks:
        return f"{first}; {cost}; no grant was ended before its time."
    if summary.exposed_calls:
        exposed = words.plural(summary.exposed_calls, "call")
        return (
            f"{first}; {cost}; resource servers that decide by themselves honoured {exposed} after the grant's end, "
            "the token server none."
        )
    return f"{first}; {cost}, and no grant was honoured after its end."


def numbers(scale: Scale) -> list[Number]:
    """The three numbers."""
    wall = scale.wall
    return [
        Number(
            value=words.duration(wall.us_per_agent),
            label="server time per agent",
            note=f"{words.number(wall.operations / max(1, wall.agents))} operations each",
        ),
        Number(
            value=f"{words.count(1e6 / wall.us_per_operation)}/s" if wall.server_us else "–",
            label="operations per second of server time",
            note="signed, checked, stored and audited",
        ),
        Number(
            value=words.count(scale.honoured) if scale.summary.marks else "–",
            label="operations honoured by the token server after the grant's end",
            note=f"{words.count(scale.turned_away)} were tried and refused"
            if scale.summary.marks
            else "no grant was ended before its time",
        ),
    ]


def what_it_did(scale: Scale) -> pd.DataFrame:
    """The Run at a glance: a thing and its number in words per row."""
    summary = scale.summary
    completed = int((scale.marks["reason"] == COMPLETED).sum())
    rows = {
        "simulated time": words.duration(scale.simulated_us),
        "tenants": words.count(summary.tenants),
        "agents": words.count(summary.agents),
        **({"people": words.count(summary.people)} if summary.people else {}),
        "grants": words.count(summary.grants),
        "lineage trees": words.count(summary.trees),
        "deepest delegation": words.count(summary.max_depth),
        "operations": words.count(summary.operations),
        "refused": f"{words.count(summary.refusals)} ({words.percent(summary.refusals / max(1, summary.operations))})",
        "revocations": words.count(len(scale.marks) - completed),
        "grants ended with their task": words.count(completed),
        **(
            {
                "honoured after the grant's end by resource servers": words.plural(
                    summary.exposed_calls, "call"
                )
            }
            if summary.exposed_calls
            else {}
        ),
        **{
            f"attack: {kind.replace('_', ' ')}": f"{words.plural(attack.instances, 'time')}, {words.plural(attack.operations, 'operation')}"
            for kind, attack in summary.attacks.items()
        },
        "wall time": f"{words.duration(scale.wall.server_us)} in the server, {words.duration(scale.wall.all_us)} in all",
    }
    return pd.DataFrame({"what": list(rows), "how much": list(rows.values())})


def method(scale: Scale) -> list[str]:
    """How the numbers were come by."""
    return [
        origin(
            scale.run,
            drawn="agents, their tasks, refusals and attackers are",
            recorded="one verification for each tool call",
        ),
        "Operations reach the server in batches, in causal order, window by window of simulated time; each batch is one database transaction.",
        "Wall time is measured around the server's own stages. What simulating the agents took is left out of every number per agent or operation.",
        _about_latencies(scale.run.manifest.source),
        "Early and late cost compare the first and the last quarter of the operations, each with what the same operations and batches cost on average in this run (a least-squares fit over all windows).",
        "That ends are kept is checked by order: no decision on a grant may be granted once a revocation or the completion of its task has ended the grant or one above it.",
        made_with(scale.run),
    ]


def _about_latencies(source: dict[str, Any]) -> str:
    if source.get("workload", {}).get("clock") == "wall":
        return "Operations were handed over in real time; how long an answer took is counted from the moment at which its operation was meant to begin."
    return "How long an answer took is the wall time of the batch that it came in."


def limits(scale: Scale) -> list[str]:
    """What the numbers do not say."""
    said = [
        "Wall times are those of one machine, one process per tenant and an embedded database; compare runs made on the same machine.",
        "Network, TLS and HTTP are not in these numbers: operations are handed over in process.",
        "Memory is that of the whole process, the simulated agents included.",
        "The time until rows are filled in is simulated time: it says how late the records were, not how long anybody could act.",
    ]
    if scale.run.manifest.kind == "simulation":
        said.append(
            "Agents and attackers behave as the scenario says; how real agents delegate is not known well enough to claim more."
        )
    elif not scale.run.manifest.source.get("timing", True):
        said.append(
            "The traces have no clock: operations per window say how the replay was cut, not when agents acted."
        )
    return said
