"""What is printed is text: names come from files that others have written, and a terminal obeys what is in them."""

from __future__ import annotations

from typing import Any

import typer


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text of one line or more, made harmless: see :func:`harmless`."""
    typer.echo("\n".join(map(harmless, str(text).split("\n"))), err=err, nl=nl)


def harmless(text: Any) -> str:
    r"""A text on one line, in which nothing moves a terminal's cursor, colours it or turns it around: ``\x1b`` is spelt out."""
    told = str(text)
    return told if told.isprintable() else "".join(map(_spelt, told))


def _spelt(letter: str) -> str:
    # Lone surrogates and newlines among them, which would end the print or fake a line.
    return letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
