"""The figures of one Run that a comparison sets side by side, each with what it would vary by from seed to seed.

A count is a sum over things that do not depend on each other: trees and marks. Where these come independently, the sum of the
squares of their parts estimates its variance (the compound Poisson process). So a single Run tells how much another
seed would have differed; for wall times, and for the largest of something, it does not. On twelve seeds of the demo with
300 agents each, figures varied by 0.2 to 1.1 times what single Runs told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from agentsim.lineage.bars import COMPLETED
from agentsim.reporting import words
from agentsim.reporting.scale.tables import Scale
from agentsim.run import Run

#: Operations whose waiting times are told, where there are any.
_WAITING = {"Verify": ("p50", "p95", "p99"), "Issue": ("p95",), "Revoke": ("p95",)}
#: Refusals of a tree stand together; what belongs to no tree stands alone.
_PARTS = """
    SELECT reason::VARCHAR AS reason, sum(times)::DOUBLE AS total, sum(times * times)::DOUBLE AS squares FROM (
        SELECT {reason} AS reason, tenant, coalesce(root_grant_id, log_id) AS part, count(*) AS times
        FROM audit WHERE event_type <> 'token_ended' {which} GROUP BY ALL
    ) GROUP BY 1
"""


@dataclass(frozen=True)
class Measure:
    """One figure of one Run.

    Attributes
    ----------
    name : what it is, with its unit.
    value : NaN where the Run has none.
    error : standard error from seed to seed, as this Run alone tells it; NaN where it cannot.
    write : how a value is written for people.
    size : it says how large the Run is, so that a difference is no finding.
    """

    name: str
    value: float
    error: float = np.nan
    write: Callable[[float], str] = words.number
    size: bool = False


def measure(run: Run) -> list[Measure]:
    """All figures of a Run, in the order in which they are shown."""
    return list(_measures(Scale(run)))


def _measures(scale: Scale) -> Iterator[Measure]:
    summary, agents = scale.summary, max(1, scale.summary.agents)
    operations, refused = max(1, summary.operations), _parts(scale.run, "'all'", "AND status = 'refused'")
    for name, value in (
        ("agents", summary.agents),
        ("grants", summary.grants),
        ("lineage trees", summary.trees),
        ("operations", summary.operations),
    ):
        yield Measure(name, value, size=True)
    yield Measure("operations per agent", summary.operations / agents, _work_error(scale.run) / agents)
    yield Measure("deepest delegation", summary.max_depth)
    yield _rate("refused, per 1,000 operations", refused.get("all"), operations / 1000)
    for reason, part in sorted(_parts(scale.run, "reason", "AND status = 'refused'").items()):
        yield _rate(f"refused as {reason.replace('_', ' ')}, per 1,000 operations", part, operations / 1000)
    yield from _ends(scale)
    yield from _wall(scale)


def _ends(scale: Scale) -> Iterator[Measure]:
    marks = scale.marks[scale.marks["reason"] != COMPLETED]
    ended, grants = marks["grants"].to_numpy(np.float64), max(1, scale.summary.grants)
    each = (float(len(ended)), float(len(ended)))
    yield _rate("revocations, per 1,000 grants", each, grants / 1000)
    yield _rate("ended by revocations, per 1,000 grants", _squared(ended), grants / 1000)
    yield Measure("most grants that one revocation ended", float(ended.max(initial=0)))
    honoured = scale.run.sql(
        "SELECT sum(honoured)::DOUBLE AS calls FROM exposures GROUP BY tenant, revocation_id"
    )["calls"].to_numpy(np.float64)
    yield _rate(
        "calls honoured after a revocation, per 1,000 operations",
        _squared(honoured),
        max(1, scale.summary.operations) / 1000,
    )
    yield Measure("honoured by the token server after the end", scale.honoured)


def _wall(scale: Scale) -> Iterator[Measure]:
    for operation, parts in _WAITING.items():
        latency = scale.summary.latencies.get(operation)
        for part in parts if latency else ():
            yield Measure(f"answer to {operation}, {part}", getattr(latency, part), write=words.duration)
    if scale.wall.server_us:
        yield Measure("server time per agent", scale.wall.us_per_agent, write=words.duration)
        yield Measure("operations per second of server time", 1e6 / scale.wall.us_per_operation)


def _work_error(run: Run) -> float:
    """Standard error of the operations of as many agents: trees do more or less than their size lets expect."""
    trees = run.sql("""
        SELECT times::DOUBLE AS times, grants::DOUBLE AS grants FROM (
            SELECT tenant, root_grant_id, count(*) AS times FROM audit
            WHERE event_type <> 'token_ended' AND root_grant_id IS NOT NULL GROUP BY ALL
        ) JOIN (
            SELECT tenant, root_grant_id, count(*) AS grants FROM tokens WHERE token_id = grant_id GROUP BY ALL
        ) USING (tenant, root_grant_id)
    """)
    times, grants = (trees[name].to_numpy(np.float64) for name in ("times", "grants"))
    return float(np.sqrt(((times - grants * times.sum() / max(1.0, grants.sum())) ** 2).sum()))


def _parts(run: Run, reason: str, which: str = "") -> dict[str, tuple[float, float]]:
    """Operations by a reason: how many, and the sum of the squares of their parts."""
    rows = run.arrow(_PARTS.format(reason=reason, which=which)).to_pylist()
    return {row["reason"] or "unspecified": (row["total"], row["squares"]) for row in rows}


def _squared(parts: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    return float(parts.sum()), float((parts**2).sum())


def _rate(name: str, part: tuple[float, float] | None, unit: float) -> Measure:
    total, squares = part or (0.0, 0.0)
    # Of what did not happen another seed may show one.
    return Measure(name, total / unit, float(np.sqrt(squares or 1.0)) / unit)
