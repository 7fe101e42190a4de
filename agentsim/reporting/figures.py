"""How the project's pictures look, and how a notebook shows one.

Colours are those of :mod:`agentsim.palette`; where two share axes, markers or dashes differ as well. A picture is
shown with a title that states its finding, a text for those who do not see it, and its numbers as a table folded
beneath.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import pandas as pd
from cycler import cycler
from great_tables import GT
from IPython.display import HTML, display
from matplotlib import style
from matplotlib.figure import Figure

from agentsim.palette import ACCENT, GRID, INK, MAIN, OTHER, PALE, SOFT
from agentsim.reporting import words

#: A table with more columns than this scrolls on a telephone.
_WIDE = 4
#: Inches. At this width ten points are read as text on a desk, and still on a telephone.
WIDTH = 6.2

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    # Names of agents and tasks are text: a dollar sign in one starts no formula.
    "text.parse_math": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[MAIN, ACCENT, OTHER, PALE]),
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def in_style() -> AbstractContextManager[None]:
    """The project's style, on top of matplotlib's own and not of the user's settings."""
    return style.context(["default", STYLE])


@contextmanager
def canvas(height: float, rows: int = 1, **arguments: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of the project's width and style, and its axes.

    Parameters
    ----------
    height : inches.
    rows : number of axes, one below the other.
    arguments : for :meth:`matplotlib.figure.Figure.subplots`.
    """
    with in_style():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots(rows, **arguments)


@dataclass(frozen=True)
class Picture:
    """A figure with all that belongs to it; a notebook shows one by naming it in the last line of a cell.

    Attributes
    ----------
    figure : made in :func:`canvas`.
    finding : what the figure shows, as a sentence; its title.
    alt : the same for a reader who does not see it: what is drawn, and the numbers that matter.
    table : the figure's numbers, with columns named for people.
    """

    figure: Figure
    finding: str
    alt: str
    table: pd.DataFrame

    def _ipython_display_(self) -> None:
        show(self.figure, self.finding, alt=self.alt, table=self.table)


@dataclass(frozen=True)
class Table:
    """A table with the finding that it supports, where numbers say more than a figure."""

    table: pd.DataFrame
    finding: str

    def _ipython_display_(self) -> None:
        show_table(self.table, self.finding)


@dataclass(frozen=True)
class Folded:
    """A table that only who wants it opens, under a line that says what is in it."""

    table: pd.DataFrame
    summary: str

    def _ipython_display_(self) -> None:
        _display_html(
            f"<details><summary>{escape(self.summary)}</summary>{table_html(self.table, self.summary)}</details>"
        )


@dataclass(frozen=True)
class Note:
    """A finding without a figure, where there is nothing to draw."""

    finding: str

    def _ipython_display_(self) -> None:
        _display_html(f"<p>{escape(self.finding)}</p>")


def show(figure: Figure, finding: str, *, alt: str, table: pd.DataFrame) -> None:
    """Display a figure under a title that states its finding, with its numbers folded beneath.

    Parameters and their meaning are those of :class:`Picture`.

    Raises
    ------
    ValueError
        If the finding or the text for the unseen figure is empty.
    """
    if not finding.strip() or not alt.strip():
        raise ValueError("a figure needs a finding and a text that says what it shows")
    _display_html(f"<h3>{escape(finding)}</h3>")
    picture, width, height = _png(figure)
    metadata = {"image/png": {"alt": alt, "width": width, "height": height}}
    display({"image/png": picture, "text/plain": alt}, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
    summary = "The numbers behind this picture"
    twin = f'<details class="twin"><summary>{summary}</summary>{table_html(table, finding)}</details>'
    _display_html(twin)


def show_table(table: pd.DataFrame, finding: str) -> None:
    """Display a table under a title that states its finding."""
    _display_html(f"<h3>{escape(finding)}</h3>{table_html(table, finding)}")


class Shown(Protocol):
    """What a notebook shows by naming it: a picture, a table, a note, something to be moved."""

    def _ipython_display_(self) -> None: ...


def show_all(items: Iterable[Shown]) -> None:
    """Display one after the other."""
    for item in items:
        display(item)  # type: ignore[no-untyped-call]


def show_list(items: Sequence[str]) -> None:
    """Display sentences as a list."""
    _display_html(f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>")


def show_commands(commands: Sequence[str]) -> None:
    """Display commands as they are given."""
    _display_html(f"<pre><code>{escape(chr(10).join(commands))}</code></pre>")


def table_html(table: pd.DataFrame, label: str) -> str:
    """A table as HTML: text escaped, numbers in three digits, wide ones scroll by themselves.

    Parameters
    ----------
    table : any text, integers and floats; missing values show as a dash.
    label : what a screen reader calls it.
    """
    # Mixed columns (text and numbers, lists) are shown as their text.
    shown = table.astype({name: str for name in table if table[name].dtype == object})
    integers = [name for name in shown if pd.api.types.is_integer_dtype(shown[name])]
    floats = [name for name in shown if pd.api.types.is_float_dtype(shown[name])]
    made = (
        GT(shown, id=f"t{zlib.crc32((label + shown.to_csv()).encode()):08x}")
        .fmt_integer(columns=integers)
        .fmt(words.number, columns=floats)
        .sub_missing(missing_text="–")
        .tab_options(
            table_width="100%",
            table_font_size="0.86rem",
            table_font_names=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"],
            table_font_color=INK,
            table_border_top_style="none",
            data_row_padding="4px",
            column_labels_font_weight="600",
            container_overflow_x="visible",
            container_overflow_y="visible",
        )
    )
    wide = " wide" if len(shown.columns) > _WIDE else ""
    frame = (
        f'<div class="agentsim-table{wide}" role="region" tabindex="0" aria-label="Table: {escape(label)}">'
    )
    return f"{frame}{made.as_raw_html()}</div>"


def _display_html(text: str) -> None:
    display(HTML(text))  # type: ignore[no-untyped-call]


def _png(figure: Figure) -> tuple[str, int, int]:
    """A figure as base64 PNG at twice the resolution of a plain screen, and its size in CSS pixels."""
    buffer = io.BytesIO()
    # Ticks are made while drawing, so the style has to be in force then, too.
    with in_style():
        figure.savefig(buffer, format="png", dpi=220, metadata={"Software": None})
    inches = figure.get_size_inches()
    width, height = (round(114 * length) for length in inches)
    return base64.b64encode(buffer.getvalue()).decode("ascii"), width, height
