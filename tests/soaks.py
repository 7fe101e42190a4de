"""A soak in which nothing went wrong, and its record."""

import numpy as np
import pandas as pd

from agentsim.experiments.soak import Tally
from agentsim.experiments.soak.record import Manifest

LOAD = Tally(part="load", name="living tokens verified", tried=1_200, operations=1_200)
KILLS = Tally(part="kills", name="kill -9", tried=30, operations=500)
INPUTS = Tally(part="bad inputs", name="forged tokens", tried=1, operations=1)


def manifest(*tallies: Tally) -> Manifest:
    return Manifest(
        seed=1,
        parts=("load", "kills", "inputs"),
        seconds=900,
        kills=30,
        database="SQLite",
        rate=250,
        connections=8,
        created_at="2026-03-01T10:00:00+00:00",
        wall_seconds=1_000.5,
        reproduce="agentsim soak --out soak",
        versions={"agentsim": "0.1.0"},
        tallies=list(tallies),
    )


def seconds(per_hour: float = 0.0) -> pd.DataFrame:
    at = np.arange(900)
    return pd.DataFrame(
        {
            "second": at,
            "verified": 150,
            "revoked": 20,
            "errors": 0,
            "dropped": 0,
            "p50_ms": 3.0 + at % 3 / 10,
            "p99_ms": 10.0 + at % 7 / 10,
            "rss_mb": 120.0 * (1 + per_hour * at / 3_600),
        }
    )
