"""The page that tells what all reports in a directory found: the latest of each kind on top, then every one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import jinja2

from agentsim.fragments import without_controls
from agentsim.reporting.catalogue import NOTEBOOKS
from agentsim.reporting.finished import GENERATOR, Finished, find_reports
from agentsim.reporting.scripts import content_policy, read_script
from agentsim.reporting.summary import TEMPLATES


def rebuild_index(out: Path) -> Path:
    """Write ``index.html`` over the reports in a directory and give its path.

    What a report found is read from its executed notebook; notebooks that are no reports are passed over. Nothing
    else is looked at, not even the Runs: a report is of the Run as it was, and of a Run that is not whole there is none.

    Parameters
    ----------
    out : directory of reports.
    """
    reports, unreadable = find_reports(out)
    script = read_script("index")
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"address": _address, "shown": _shown}
    text = environment.get_template("index.html.j2").render(
        generator=GENERATOR,
        content_policy=content_policy([script]),
        script=script,
        latest=latest(reports),
        questions={name: notebook.question for name, notebook in NOTEBOOKS.items()},
        reports=reports,
        unreadable=unreadable,
    )
    target = out / "index.html"
    temporary = target.with_name(".index.html.tmp")
    try:
        # JSON may hold halves of signs, which no file can.
        temporary.write_text(without_controls(text), encoding="utf-8", errors="replace")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def latest(reports: Sequence[Finished]) -> list[Finished]:
    """The newest report of each kind, in the order of the catalogue."""
    newest: dict[str, Finished] = {}
    for report in reports:
        newest.setdefault(report.summary.report, report)
    return [
        newest[kind] for kind in (*NOTEBOOKS, *sorted(newest.keys() - NOTEBOOKS.keys())) if kind in newest
    ]


def _address(file: str) -> str:
    """A file beside the index as a link names it, whatever bytes its name has."""
    return quote(os.fsencode(file))


def _shown(file: str) -> str:
    """The same as text."""
    return os.fsencode(file).decode("utf-8", "replace")
