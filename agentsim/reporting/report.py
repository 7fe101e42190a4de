"""From a notebook and a Run to a page, all or nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentsim.reporting.catalogue import Notebook
from agentsim.reporting.errors import ReportError
from agentsim.reporting.index import rebuild_index
from agentsim.reporting.opening import open_run, open_soak
from agentsim.reporting.summary import Summary, find_summary

if TYPE_CHECKING:
    import nbformat

#: Letters of a file's name: file systems take 255 bytes, endings and temporary names included.
_LONGEST = 120


@dataclass(frozen=True)
class ReportPaths:
    """Where a report was written. There is no page where only the notebook was asked for."""

    html: Path | None
    notebook: Path
    index: Path


def make_report(
    name: str,
    runs: Path | Sequence[Path],
    parameters: Mapping[str, Any],
    out: Path,
    *,
    page: bool = True,
    progress: bool = False,
) -> ReportPaths:
    """Execute a report's notebook on a Run and write page, notebook and index.

    Nothing is written unless the notebook ran to its end.

    Parameters
    ----------
    name : a report, see :func:`agentsim.reporting.notebooks.list_reports`.
    runs : directory of a finished Run, or of the soak that the report is about, or of as many as the report takes;
        where several are compared, a sweep stands for its finished cells.
    parameters : values for the notebook's parameters; text is converted to the declared types.
    out : directory for the files, made if need be.
    page : write a page, too, and not only the executed notebook.
    progress : show a bar of cells on standard error.

    Raises
    ------
    RunError
        If there is no Run, it is not finished, or a file of it is damaged.
    SoakError
        If there is no soak, or it cannot be read.
    ReportError
        If there is no such report or parameter, a cell fails, or ``out`` cannot be written.
    """
    # Every notebook imports this package in its own kernel, which needs none of these.
    import nbformat

    from agentsim.reporting.compare import members
    from agentsim.reporting.kernel import execute
    from agentsim.reporting.notebooks import check_parameters, describe, find_notebook, read_notebook
    from agentsim.reporting.page import to_page

    notebook = describe(name)
    given = [runs] if isinstance(runs, Path) else list(runs)
    # Where several are compared, a sweep stands for its cells.
    meant = [run for path in given for run in (members(path) if notebook.runs == "several" else [path])]
    _count(notebook, meant)
    values = check_parameters(notebook, [str(run) for run in given], parameters)
    for run in meant:
        if notebook.about == "soak":
            open_soak(run)
        else:
            open_run(run).require_whole()
    try:
        source = read_notebook(find_notebook(name))
        executed = execute(source, values.model_dump(), progress=progress)
        summary = find_summary([output for cell in executed.cells for output in cell.get("outputs", [])])
        html = to_page(executed, f"{summary.title} · agentsim") if page else None
    except ReportError as exc:
        raise ReportError(f"report {name}: {exc}") from exc
    _leave(executed, summary, page=page)
    stem = "-".join([name, *(_file_name(path.resolve().name) for path in given)])[:_LONGEST]
    copy, target = out / f"{stem}.ipynb", out / f"{stem}.html" if page else None
    texts = {copy: nbformat.writes(executed)}  # type: ignore[no-untyped-call]
    if target is not None and html is not None:
        texts[target] = html
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_all(texts)
        return ReportPaths(target, copy, rebuild_index(out))
    except OSError as exc:
        raise ReportError(f"{out}: cannot be written: {exc.strerror}") from exc


def _count(notebook: Notebook, runs: Sequence[Path]) -> None:
    least, most = {"none": (0, 0), "one": (1, 1), "several": (2, None)}[notebook.runs]
    if len(runs) < least or (most is not None and len(runs) > most):
        wanted = {"none": "no Run", "one": "one Run", "several": "two Runs or more"}[notebook.runs]
        raise ReportError(f"report {notebook.name} is about {wanted}; {len(runs)} were given with --run")


def _leave(executed: nbformat.NotebookNode, summary: Summary, *, page: bool) -> None:
    """Put the summary where the index finds it, and take away what tells of this machine."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    executed.metadata["title"] = summary.title
    executed.metadata["agentsim"] = {"made_at": made, "page": page, **summary.model_dump(mode="json")}


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
