"""The same tenants on the workers of a Dask cluster."""

import pytest

from agentsim.run import RunError
from agentsim.simulation import simulate

distributed = pytest.importorskip("distributed", reason="Dask is not installed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as local:
        yield local


def test_a_cluster_gives_the_same_tables(cluster, scenario, tmp_path):
    small = scenario(population={"agents": 200}, tenants=3)
    here = simulate(small, tmp_path / "here")
    there = simulate(small, tmp_path / "there", scheduler=cluster.scheduler_address)
    assert there.manifest.digests() == here.manifest.digests()
    assert there.damaged_files() == []
    assert {path.name for path in there.path.iterdir()} == {path.name for path in here.path.iterdir()}


def test_nobody_who_answers_is_told_in_a_line(scenario, tmp_path, monkeypatch):
    monkeypatch.setattr("agentsim.simulation.cluster._PATIENCE", 1)
    with pytest.raises(RunError, match="no Dask scheduler answers"):
        simulate(scenario(population={"agents": 20}), tmp_path / "run", scheduler="tcp://127.0.0.1:1")
