"""The benchmark of budgets: many writers spend from the same trees, and the audit trail says what was spent."""

import json

import pytest

from agentsim.cli import main
from agentsim.experiments.bench import bench_budgets


def test_writers_beside_each_other_never_exceed_a_carved_out_budget(new_schema):
    result = bench_budgets(database=new_schema(), trees=30, writers=2)
    carved, shared = result.figures["carve-out"], result.figures["shared-pool"]
    # More is asked for than there is, under both.
    assert carved.refused > 0
    assert shared.refused > 0
    assert (carved.overspent_roots, carved.worst_overspend) == (0, 0.0)
    # Nothing is set aside in a pool, so nothing is left in one.
    assert shared.stranded < carved.stranded
    assert shared.granted > carved.granted


def test_one_writer_overspends_no_pool_either(tmp_path, capsys):
    words = ["--db", f"sqlite:///{tmp_path / 'b.sqlite'}", "--trees", "5", "--writers", "1", "--json"]
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "budgets", *words])
    told = json.loads(capsys.readouterr().out)
    assert told["figures"]["shared-pool"]["overspent_roots"] == 0
    assert told["trees"] == 5


def test_sqlite_has_one_writer(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "budgets", "--db", f"sqlite:///{tmp_path / 'b.sqlite'}", "--writers", "2"])
    assert "needs PostgreSQL" in capsys.readouterr().err
