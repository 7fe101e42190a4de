"""Latencies of a whole Run, put together from its windows."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from agentsim.lineage import latencies
from agentsim.run import Manifest, RunWriter
from agentsim.simulation.latencies import Latencies
from agentsim.tables import make_table


@pytest.fixture
def waited():
    rng = np.random.default_rng(5)
    # Windows of very different sizes: their percentiles alone would mislead.
    return [
        rng.lognormal(8 + part, 1, size).astype(int).tolist() for part, size in enumerate((1000, 10, 300))
    ]


@pytest.fixture
def run(waited, tmp_path):
    writer = RunWriter(
        tmp_path / "run",
        Manifest(kind="simulation", name="story", source={}, policy={}, reproduce="", created_at=""),
    )
    for tenant, part in enumerate(waited):
        told = Latencies()
        told.add(0, ["Verify"], {("Verify", latency): part.count(latency) for latency in set(part)})
        columns = {"tenant": [tenant] * 2, "operation": ["Verify", "load"]} | told.columns(2)
        writer.write("windows", tenant, make_table("windows", 2, columns))
    return writer.finish(start=0, wall_seconds=0.0)


def test_percentiles_of_a_run_are_those_of_all_its_latencies(run, waited):
    everything = [latency for part in waited for latency in part]
    told = latencies(run)
    assert told.keys() == {"Verify"}
    assert told["Verify"].operations == len(everything)
    assert told["Verify"].max == max(everything)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = np.quantile(everything, share, method="inverted_cdf")
        assert exact <= getattr(told["Verify"], name) <= exact * 1.02


def test_a_run_from_before_they_were_kept_has_none(run):
    for file in run.files("windows"):
        pq.write_table(pq.read_table(file).drop_columns(["max_us", "latencies_us", "latency_counts"]), file)
    assert latencies(run) == {}
