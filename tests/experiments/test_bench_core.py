"""The benchmark without HTTP: the server's batches, and the floor that writes the same rows."""

import json
from contextlib import closing

import pytest
from cryptography.exceptions import InvalidSignature
from sqlalchemy import create_engine, select, text

from agentsim.cli import main
from agentsim.experiments.bench import BenchError, bench_core
from agentsim.experiments.bench.bare import BarePostgreSQL, BareSQLite, Floor
from agentsim.experiments.bench.floor import BareSigner
from agentsim.experiments.bench.population import register_agents
from agentsim.experiments.bench.schemas import new_schemas
from agentsim.server import Client, Issue, Server, Store, Verify
from agentsim.server.schema import AuditRow, IssuedToken
from agentsim.server.store import table


def told(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["bench", "core", *words])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    return out


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request, tmp_path):
    """The URL of a server's database, that of an equal one, and what opens the latter bare."""
    if request.param == "sqlite":
        path = tmp_path / "floor.db"
        return f"sqlite:///{tmp_path / 'server.db'}", f"sqlite:///{path}", lambda _: BareSQLite(path)
    new_schema = request.getfixturevalue("new_schema")
    return new_schema(), new_schema(), BarePostgreSQL


def test_the_floor_writes_the_rows_that_the_server_writes_from_then_on_and_no_others(databases):
    url, beside, bare = databases
    agents = register_agents(url, 3, progress=False)

    def issue(agent, task):
        return Issue(by=Client(*agent), task_id=task, scope="file_read:github")

    with closing(Server(Store(url))) as server, closing(bare(beside)) as database:
        server.execute([issue(agents[0], "before")])
        floor = Floor(database, server.store)
        for batch in (agents[:2], agents[2:]):
            granted = server.execute([issue(agent, "t") for agent in batch])
            signed = floor.grant(floor.new_rows())
            assert len(signed) == len(granted)
            server.execute([Verify(token=grant.access_token) for grant in granted])
            floor.verify(signed, floor.new_rows())

    def rows(database, model):
        source = table(model)
        query = select(source).order_by(*source.primary_key).where(source.c.task_id == "t")
        with closing(Store(database)) as store, store.reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    for model, count in ((IssuedToken, 3), (AuditRow, 6)):
        assert rows(beside, model) == rows(url, model)
        assert len(rows(url, model)) == count


def test_the_floor_checks_what_it_signs():
    signer = BareSigner()
    one, other = signer.sign(), signer.sign()
    assert signer.check(one)["jti"] != signer.check(other)["jti"]
    with pytest.raises(InvalidSignature):
        signer.check(one.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_each_batch_is_compared_with_its_own_floor_and_three_batches_are_measured_at_least():
    result = bench_core(sizes=[4, 1], seconds=0.0, agents=5)
    measured = [(each.work, each.batch_size, each.batches) for each in result.figures]
    assert measured == [("grant", 1, 3), ("verify", 1, 3), ("grant", 4, 3), ("verify", 4, 3)]
    for each in result.figures:
        assert each.times_quartiles[0] <= each.times <= each.times_quartiles[1]
        assert each.server_per_second == pytest.approx(1e3 * each.batch_size / each.p50_ms)
    # Batches of a thousand are what is judged.
    assert result.judged == {}
    assert set(bench_core(sizes=[1_000], seconds=0.0, agents=5).judged) == {"SQLite"}


def test_the_command_prints_a_table_or_json(capsys):
    small = ("--agents", "5", "--seconds", "0.01", "--sizes", "2,3")
    lines = [line.split() for line in told(capsys, *small).splitlines()]
    assert [line[:3] for line in lines if line[:1] == ["SQLite,"]] == [
        ["SQLite,", "grant", "2"],
        ["SQLite,", "verify", "2"],
        ["SQLite,", "grant", "3"],
        ["SQLite,", "verify", "3"],
    ]
    figures = json.loads(told(capsys, *small, "--json"))["figures"]
    assert [each["batch_size"] for each in figures] == [2, 2, 3, 3]


def test_postgresql_is_measured_in_schemas_that_are_gone_afterwards(postgres, capsys):
    printed = told(capsys, "--agents", "5", "--seconds", "0.01", "--sizes", "2", "--db", postgres)
    measured = [line.split()[:2] for line in printed.splitlines()[-4:]]
    assert measured == [[name, work] for name in ("SQLite,", "PostgreSQL,") for work in ("grant", "verify")]
    engine = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        left = connection.execute(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'bench\\_%'"))
        assert left.all() == []
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "--db: "),
        ("sqlite:///x.db", "SQLite is always measured"),
        ("no url", "named by a URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_one_line(url, complaint):
    with pytest.raises(BenchError, match=complaint) as refused, new_schemas(url, 1):
        pass
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sizes", ["", "1,,2", "0", "-1", "1.5", "all"])
def test_sizes_are_whole_numbers(sizes, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "core", "--sizes", sizes])
    assert "whole numbers above 0" in capsys.readouterr().err
