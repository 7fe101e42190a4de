"""The benchmark without HTTP: the server's batches, and the floor that writes the same rows."""

import json
import sqlite3

import pytest

from agentsim.cli import main
from agentsim.experiments.bench.population import register_agents
from agentsim.experiments.bench.server import _Floor, bench_server
from agentsim.server import Client, Issue, Server, Store


def test_the_floor_writes_the_rows_that_the_server_wrote_and_no_others(tmp_path):
    url = f"sqlite:///{tmp_path / 'server.db'}"
    agents = register_agents(url, 3, progress=False)
    server = Server(Store(url))
    server.execute([Issue(by=Client(*agents[0]), task_id="before", scope="file_read:github")])
    floor = _Floor(tmp_path / "floor.db", server)
    for batch in (agents[:2], agents[2:]):
        server.execute([Issue(by=Client(*agent), task_id="t", scope="file_read:github") for agent in batch])
        floor.repeat(floor.new_rows())
    floor.close()
    server.close()

    def rows(name, table, where=""):
        with sqlite3.connect(tmp_path / name) as database:
            return database.execute(f"SELECT * FROM {table} {where} ORDER BY 1").fetchall()

    tokens = rows("server.db", "issued_tokens", "WHERE task_id = 't'")
    assert rows("floor.db", "issued_tokens") == tokens
    assert len(tokens) == 3
    audit = rows("server.db", "task_audit_log", "WHERE event_type = 'token_issued' AND task_id = 't'")
    assert rows("floor.db", "task_audit_log") == audit


def test_each_batch_is_compared_with_its_own_floor():
    result = bench_server(agents=5, batches=3, batch_size=10)
    bare, ours = result.figures.values()
    # The warm-up is left out.
    assert (bare.grants, ours.grants) == (30, 30)
    assert bare.ratio.most == 1
    assert ours.ratio.least <= ours.ratio.median <= ours.ratio.most
    assert ours.most_ms / 1e3 == pytest.approx(10 / ours.grants_per_second.least)


def test_the_command_prints_a_table_or_json(capsys):
    small = "bench server --agents 5 --batches 2 --batch-size 4".split()

    def told(*words: str) -> str:
        with pytest.raises(SystemExit) as left:
            main([*small, *words])
        out, err = capsys.readouterr()
        assert (left.value.code, err) == (0, "")
        return out

    first_columns = [line.partition("   ")[0] for line in told().splitlines()]
    assert first_columns[-2:] == ["bare signature and insert", "server, batch path"]
    assert json.loads(told("--json"))["figures"]["server, batch path"]["grants"] == 8
