"""What a report is about, opened: a finished Run, or a soak."""

from __future__ import annotations

from pathlib import Path

import agentsim
from agentsim.experiments.soak.record import NAME as SOAK
from agentsim.experiments.soak.record import Soak, SoakError
from agentsim.fragments import one_line
from agentsim.run import Run, RunError
from agentsim.run.manifest import NAME as RUN


def open_run(run: Run | Path | str) -> Run:
    """Open a finished Run, looked up here and, for notebooks opened elsewhere, in the checkout.

    Raises
    ------
    RunError
        If there is no Run, it is not finished, or a table's file is gone.
    """
    opened = run if isinstance(run, Run) else _opened(_locate(Path(run), RUN))
    if opened.manifest.status != "complete":
        raise RunError(
            f"{opened.path}: this Run is not finished; make it again: {one_line(opened.manifest.reproduce)}"
        )
    gone = [name for name in opened.manifest.files if not (opened.path / name).is_file()]
    if gone:
        raise RunError(f"{opened.path}: {len(gone)} of its files are missing, the first is {gone[0]}")
    return opened


def open_soak(path: Path | str) -> Soak:
    """Open a soak, looked up as a Run is.

    Raises
    ------
    SoakError
        If there is none, or it or its table cannot be read.
    """
    found = _locate(Path(path), SOAK)
    if not (found / SOAK).is_file() and (found / RUN).is_file():
        raise SoakError(f"{found}: a Run and no soak; make one with 'agentsim soak'")
    opened = Soak(found)
    # Read now: what is wrong with it is told before anything runs.
    _ = opened.load
    return opened


def _opened(path: Path) -> Run:
    if (path / SOAK).is_file() and not (path / RUN).is_file():
        raise RunError(f"{path}: a soak and no Run; 'agentsim report reliability --run {path}' is about it")
    return Run(path)


def _locate(path: Path, name: str) -> Path:
    checkout = Path(agentsim.__file__).resolve().parent.parent / path
    return checkout if not path.exists() and (checkout / name).is_file() else path
