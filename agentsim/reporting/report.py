"""From a notebook and a Run to a page, all or nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentsim.reporting.errors import ReportError
from agentsim.reporting.index import rebuild_index
from agentsim.reporting.summary import Summary, find_summary, label_of, open_run

if TYPE_CHECKING:
    import nbformat


@dataclass(frozen=True)
class ReportPaths:
    """Where a report was written."""

    html: Path
    notebook: Path
    index: Path


def make_report(
    name: str,
    run: Path,
    parameters: Mapping[str, Any],
    out: Path,
    *,
    progress: bool = False,
) -> ReportPaths:
    """Execute a report's notebook on a Run and write page, notebook and index.

    Nothing is written unless the notebook ran to its end.

    Parameters
    ----------
    name : a report, see :func:`agentsim.reporting.list_reports`.
    run : directory of a finished Run.
    parameters : values for the notebook's parameters; text is converted to the declared types.
    out : directory for the files, made if need be.
    progress : show a bar of cells on standard error.

    Raises
    ------
    RunError
        If there is no Run, or it is not finished.
    ReportError
        If there is no such report or parameter, a cell fails, or ``out`` cannot be written.
    """
    # Every notebook imports this package in its own kernel, which needs none of these.
    import nbformat

    from agentsim.reporting.kernel import execute
    from agentsim.reporting.notebooks import check_parameters, find_notebook, read_notebook
    from agentsim.reporting.page import to_page

    notebook = find_notebook(name)
    values = check_parameters(name, parameters)
    opened = open_run(run)
    try:
        executed = execute(read_notebook(notebook), {"run": str(run), **values}, progress=progress)
        summary = find_summary([output for cell in executed.cells for output in cell.get("outputs", [])])
        page = to_page(executed, f"{summary.title} · agentsim")
    except ReportError as exc:
        raise ReportError(f"report {name}: {exc}") from exc
    _leave(executed, summary)
    stem = f"{name}-{_file_name(label_of(opened))}"
    html, copy = out / f"{stem}.html", out / f"{stem}.ipynb"
    text = nbformat.writes(executed)  # type: ignore[no-untyped-call]
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_all({copy: text, html: page})
        return ReportPaths(html, copy, rebuild_index(out))
    except OSError as exc:
        raise ReportError(f"{out}: cannot be written: {exc.strerror}") from exc


def _leave(executed: nbformat.NotebookNode, summary: Summary) -> None:
    """Put the summary where the index finds it, and take away what tells of this machine."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    executed.metadata["title"] = summary.title
    executed.metadata["agentsim"] = {"made_at": made, **summary.model_dump(mode="json")}


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write several files, each whole: none of them is replaced before all are on disk."""
    temporary = {target.with_name(f".{target.name}.tmp"): target for target in texts}
    try:
        for file, target in temporary.items():
            file.write_text(texts[target], encoding="utf-8")
        for file, target in temporary.items():
            os.replace(file, target)
    finally:
        for file in temporary:
            file.unlink(missing_ok=True)


def _file_name(name: str) -> str:
    """A Run's name as a part of a file name: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
