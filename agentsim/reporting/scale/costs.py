"""Pictures of what a Run cost: by operation, over time, in space."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.reporting import words
from agentsim.reporting.figures import ACCENT, MAIN, PALE, Picture, bars, canvas, clock, pairs, thousands
from agentsim.reporting.scale.tables import OPERATIONS, STAGES, Scale

#: A ratio nearer to 1 than this is called steady.
_STEADY = 0.1


def cost(scale: Scale) -> Picture:
    """Where the server's time went, per operation and stage."""
    costs = scale.costs
    names = [_name(operation) for operation in costs["operation"]]
    notes = [
        f"{words.percent(share)} · {words.duration(each)} each"
        for share, each in zip(costs["share"], costs["us_each"], strict=True)
    ]
    with canvas(0.9 + 0.33 * len(costs)) as (figure, axes):
        bars(axes, names, [wall / 1e6 for wall in costs["wall_us"]], notes)
        axes.set_xlabel("wall time in the server (seconds)")
    each = words.duration(scale.cost.server_us / max(1, scale.cost.operations))
    finding = (
        f"An operation costs {each} of server time; most of it, {notes[0].split(' · ')[0]}, is {names[0]}"
    )
    table = pd.DataFrame(
        {
            "what": names,
            "operations": costs["count"].where(~costs["operation"].isin(list(STAGES))).astype("Int64"),
            "refused": costs["refused"].where(~costs["operation"].isin(list(STAGES))).astype("Int64"),
            "wall time (s)": costs["wall_us"] / 1e6,
            "per operation (µs)": costs["us_each"],
            "share (%)": 100 * costs["share"],
        }
    )
    alt = f"Bars of wall time by operation and stage. {'; '.join(pairs(names, notes)[:4])}."
    return Picture(figure, finding, alt, table)


def throughput(scale: Scale) -> Picture:
    """Operations and their cost over simulated time."""
    windows, steady = scale.windows, scale.steadiness
    unit, name = clock(windows["start"].to_numpy())
    at = windows["start"] / unit
    with canvas(4.4, 2, sharex=True) as (figure, (upper, lower)):
        upper.fill_between(at, windows["count"], step="post", color=PALE)
        upper.step(at, windows["count"], where="post", color=MAIN)
        upper.set_ylim(bottom=0)
        upper.set_ylabel("operations\nper window")
        thousands(upper.yaxis)
        lower.plot(at, windows["us_each"], ".", color=PALE, markersize=4)
        lower.plot(at, _smooth(windows["us_each"], windows["count"]), color=MAIN)
        lower.set_ylim(0, 1.25 * _high(windows["us_each"]))
        lower.set_ylabel("server time per\noperation (µs)")
        lower.set_xlabel(f"simulated time ({name})")
    told = f"{words.duration(steady.early)} early, {words.duration(steady.late)} late"
    peak = words.count(windows["count"].max())
    alt = (
        f"Two curves over {words.duration(scale.simulated_us)} of simulated time: operations per window, at most {peak}, "
        f"and server time per operation, {told} for the same mix of operations."
    )
    table = _thinned(windows, 40)
    table = pd.DataFrame(
        {
            f"from ({name})": table["start"] / unit,
            "operations": table["count"],
            "server time per operation (µs)": table["us_each"],
        }
    )
    return Picture(figure, f"{bend(scale)} ({told})", alt, table)


def bend(scale: Scale) -> str:
    """Whether an operation becomes dearer as a Run grows, as a sentence without its end."""
    ratio = scale.steadiness.ratio
    if not np.isfinite(ratio):
        return "The Run is too short to say whether cost changes"
    if abs(ratio - 1) < _STEADY:
        return "An operation costs the same late in the run as early"
    word = "more" if ratio > 1 else "less"
    return f"An operation costs {words.percent(abs(ratio - 1))} {word} late in the run than early"


def growth(scale: Scale) -> Picture:
    """Database and memory over the operations done."""
    windows = scale.windows
    done = windows["count"].cumsum()
    database, memory = windows["database_bytes"] / 1e6, windows["rss_bytes"] / 1e6
    with canvas(2.9) as (figure, axes):
        for values, label, color, dashes in (
            (database, "database", MAIN, "-"),
            (memory, "memory", ACCENT, "--"),
        ):
            axes.plot(done, values, dashes, color=color)
            if len(values):
                axes.annotate(
                    f"{label}\n{words.size(1e6 * values.iloc[-1])}",
                    (done.iloc[-1], values.iloc[-1]),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8.5,
                )
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)
        axes.set_xlabel("operations done")
        axes.set_ylabel("size (MB)")
        thousands(axes.xaxis)
        thousands(axes.yaxis)
    final = float(windows["database_bytes"].iloc[-1]) if len(windows) else 0.0
    peak = float(windows["rss_bytes"].max()) if len(windows) else 0.0
    per_agent = words.size(final / max(1, scale.cost.agents))
    finding = f"The database holds {per_agent} per agent; memory stays at {words.size(peak)} or below"
    alt = f"Two curves over the operations done: the database grows to {words.size(final)}, memory peaks at {words.size(peak)}."
    table = _thinned(
        pd.DataFrame({"operations done": done, "database (MB)": database, "memory (MB)": memory}), 40
    )
    return Picture(figure, finding, alt, table)


def _name(operation: str) -> str:
    return OPERATIONS.get(operation) or STAGES.get(operation) or operation


def _high(values: pd.Series[float]) -> float:
    """The level that all but a few values stay below."""
    return float(values.quantile(0.98)) if len(values) else 1.0


def _smooth(values: pd.Series[float], weights: pd.Series[int]) -> pd.Series[float]:
    """A weighted moving mean over a twentieth of the windows."""
    width = max(1, len(values) // 20)
    rolled = (values * weights).rolling(width, center=True, min_periods=1).sum()
    smooth: pd.Series[float] = rolled / weights.rolling(width, center=True, min_periods=1).sum()
    return smooth


def _thinned(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, evenly chosen, the first and the last among them."""
    if len(frame) <= most:
        return frame
    return frame.iloc[np.unique(np.linspace(0, len(frame) - 1, most).round().astype(int))]
