"""A sweep on disk: what it consists of, and what has become of each cell.

DIR/sweep.json          the scenario, and all cells with their values and seeds
DIR/<cell>/             the Run of a cell
DIR/<cell>.json         its figures, or its error
DIR/results.parquet     one row for each cell; results.csv holds the same
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agentsim.errors import UserError
from agentsim.experiments.sweep.cells import Cell, Sweep
from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.run import Failure

_SWEEP = "sweep.json"
_LARGEST = 64 * MEGABYTE
Status = Literal["complete", "failed", "missing"]


class SweepError(UserError):
    """There is no such cell, or a directory holds no sweep; the message says which there are."""


class Record(BaseModel):
    """What has become of a cell: its figures, and the digest of the Run that they are from, or why it came to nothing.

    ``scenario`` is the digest of what was played, as the cell has it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    cell: str
    scenario: str
    digest: str = ""
    figures: dict[str, int | float] = {}
    failure: Failure | None = None


class SweepFolder:
    """The directory of a sweep."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def begin(self, sweep: Sweep) -> None:
        """Write down what the sweep consists of; one that is there already may have had other cells.

        Raises
        ------
        SweepError
            If the directory holds something else.
        """
        try:
            if self.path.exists() and any(self.path.iterdir()) and not (self.path / _SWEEP).is_file():
                raise SweepError(f"{self.path}: not empty and no sweep; choose another directory")
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SweepError(f"{self.path}: cannot be written: {exc.strerror}") from exc
        self._write(_SWEEP, sweep.model_dump_json(indent=1) + "\n")

    def sweep(self) -> Sweep:
        """What it consists of.

        Raises
        ------
        SweepError
            If there is no sweep here, or it cannot be read.
        """
        file = self.path / _SWEEP
        try:
            return Sweep.model_validate_json(read_bounded(file, _LARGEST))
        except FileNotFoundError:
            raise SweepError(
                f"{self.path}: no sweep here (no {_SWEEP}); make one with 'agentsim sweep'"
            ) from None
        except OSError as exc:
            raise SweepError(f"{file}: cannot be read: {exc.strerror}") from exc
        except ValidationError as exc:
            raise SweepError(f"{file}: cannot be read: {exc.errors()[0]['msg']}") from exc

    def run(self, cell: str) -> Path:
        """Where the Run of a cell is."""
        return self.path / cell

    def record(self, cell: Cell) -> Record | None:
        """What has become of a cell; None where nothing is known yet of what it is now."""
        try:
            record = Record.model_validate_json(read_bounded(self.path / f"{cell.cell}.json", _LARGEST))
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            # One of another version is as good as none: it is made again from the Run.
            return None
        except OSError as exc:
            raise SweepError(f"{self.path / cell.cell}.json: cannot be read: {exc.strerror}") from exc
        return record if record.scenario == cell.scenario else None

    def status(self, cell: Cell) -> Status:
        """Whether a cell is there."""
        record = self.record(cell)
        if record is None:
            return "missing"
        return "failed" if record.failure else "complete"

    def note(self, record: Record) -> None:
        """Keep what has become of a cell."""
        self._write(f"{record.cell}.json", record.model_dump_json(indent=1) + "\n")

    def replace(self, name: str, write: Callable[[Path], Any]) -> None:
        """Write a file whole or not at all."""
        temporary = self.path / f".{name}.{os.getpid()}.tmp"
        try:
            write(temporary)
            os.replace(temporary, self.path / name)
        finally:
            temporary.unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        self.replace(name, lambda file: file.write_text(text, encoding="utf-8"))
