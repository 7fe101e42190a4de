"""Small pieces of HTML for what a notebook shows by itself: a title, facts, a table.

They bring no style sheet and no colour, so that they look as the notebook does, in a light and in a dark theme. All
that is handed in is text: it is escaped, and kept on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

_LEFT, _RIGHT = "text-align:left;vertical-align:top", "text-align:right;vertical-align:top"


#: Control characters that HTML has no place for; a terminal that shows a page's source would obey them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Code(str):
    """A text that is typed as it stands: a command, a name in a program."""


def fragment(title: str, *parts: str) -> str:
    """A title and what stands below it; wide tables scroll by themselves."""
    return f'<div style="overflow-x:auto"><p><strong>{escape(one_line(title))}</strong></p>{"".join(parts)}</div>'


def facts(told: Mapping[str, object]) -> str:
    """Names with their values, one below the other; what is None is left out."""
    rows = (
        f'<tr><th scope="row" style="{_LEFT}">{escape(one_line(name))}</th>{_cell(value, _LEFT)}</tr>'
        for name, value in told.items()
        if value is not None
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows under the names of their columns, numbers to the right; empty where there are no rows."""
    listed = list(rows)
    if not listed:
        return ""
    sides = [
        _RIGHT if all(_is_number(row[place]) for row in listed) else _LEFT for place in range(len(columns))
    ]
    head = "".join(
        f'<th scope="col" style="{side}">{escape(one_line(name))}</th>'
        for name, side in zip(columns, sides, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_cell(value, side) for value, side in zip(row, sides, strict=True))}</tr>"
        for row in listed
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def paragraph(text: str) -> str:
    """One sentence or more."""
    return f"<p>{escape(one_line(text))}</p>"


def one_line(value: object) -> str:
    """A value as one line of text: numbers with their thousands separated, control characters as blanks."""
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = "–" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)


def without_controls(page: str) -> str:
    """A whole page, in which control characters are blanks."""
    return _CONTROLS.sub(" ", page)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object, side: str) -> str:
    text = escape(one_line(value))
    return f'<td style="{side}">{f"<code>{text}</code>" if isinstance(value, Code) else text}</td>'
