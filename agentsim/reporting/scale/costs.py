"""Pictures of what a Run cost: by operation, over time, in space."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.palette import ACCENT, MAIN, OTHER, PALE, SOFT
from agentsim.reporting import words
from agentsim.reporting.charts import bars, clock, pairs, thousands
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.scale.tables import Scale
from agentsim.reporting.scale.wall import OPERATIONS, STAGES

#: A ratio nearer to 1 than this is called steady.
_STEADY = 0.1
#: Rows of a table that stands for a curve, and points of a smooth one.
_ROWS = 40


def cost(scale: Scale) -> Picture | Note:
    """Where the server's time went, per operation and stage."""
    parts = scale.wall.parts
    if parts.empty:
        return Note("This run has no record of what it cost.")
    names = [OPERATIONS.get(part) or STAGES.get(part) or part for part in parts["operation"]]
    shares, each = [words.percent(share) for share in parts["share"]], parts["us_each"]
    notes = [f"{share} · {words.duration(us)} each" for share, us in zip(shares, each, strict=True)]
    with canvas(0.9 + 0.33 * len(parts)) as (figure, axes):
        bars(axes, names, [us / 1e6 for us in parts["wall_us"]], notes)
        axes.set_xlabel("wall time in the server (seconds)")
    finding = (
        f"An operation costs {words.duration(scale.wall.us_per_operation)} of server time; "
        f"the largest part, {shares[0]}, is {names[0]}"
    )
    alt = f"Bars of wall time by operation and stage. {'; '.join(pairs(names, notes)[:4])}."
    counted = ~parts["is_stage"]
    table = pd.DataFrame(
        {
            "what": names,
            "operations": parts["count"].where(counted).astype("Int64"),
            "refused": parts["refused"].where(counted).astype("Int64"),
            "wall time (s)": parts["wall_us"] / 1e6,
            "per operation (µs)": each,
            "share (%)": 100 * parts["share"],
            "answer p50 (ms)": parts["p50"] / 1e3,
            "answer p99 (ms)": parts["p99"] / 1e3,
        }
    )
    return Picture(figure, finding, alt, table)


def throughput(scale: Scale) -> Picture | Note:
    """Operations over simulated time, and whether they become dearer."""
    windows = scale.wall.over_time
    if windows.empty:
        return Note("This run has no record of its windows.")
    unit, name = clock(windows["start"].to_numpy())
    at = windows["start"] / unit
    with canvas(4.4, 2, sharex=True) as (figure, (upper, lower)):
        upper.fill_between(at, windows["count"], step="post", color=PALE)
        upper.step(at, windows["count"], where="post", color=MAIN, linewidth=1)
        upper.set_ylim(bottom=0)
        upper.set_ylabel("operations\nper window")
        thousands(upper.yaxis)
        lower.plot(at, windows["relative"], ".", color=OTHER, markersize=4)
        lower.axhline(1, color=SOFT, linewidth=1, linestyle=":")
        smooth = _smooth(windows)
        lower.plot(smooth["start"] / unit, smooth["us"] / smooth["expected"], color=MAIN)
        lower.set_ylim(0, 2)
        lower.set_ylabel("cost, 1 = what the\nsame work costs\non average")
        lower.set_xlabel(f"simulated time ({name})")
    peak = words.count(windows["count"].max())
    alt = (
        f"Two curves over {words.duration(scale.simulated_us)} of simulated time. Above, operations per window, "
        f"at most {peak}. Below, their cost in server time against what the same operations and batches cost on "
        f"average in this run. {bend(scale)}."
    )
    chosen = _thinned(windows)
    table = pd.DataFrame(
        {
            f"from ({name})": chosen["start"] / unit,
            "operations": chosen["count"],
            "server time per operation (µs)": chosen["us"] / chosen["count"],
            "cost (1 = average)": chosen["relative"],
        }
    )
    return Picture(figure, bend(scale), alt, table)


def bend(scale: Scale) -> str:
    """Whether an operation becomes dearer as a Run grows, as a sentence without its end."""
    ratio = scale.wall.late_over_early
    if not np.isfinite(ratio):
        return "The run is too short to say whether cost changes as it grows"
    change = words.percent(abs(ratio - 1))
    if abs(ratio - 1) < _STEADY:
        return f"The same work costs as much late in the run as early (within {change})"
    return f"The same work costs {change} {'more' if ratio > 1 else 'less'} late in the run than early"


def growth(scale: Scale) -> Picture | Note:
    """Database and memory over the operations done."""
    sizes = scale.wall.growth
    if sizes.empty:
        return Note("This run has no record of memory and disk.")
    curves = (("database", sizes["database_bytes"], MAIN, "-"), ("memory", sizes["rss_bytes"], ACCENT, "--"))
    with canvas(2.9) as (figure, axes):
        for label, octets, color, dashes in curves:
            axes.plot(sizes["done"], octets / 1e6, dashes, color=color)
            axes.annotate(
                f"{label}\n{words.size(octets.iloc[-1])}",
                (sizes["done"].iloc[-1], octets.iloc[-1] / 1e6),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)
        axes.set_xlabel("operations done, one tenant after the other")
        axes.set_ylabel("size (MB)")
        thousands(axes.xaxis)
        thousands(axes.yaxis)
    final, peak = sizes["database_bytes"].iloc[-1], sizes["rss_bytes"].max()
    each = words.size(final / max(1, scale.wall.agents))
    finding = f"The databases hold {each} per agent; memory stays at {words.size(peak)} or below"
    alt = f"Two curves over the operations done: the databases grow to {words.size(final)}, memory peaks at {words.size(peak)}."
    chosen = _thinned(sizes)
    table = pd.DataFrame(
        {
            "operations done": chosen["done"],
            "databases (MB)": chosen["database_bytes"] / 1e6,
            "memory (MB)": chosen["rss_bytes"] / 1e6,
        }
    )
    return Picture(figure, finding, alt, table)


def _smooth(windows: pd.DataFrame) -> pd.DataFrame:
    """Windows put together so that each row stands for as many operations, where a window alone says little."""
    done = windows["count"].cumsum() / windows["count"].sum()
    part = np.minimum((done * _ROWS).astype(int), _ROWS - 1)
    grouped = windows.assign(at=windows["start"] * windows["count"]).groupby(part)
    sums = grouped[["at", "count", "us", "expected"]].sum()
    return sums.assign(start=sums["at"] / sums["count"])


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Some rows of a long table, evenly chosen, the first and the last among them."""
    if len(frame) <= _ROWS:
        return frame
    return frame.iloc[np.unique(np.linspace(0, len(frame) - 1, _ROWS).round().astype(int))]
