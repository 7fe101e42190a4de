"""A tenant's tables, written in parts."""

import pytest

from agentsim.lineage import check
from agentsim.simulation import export, simulate


@pytest.fixture(scope="module")
def small(scenario):
    return scenario(population={"agents": 200})


def test_parts_written_while_the_trail_grows_hold_what_one_file_would(small, tmp_path, monkeypatch):
    whole = simulate(small, tmp_path / "whole")
    monkeypatch.setattr(export, "ROWS_PER_PART", 300)
    parts = simulate(small, tmp_path / "parts")
    assert len(whole.files("audit")) == 1 < len(parts.files("audit"))
    for table in ("agents", "tokens", "revocations", "audit"):
        assert parts.frame(table).astype(object).equals(whole.frame(table).astype(object)), table
    assert check(parts) == []


def test_parts_do_not_depend_on_how_operations_are_batched(small, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "ROWS_PER_PART", 300)
    one, other = (simulate(small, tmp_path / str(size), batch_size=size) for size in (1000, 7))
    assert one.manifest.files["audit/t0000-00001.parquet"].rows == 300
    assert one.manifest.digests() == other.manifest.digests()
