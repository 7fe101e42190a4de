"""The benchmark of a clean-up: all that is over goes, what was asked for stays, and a row too few is noticed."""

import json
from contextlib import closing

import pytest
from sqlalchemy import delete

from agentsim.cli import main
from agentsim.experiments.bench import cleanup
from agentsim.experiments.bench.cleanup import bench_cleanup
from agentsim.server import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cleanup.db'}"
    return request.getfixturevalue("new_schema")()


def test_what_is_over_goes_beside_requests_and_nothing_else(url):
    found = bench_cleanup(rows=2_000, database=url, usual_seconds=0.5)
    assert (found.rows, found.left, found.lost) == (2_000, 0, 0)
    assert found.sound
    assert found.usual.requests > 0 < found.beside.requests


def test_a_row_that_is_gone_though_it_was_not_over_is_noticed(tmp_path, monkeypatch):
    class Careless(cleanup.Gatherer):
        def clean(self, keep_us):
            # One of the trees that stand beside it.
            with self._server.store.transaction() as connection:
                newest = cleanup._TOKENS.c.token_id
                ids = (
                    connection.execute(cleanup.select(newest).order_by(newest.desc()).limit(1))
                    .scalars()
                    .all()
                )
                connection.execute(delete(cleanup._TOKENS).where(newest.in_(ids)))
            super().clean(keep_us)

    monkeypatch.setattr(cleanup, "Gatherer", Careless)
    monkeypatch.setattr(cleanup.Neighbours, "ask", _ask_nothing)
    url = f"sqlite:///{tmp_path / 'cleanup.db'}"
    found = bench_cleanup(rows=200, database=url, usual_seconds=0.1)
    assert (found.left, found.lost, found.sound) == (0, 1, False)


async def _ask_nothing(self, gatherer, over):
    await over.wait()
    return cleanup.Waits(requests=1, p50_ms=1.0, p99_ms=1.0, most_ms=1.0)


def test_the_command_tells_it(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["bench", "cleanup", "--rows", "500", "--seconds", "0.3", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert left.value.code == 0
    assert (told["rows"], told["left"], told["sound"]) == (500, 0, True)
    assert told["ratio"] == told["beside"]["p99_ms"] / told["usual"]["p99_ms"]


def test_what_was_planted_is_long_over(tmp_path):
    url = f"sqlite:///{tmp_path / 'cleanup.db'}"
    from agentsim.experiments.bench.expired import plant_expired
    from agentsim.experiments.bench.population import prepare, register_agents
    from agentsim.server import KeyRing, Policy, SigningKey

    prepare(url)
    agents = register_agents(url, 5, False)
    with closing(Store(url)) as store:
        policy = Policy(max_fanout=100)
        planted = plant_expired(store, policy, KeyRing(SigningKey.generate()), agents, rows=100)
        assert (planted, cleanup._over(store)) == (100, 100)
        # Beside it stands a tree of ten grants that is not over.
        assert cleanup._count(store) >= 110
