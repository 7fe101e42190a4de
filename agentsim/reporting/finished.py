"""The reports that lie in a directory, and what is wrong with those that cannot be opened.

What a report found stands in its executed notebook. A notebook of somebody's own is no report, and passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.reporting.summary import TONES, Summary

#: How a page begins that this package made, within the first so many bytes, and how every whole one ends.
GENERATOR = '<meta name="generator" content="agentsim">'
_BEGINNING = 2000
_END = b"</html>"
#: A notebook holds its pictures; one that is longer than this is none of ours.
_LARGEST = 256 * MEGABYTE


@dataclass(frozen=True)
class Finished:
    """One report.

    Attributes
    ----------
    notebook : name of its executed notebook's file.
    page : name of its page's file; None where there is none that can be opened.
    fault : why there is none, and what to do; empty where nothing is wrong.
    """

    summary: Summary
    made_at: datetime
    notebook: str
    page: str | None
    fault: str

    @property
    def tone(self) -> str:
        """How the verdict is meant, in words."""
        return TONES[self.summary.tone]


@dataclass(frozen=True)
class Unreadable:
    """A file that should belong to a report but tells nothing; ``page`` is set where it can be opened all the same."""

    name: str
    why: str
    page: str | None = None


def find_reports(out: Path) -> tuple[list[Finished], list[Unreadable]]:
    """All reports in a directory, newest first, and by name what cannot be read."""
    found = [*map(_of_notebook, sorted(out.glob("*.ipynb"))), *_lonely_pages(out)]
    reports = [each for each in found if isinstance(each, Finished)]
    reports.sort(key=lambda report: (report.made_at, report.notebook), reverse=True)
    return reports, [each for each in found if isinstance(each, Unreadable)]


def _of_notebook(file: Path) -> Finished | Unreadable | None:
    page = file.with_suffix(".html")
    opens = page.name if not _fault_of(page) else None
    try:
        left = _left_in(json.loads(read_bounded(file, _LARGEST).decode("utf-8")))
    except OSError as exc:
        return Unreadable(file.name, f"this notebook cannot be read: {exc.strerror}", opens)
    except (ValueError, RecursionError):
        return Unreadable(file.name, "this is no readable notebook, perhaps only a part of one", opens)
    if left is None:
        return None
    try:
        made_at = datetime.fromisoformat(left.pop("made_at"))
        wanted = left.pop("page", True)
        summary = Summary.model_validate(left)
    except (KeyError, TypeError, ValueError, ValidationError):
        return Unreadable(
            file.name, "what this report found was written by another version of agentsim", opens
        )
    at = made_at.astimezone(UTC) if made_at.tzinfo else made_at.replace(tzinfo=UTC)
    if not wanted:
        # A page that lies there all the same is of an earlier report.
        return Finished(summary, at, file.name, None, "")
    return Finished(summary, at, file.name, opens, _fault_of(page))


def _left_in(notebook: Any) -> dict[str, Any] | None:
    """What :func:`agentsim.reporting.make_report` left in a notebook; None in one that is no report's."""
    if not isinstance(notebook, dict):
        raise ValueError("not a notebook")
    metadata = notebook.get("metadata")
    left = metadata.get("agentsim") if isinstance(metadata, dict) else None
    return dict(left) if isinstance(left, dict) else None


def _fault_of(page: Path) -> str:
    """What keeps a page from being opened; empty where nothing does."""
    try:
        with page.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 64))
            whole = stream.read().rstrip().endswith(_END)
    except FileNotFoundError:
        return "Its page is gone; make the report again."
    except OSError as exc:
        return f"Its page cannot be read: {exc.strerror}."
    return "" if whole else "Its page is only a part of one; make the report again."


def _lonely_pages(out: Path) -> Iterator[Unreadable]:
    """Pages of reports whose notebooks are gone: nobody can tell here what they found."""
    for page in sorted(out.glob("*.html")):
        if page.with_suffix(".ipynb").exists() or page.name == "index.html":
            continue
        try:
            with page.open("rb") as stream:
                ours = GENERATOR.encode() in stream.read(_BEGINNING)
        except OSError:
            continue
        if ours:
            opens = page.name if not _fault_of(page) else None
            yield Unreadable(
                page.name, "the notebook of this page is gone, so what it found is not listed", opens
            )
