"""Markdown: tables, and text that stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, a line for each row."""
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: object) -> str:
    """Text as it is to be typed; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def codes(texts: Iterable[object]) -> str:
    """Several of them, in a row."""
    return ", ".join(map(code, texts))


def prose(text: str) -> str:
    """A docstring's text for a page: one line a paragraph, code in single ticks."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(each.split()) for each in paragraphs).replace("``", "`")


def _cell(text: str) -> str:
    # A bar would end the cell, inside code too.
    return prose(text).replace("|", "\\|").replace("\n\n", " ")
