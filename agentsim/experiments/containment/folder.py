"""A comparison on disk.

DIR/containment.json      what is compared
DIR/reference/            the Run that is learned from
DIR/calibration/          the Run that the default threshold is chosen on
DIR/none/                 the Run in which nobody acts
DIR/3.00/                 the Run of a threshold
DIR/results.parquet       one row for each point; results.csv holds the same
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from agentsim.errors import UserError
from agentsim.experiments.containment.points import Plan
from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.run.files import replacing

_PLAN, _RESULTS = "containment.json", "results"
_LARGEST = 64 * MEGABYTE


class ContainmentError(UserError):
    """A directory holds no comparison, or a scenario none to make; the message says what to do."""


class Folder:
    """The directory of a comparison."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def begin(self, plan: Plan) -> None:
        """Write down what is compared.

        Raises
        ------
        ContainmentError
            If the directory holds something else.
        """
        if self.path.exists() and any(self.path.iterdir()) and not (self.path / _PLAN).is_file():
            raise ContainmentError(f"{self.path}: not empty and no comparison; choose another directory")
        self.path.mkdir(parents=True, exist_ok=True)
        with replacing(self.path / _PLAN) as temporary:
            temporary.write_text(plan.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def plan(self) -> Plan:
        """What is compared.

        Raises
        ------
        ContainmentError
            If there is none here, or it cannot be read.
        """
        file = self.path / _PLAN
        try:
            return Plan.model_validate_json(read_bounded(file, _LARGEST))
        except (FileNotFoundError, NotADirectoryError):
            raise ContainmentError(
                f"{self.path}: no comparison here (no {_PLAN}); make one with 'agentsim contain'"
            ) from None
        except OSError as exc:
            raise ContainmentError(f"{file}: cannot be read: {exc.strerror}") from exc
        except ValidationError as exc:
            raise ContainmentError(f"{file}: cannot be read: {exc.errors()[0]['msg']}") from exc

    def run(self, threshold: float | None) -> Path:
        """Where the Run of a threshold is; None: that in which nobody acts."""
        return self.path / ("none" if threshold is None else f"{threshold:.2f}")

    @property
    def reference(self) -> Path:
        """Where the Run is that is learned from."""
        return self.path / "reference"

    @property
    def calibration(self) -> Path:
        """Where the Run is that the default threshold is chosen on."""
        return self.path / "calibration"

    def write(self, frame: pd.DataFrame) -> None:
        """Keep the results."""
        with replacing(self.path / f"{_RESULTS}.parquet") as temporary:
            frame.to_parquet(temporary, index=False)
        with replacing(self.path / f"{_RESULTS}.csv") as temporary:
            frame.to_csv(temporary, index=False)

    def read(self) -> pd.DataFrame:
        """The results.

        Raises
        ------
        ContainmentError
            If there are none yet.
        """
        self.plan()
        try:
            return pd.read_parquet(self.path / f"{_RESULTS}.parquet")
        except FileNotFoundError:
            raise ContainmentError(f"{self.path}: not finished; give the same command again") from None
