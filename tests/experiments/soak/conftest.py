"""A soak on disk that nobody had to wait for."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from agentsim.experiments.soak import Soak, Tally
from agentsim.experiments.soak.record import write
from tests.soaks import manifest, seconds


@pytest.fixture
def make_soak(tmp_path: Path) -> Callable[..., Soak]:
    """Writes a soak of these tallies into a directory."""

    def make(*tallies: Tally, frame: pd.DataFrame | None = None, name: str = "soak") -> Soak:
        return write(tmp_path / name, manifest(*tallies), seconds() if frame is None else frame)

    return make
