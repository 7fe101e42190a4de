"""The figures of one Run that a comparison sets side by side, each with what it would vary by from seed to seed.

A count is a sum over things that do not depend on each other: trees, marks, attacks. Where these come independently, the sum of
the squares of their parts estimates its variance (the compound Poisson process). So a single Run tells how much
another seed would have differed; for wall times, and for the largest of something, it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from agentsim.reporting import words
from agentsim.reporting.scale.tables import COMPLETED, Scale
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
    yield _rate("operations per agent", _parts(scale.run, "'all'").get("all"), agents)
    yield _rate("grants per agent", _grants(scale), agents)
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


def _parts(run: Run, reason: str, which: str = "") -> dict[str, tuple[float, float]]:
    """Operations by a reason: how many, and the sum of the squares of their parts."""
    rows = run.sql(_PARTS.format(reason=reason, which=which))
    return {
        str(row.reason or "unspecified"): (float(row.total), float(row.squares)) for row in rows.itertuples()
    }


def _grants(scale: Scale) -> tuple[float, float]:
    return _squared(scale.trees["size"].to_numpy(np.float64))


def _squared(parts: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    return float(parts.sum()), float((parts**2).sum())


def _rate(name: str, part: tuple[float, float] | None, unit: float) -> Measure:
    total, squares = part or (0.0, 0.0)
    return Measure(name, total / unit, float(np.sqrt(squares)) / unit)
