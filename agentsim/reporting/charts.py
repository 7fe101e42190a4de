"""Parts that charts share: bars and dots with notes, and axes that read well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from agentsim.palette import INK, MAIN
from agentsim.reporting import words


def thousands(axis: Any) -> None:
    """Label an axis with separated thousands."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))


def clock(microseconds: np.ndarray[Any, Any]) -> tuple[float, str]:
    """The unit in which a span of simulated time is best read: its length in microseconds, and its name."""
    span = float(np.ptp(microseconds)) if len(microseconds) else 0.0
    for name, size in (("days", 86_400e6), ("hours", 3_600e6), ("minutes", 60e6)):
        if span >= 2 * size:
            return size, name
    return 1e6, "seconds"


def pairs(labels: Sequence[str], notes: Sequence[str]) -> list[str]:
    """Labels with their notes, for the text of a picture."""
    return [f"{label}: {note}" for label, note in zip(labels, notes, strict=True)]


def bar_places(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where :func:`bars` draws its bars: the first on top."""
    return max(count, 2) - 1 - np.arange(count)


def bars(
    axes: Axes, labels: Sequence[str], values: Sequence[float], notes: Sequence[str], color: str = MAIN
) -> None:
    """Horizontal bars, the first on top, each with its note at its end."""
    places = bar_places(len(labels))
    axes.barh(places, values, color=color, height=0.66)
    axes.set_yticks(places, labels)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    room = max(values, default=0.0) or 1.0
    axes.set_xlim(0, 1.32 * room)
    # One bar alone would otherwise fill the axes.
    axes.set_ylim(-0.6, max(len(labels), 2) - 0.4)
    for place, value, note in zip(places, values, notes, strict=True):
        axes.text(value + 0.012 * room, place, note, va="center", fontsize=8.5, color=INK)


def dots(
    axes: Axes,
    labels: Sequence[str],
    estimates: Sequence[tuple[float, float, float]],
    notes: Sequence[str],
    color: str = MAIN,
    marker: str = "o",
) -> None:
    """Horizontal dots with their intervals, the first on top, each with its note to the right.

    Parameters
    ----------
    estimates : value, low and high end of each; NaN for what could not be estimated.
    """
    places = bar_places(len(labels))
    for place, (value, low, high) in zip(places, estimates, strict=True):
        axes.plot(
            [low, high],
            [place, place],
            color=color,
            linewidth=2.2,
            alpha=0.45,
            solid_capstyle="butt",
            clip_on=False,
        )
        axes.plot(value, place, marker, color=color, markersize=7, clip_on=False)
    axes.set_yticks(places, labels)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, max(len(labels), 2) - 0.4)
    for place, note in zip(places, notes, strict=True):
        # Beyond the axes, in a column of its own: an interval may end anywhere.
        axes.annotate(
            note,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )
