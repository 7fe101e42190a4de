"""A soak on disk that nobody had to wait for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agentsim.experiments.soak import Soak, Tally
from agentsim.experiments.soak.record import Manifest, write


def manifest(*tallies: Tally) -> Manifest:
    return Manifest(
        seed=1,
        parts=("load", "kills"),
        seconds=900,
        kills=3,
        database="SQLite",
        rate=250,
        connections=8,
        created_at="2026-03-01T10:00:00+00:00",
        wall_seconds=1_000.5,
        reproduce="agentsim soak --out soak",
        tallies=list(tallies),
    )


def seconds(count: int = 900) -> pd.DataFrame:
    at = np.arange(count)
    return pd.DataFrame(
        {
            "second": at,
            "verified": 150,
            "revoked": 20,
            "errors": 0,
            "dropped": 0,
            "p50_ms": 3.0 + at % 3,
            "p99_ms": 10.0 + at % 7,
            "rss_mb": 120.0 + (at % 5) / 10,
        }
    )


@pytest.fixture
def make_soak(tmp_path: Path) -> Callable[..., Soak]:
    """Writes a soak of these tallies into a directory."""

    def make(*tallies: Tally, frame: pd.DataFrame | None = None, name: str = "soak") -> Soak:
        return write(tmp_path / name, manifest(*tallies), seconds() if frame is None else frame)

    return make
