"""Pictures of a soak under load: waits, memory, and what was asked."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes

from agentsim.experiments.soak import Drift
from agentsim.experiments.soak.load.drift import LEAST_S
from agentsim.palette import ACCENT, ALARM, INK, MAIN, OTHER, PALE, SOFT
from agentsim.reporting import words
from agentsim.reporting.charts import pairs, thousands
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.reliability.facts import Facts

_NO_LOAD = Note("There was no load in this soak.")


def waits(facts: Facts) -> Picture | Note:
    """How long answers took, second by second."""
    seconds = facts.seconds
    if seconds.empty:
        return _NO_LOAD
    with canvas(2.9) as (figure, axes):
        axes.plot(seconds["second"], seconds["p99_ms"], color=MAIN, linewidth=1, label="p99")
        axes.plot(seconds["second"], seconds["p50_ms"], "--", color=ACCENT, linewidth=1, label="p50")
        _line(axes, facts.waits, len(seconds))
        # One second in which the machine did something else must not flatten all others.
        axes.set_ylim(0, 1.6 * float(seconds["p99_ms"].quantile(0.98)))
        axes.set_ylabel("answered within (ms)")
        axes.set_xlabel("seconds of load")
        axes.legend(ncols=2)
    most = words.duration(1e3 * float(seconds["p99_ms"].max()))
    finding = (
        f"p99 is cut off: {words.percent(facts.soak.dropped)} of the requests were dropped"
        if facts.overloaded
        else _finding("p99", facts.waits, lambda level: words.duration(1e3 * level))
    )
    alt = f"Curves of the p99 and the p50 of each second over {words.count(len(seconds))} seconds of load; the worst second's p99 is {most}. {finding}."
    return Picture(figure, finding, alt, facts.over_time[["second", "p50_ms", "p99_ms", "errors"]])


def memory(facts: Facts) -> Picture | Note:
    """The server's memory, second by second."""
    seconds = facts.seconds
    if seconds.empty or seconds["rss_mb"].isna().all():
        return _NO_LOAD
    with canvas(2.6) as (figure, axes):
        axes.plot(seconds["second"], seconds["rss_mb"], color=MAIN)
        _line(axes, facts.memory, len(seconds))
        axes.set_ylim(0, 1.2 * float(seconds["rss_mb"].max()))
        axes.set_ylabel("memory (MB)")
        axes.set_xlabel("seconds of load")
    most = words.size(1e6 * float(seconds["rss_mb"].max()))
    finding = _finding("Memory", facts.memory, lambda level: words.size(1e6 * level))
    alt = f"A curve of the server's memory over {words.count(len(seconds))} seconds of load, at most {most}. {finding}."
    return Picture(figure, finding, alt, facts.over_time[["second", "rss_mb"]])


def asked(facts: Facts) -> Picture | Note:
    """What was asked under load, by kind."""
    if facts.seconds.empty:
        return _NO_LOAD
    counts = facts.seconds[facts.kinds].sum()
    rows = facts.over_time
    # What must be accepted first, the rest on top of it.
    colors = (MAIN, OTHER, PALE, ACCENT, SOFT, ALARM)
    with canvas(2.9) as (figure, axes):
        axes.stackplot(
            rows["second"], [rows[kind] for kind in facts.kinds], labels=facts.kinds, colors=colors
        )
        axes.set_ylabel("requests a second")
        axes.set_xlabel("seconds of load")
        axes.set_ylim(0, 1.45 * float(rows[facts.kinds].sum(axis=1).max()))
        axes.legend(ncols=3)
        thousands(axes.yaxis)
    told = [words.count(count) for count in counts]
    errors = int(facts.seconds["errors"].sum())
    finding = (
        f"{words.plural(int(counts.sum()), 'request')} under load, "
        f"{words.plural(errors, 'answer')} that had to be another" + _dropped(facts)
    )
    alt = f"Requests a second by kind, one on top of the other; in all {'; '.join(pairs(facts.kinds, told))}."
    return Picture(figure, finding, alt, rows[["second", *facts.kinds]])


def _dropped(facts: Facts) -> str:
    """What the generator could not send in time, where there is any."""
    count = int(facts.seconds["dropped"].sum())
    return f"; {words.count(count)} more were dropped, no connection being free in time" if count else ""


def _line(axes: Axes, found: Drift | None, seconds: int) -> None:
    """The slope that was found, over the half in which it was looked for."""
    if found is None:
        return
    begin, middle = seconds / 2, 0.75 * seconds
    ends = [begin, seconds]
    heights = [found.level * (1 + found.per_hour * (end - middle) / 3600) for end in ends]
    axes.plot(ends, heights, ":", color=INK, linewidth=1.6, zorder=3)


def _finding(name: str, found: Drift | None, said: Callable[[float], str]) -> str:
    if found is None:
        return f"{name}: too few seconds to say whether it grows"
    level = said(found.level)
    if found.seconds < LEAST_S:
        return f"{name} is {level} over the second half; that is too short to say whether it grows"
    change = f"{_signed(found.per_hour)} an hour, {_signed(found.low)} to {_signed(found.high)}"
    told = {
        "flat": f"{name} is flat at {level}",
        "grows": f"{name} grows from {level}",
        "unclear": f"{name} is {level}; whether it grows is unclear",
    }[found.verdict]
    return f"{told} ({change})"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}%"
