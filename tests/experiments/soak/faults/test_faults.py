"""What a server is run on fails under it: it says so, keeps nothing by halves, and works again; so does a Run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agentsim.experiments.soak.faults.faults import faults
from agentsim.experiments.soak.faults.outages import away
from agentsim.experiments.soak.tally import Tally

pytestmark = pytest.mark.long


def told(found: list[Tally]) -> dict[str, list[str]]:
    assert all(tally.tried for tally in found)
    return {tally.name: [*tally.notes, *([] if tally.sound else ["unsound"])] for tally in found}


def test_each_fault_on_sqlite_is_told_and_gone_through(tmp_path: Path) -> None:
    found = told(faults(folder=tmp_path, database=None, progress=False))
    assert len(found) == 5
    assert not any(found.values()), found


def test_postgresql_may_go_away_and_come_back(tmp_path: Path, new_schema: Callable[[], str]) -> None:
    found = away(tmp_path, new_schema())
    assert (found.notes, found.sound, found.tried) == ([], True, 1)
