"""How the command line lays out figures for people; programs get JSON instead."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from agentsim.cli.plain import harmless


def print_figures(figures: Mapping[str, Any]) -> None:
    """Print names and values in two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in figures.items():
        # A seed is a name that is made of digits, not an amount.
        table.add_row(_words(name), harmless(value) if name == "seed" else _number(value))
    _print(table)


def print_summary(figures: Mapping[str, Any]) -> None:
    """Print all that is known of a Run: single figures first, then one table for each that has parts.

    Parameters
    ----------
    figures : a :class:`agentsim.lineage.Summary` as nested dictionaries; what is not in it is not printed.
    """
    print_figures({name: value for name, value in figures.items() if isinstance(value, int | float | str)})
    refused = figures.get("refused_events", {})
    events = [(name, count, refused.get(name, 0)) for name, count in figures.get("events", {}).items()]
    print_table(("Event", "rows", "refused"), events)
    print_table(("Refused because", "times"), figures.get("refusals_by_reason", {}).items())
    print_table(("Revocation of", "marks"), figures.get("marks_by_kind", {}).items())
    attacks = [(name, *counts.values()) for name, counts in figures.get("attacks", {}).items()]
    print_table(("Attack", "instances", "operations", "honoured"), attacks)
    waits = [(name, *latency.values()) for name, latency in figures.get("latencies", {}).items()]
    print_table(("Answered within (µs)", "operations", "p50", "p95", "p99", "max"), waits)
    print_table(("Labels", "grants"), (figures.get("labels") or {}).items())


def print_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the named columns of rows under their names; what is missing stays empty."""
    table = Table(*map(_words, columns), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        cells = (row.get(name) for name in columns)
        table.add_row(*("" if cell is None else harmless(cell) for cell in cells))
    _print(table)


def print_table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    """Print rows of a name and counts under their header; nothing where there are no rows."""
    table = Table(*header, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, *counts in rows:
        table.add_row(_words(str(name)), *(_number(count) for count in counts))
    if table.rows:
        _print("")
        _print(table)


def _print(what: RenderableType) -> None:
    # Opened anew each time: standard output may have been replaced since this module was imported.
    # What goes into a pipe or a file is searched by line, so nothing is folded there.
    width = None if sys.stdout.isatty() else 1000
    Console(file=sys.stdout, highlight=False, markup=False, width=width).print(what)


def _words(name: str) -> str:
    return harmless(name).replace("_", " ")


def _number(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else harmless(value)
