"""The benchmark of a cascade: what it plants, what the revocation leaves, and that it notices what is missing."""

import json
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from agentsim.cli import main
from agentsim.experiments.bench.aftermath import look_at
from agentsim.experiments.bench.cascade import bench_cascade
from agentsim.experiments.bench.planting import CHAIN, SHAPES, plant
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.server import (
    Admin,
    Client,
    IssueChild,
    KeyRing,
    Policy,
    Revocation,
    Revoke,
    Server,
    SigningKey,
    Store,
    Verification,
    Verify,
)
from agentsim.server.lineage import unpack
from agentsim.server.schema import AuditRow, IssuedToken
from agentsim.server.store import rows_of, table

TOKENS, AUDIT = table(IssuedToken), table(AuditRow)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cascade.db'}"
    return request.getfixturevalue("new_schema")()


class Planting:
    """A tree in a database, and the server that goes on from there."""

    def __init__(self, url, shape, grants):
        prepare(url)
        self.agents = register_agents(url, 5, progress=False)
        policy, keyring = Policy(max_depth=CHAIN, max_fanout=grants), KeyRing(SigningKey.generate())
        with closing(Store(url)) as store:
            self.tree = plant(store, policy, keyring, self.agents, shape=shape, grants=grants, probes=9)
        self.server = Server(Store(url), policy=policy, keyring=keyring)

    def rows(self):
        with self.server.store.transaction() as connection:
            return rows_of(connection, select(TOKENS).order_by(TOKENS.c.token_id))

    def revoke(self):
        """Revoke the root and fill all rows in; what the database says of it."""
        head = self.server.store.head(0)
        mark = self.server.ask(Revoke(by=Admin("bench"), token=self.tree.root), Revocation)
        while self.server.pending():
            self.server.fill(70)
        return lambda: look_at(self.server.store, mark.revocation_id, self.tree.root_grant_id, head)


@pytest.fixture
def make(tmp_path):
    made = []

    def plant_one(shape="4-ary", grants=100):
        made.append(Planting(f"sqlite:///{tmp_path / f'{len(made)}.db'}", shape, grants))
        return made[-1]

    yield plant_one
    for each in made:
        each.server.close()


@pytest.mark.parametrize(("shape", "depth"), [("star", 1), ("chains", 16), ("4-ary", 4)])
def test_a_planted_tree_has_its_shape_and_its_tokens_are_the_servers_own(make, shape, depth):
    planted = make(shape)
    rows = planted.rows()
    numbers = {row["grant_id"]: number for number, row in enumerate(rows)}
    assert [numbers[row["parent_grant_id"]] for row in rows[1:]] == [SHAPES[shape](n) for n in range(1, 100)]
    assert max(row["depth"] for row in rows) == depth
    for row in rows[1:]:
        parent = rows[numbers[row["parent_grant_id"]]]
        assert unpack(row["lineage"])[:-1] == unpack(parent["lineage"])
        assert row["parent_task_id"] == parent["task_id"]
    assert len(planted.tree.probes) == 9
    for token in planted.tree.probes:
        assert planted.server.ask(Verify(token=token), Verification).is_valid


def test_the_server_goes_on_below_a_planted_root_and_counts_what_was_planted(make):
    planted = make("star")
    asked = IssueChild(
        by=Client(*planted.agents[0]), parent_token=planted.tree.root, scope="file_read:github"
    )
    granted, refused = planted.server.execute([asked, asked])
    assert (granted.depth, granted.root_grant_id) == (1, planted.tree.root_grant_id)
    # 99 were planted, and a hundred is the most.
    assert refused.reason == "fanout_exceeded"


def test_all_that_a_cascade_leaves_is_found_and_what_is_missing_is_missed(make):
    planted = make()
    look = planted.revoke()
    whole = look()
    assert whole.complete
    assert (whole.grants, whole.marked, whole.told, whole.told_once, whole.counted) == (100,) * 5
    assert (whole.links, whole.broken) == (101, 0)
    for field in ("marked", "told", "told_once", "counted"):
        assert not replace(whole, **{field: 99}).complete
    last = planted.rows()[-1]["token_id"]
    with planted.server.store.transaction() as connection:
        connection.execute(update(TOKENS).where(TOKENS.c.token_id == last).values(is_revoked=False))
    assert (look().marked, look().complete) == (99, False)
    with planted.server.store.transaction() as connection:
        connection.execute(delete(AUDIT).where(AUDIT.c.token_id == last, AUDIT.c.event_type == "token_ended"))
    found = look()
    # The last row of the chain: no other one misses it, only the chain's own end does.
    assert (found.told, found.told_once, found.broken, found.complete) == (99, 99, 1, False)


def test_a_row_that_was_changed_does_not_link(make):
    planted = make()
    look = planted.revoke()
    with planted.server.store.transaction() as connection:
        row = AUDIT.c.event_type == "token_ended", AUDIT.c.grant_id == planted.tree.root_grant_id
        connection.execute(update(AUDIT).where(*row).values(reason="changed"))
    assert look().broken == 1


def test_beside_others_nothing_below_is_valid_and_no_row_is_missing(url):
    found = bench_cascade(grants=2_000, shapes=["chains"], database=url, usual_seconds=0.3)["chains"]
    assert (found.probes, found.still_valid) == (40, 0)
    left = found.aftermath
    assert (left.grants, left.marked, left.told, left.told_once, left.counted) == (2_000,) * 5
    # The mark itself, the rows of the fill, the probes, and at least something of the neighbours.
    assert left.links > 2_000 + 1 + 40
    assert left.broken == 0
    assert found.sound
    assert found.beside.requests > 0
    assert 0 < found.fill_share < 1
    assert found.returned_ms < found.refused_ms < 1e3 * found.fill_s
    assert not replace(found, still_valid=1).sound


def test_the_command_prints_tables_or_json(capsys):
    def told(*words):
        with pytest.raises(SystemExit) as left:
            main(["bench", "cascade", "--grants", "300", "--seconds", "0.2", *words])
        out, err = capsys.readouterr()
        assert (left.value.code, err) == (0, "")
        return out

    lines = told("--shape", "star").splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("star", "4-ary"))] == ["star"] * 3
    assert "no row is missing: yes" in lines[-2]
    found = json.loads(told("--json"))
    assert found["grants"] == 300
    assert list(found["shapes"]) == ["star", "chains", "4-ary"]
    assert all(each["sound"] for each in found["shapes"].values())
    assert found["shapes"]["star"]["aftermath"]["told"] == 300


def test_a_database_that_is_none_is_told_in_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "cascade", "--grants", "10", "--db", "mysql://nowhere/x"])
    assert capsys.readouterr().err.startswith("agentsim: --db: ")
