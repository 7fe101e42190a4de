"""Parts that charts share: bars and dots with notes, and axes that read well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from agentsim.palette import GRID, INK, MAIN, OTHER
from agentsim.reporting import words

#: One hue, so that a grey print keeps the order.
_FROM_PALE_TO_DARK = LinearSegmentedColormap.from_list("counts", [GRID, OTHER, MAIN])
#: Where on the way to dark white text is read better than dark text.
_WHITE_ABOVE = 0.72
#: Where the steps of a size begin.
_EDGES = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000)


def thousands(axis: Any) -> None:
    """Label an axis with separated thousands."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))


def whole(axis: Any) -> None:
    """Label an axis of things that can be counted: whole, with separated thousands."""
    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    thousands(axis)


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


def by_size(sizes: np.ndarray[Any, Any]) -> tuple[list[str], list[int]]:
    """Count sizes in steps that grow with them: what the steps are called, and how many sizes lie in each."""
    largest, least = int(np.max(sizes)), int(np.min(sizes))
    edges = [edge for edge in _EDGES if min(least, 1) <= edge <= largest]
    counts, _ = np.histogram(sizes, [*edges, largest + 1])
    ends = [*(edge - 1 for edge in edges[1:]), largest]
    return [_span(low, high) for low, high in zip(edges, ends, strict=True)], [int(count) for count in counts]


def shorter(name: str, letters: int = 30) -> str:
    """A name that fits beside or above a picture."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def matrix(axes: Axes, rows: Sequence[str], columns: Sequence[str], values: np.ndarray[Any, Any]) -> None:
    """Counts as a grid, the larger the darker, each written into its field; nothing where nothing was.

    Parameters
    ----------
    values : (rows, columns) whole numbers.
    """
    # By the root, so that small counts differ from none.
    dark = np.sqrt(values / max(1, int(values.max(initial=0))))
    axes.imshow(dark, cmap=_FROM_PALE_TO_DARK, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if value:
            colour = "white" if dark[row, column] > _WHITE_ABOVE else INK
            axes.text(column, row, words.count(value), ha="center", va="center", fontsize=8.5, color=colour)
    axes.set_xticks(
        range(len(columns)),
        [shorter(name) for name in columns],
        rotation=35,
        ha="left",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(rows)), [shorter(name) for name in rows])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # Lines of paper between the fields.
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(visible=True, which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)


def _span(low: int, high: int) -> str:
    return words.count(low) if high <= low else f"{words.count(low)}–{words.count(high)}"
