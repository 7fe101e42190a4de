"""The page that lists every report in a directory, newest first."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jinja2
from pydantic import ValidationError

from agentsim.reporting.summary import TEMPLATES, TONES, Summary


@dataclass(frozen=True)
class Entry:
    """One report as the index shows it."""

    summary: Summary
    made_at: datetime
    page: str | None
    notebook: str

    @property
    def tone(self) -> str:
        """How the verdict is meant, in words."""
        return TONES[self.summary.tone]


def rebuild_index(out: Path) -> Path:
    """Write ``index.html`` over the reports in a directory and give its path.

    What a report found is read from its executed notebook; notebooks that are no reports are passed over.

    Parameters
    ----------
    out : directory of reports.
    """
    entries = sorted(
        filter(None, map(_entry, out.glob("*.ipynb"))),
        key=lambda entry: (entry.made_at, entry.notebook),
        reverse=True,
    )
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    text = environment.get_template("index.html.j2").render(entries=entries)
    target = out / "index.html"
    temporary = target.with_name(".index.html.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _entry(notebook: Path) -> Entry | None:
    try:
        left = dict(json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["agentsim"])
        made_at = datetime.fromisoformat(left.pop("made_at"))
        left.pop("page", None)
        summary = Summary.model_validate(left)
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
    page = notebook.with_suffix(".html")
    return Entry(summary, made_at, page.name if page.is_file() else None, notebook.name)
