"""``agentsim audit`` and ``agentsim clean``: a trail verified, exported and cut off; what is long over removed."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.server import SigningKey, Store
from agentsim.server.checkpoints import read
from agentsim.server.statements import AUDIT, CHECKPOINTS
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario
from tests.outcomes import Outcome

SCENARIO = parse_scenario(
    {
        "schema": 1,
        "name": "audit",
        "seed": 3,
        "population": {"agents": 60},
        "tenants": [{"name": "acme", "share": 1}, {"name": "globex", "share": 1}],
        "workload": {"executor": "constant-arrival-rate", "duration": "5m"},
    }
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Run with two tenants."""
    path = tmp_path_factory.mktemp("played") / "run"
    simulate(SCENARIO, path)
    return path


@pytest.fixture
def run(played: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(played, tmp_path / "run"))


def rewrite(run: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Let the audit rows of tenant 0 be others."""
    file = run / "audit" / "t0000-00000.parquet"
    read_table = pq.read_table(file)
    rows = change(read_table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema=read_table.schema), file)


def test_a_run_carries_its_signed_heads_and_verifies(cli: Callable[..., Outcome], played: Path) -> None:
    manifest = json.loads((played / "manifest.json").read_text())
    for tenant, entry in manifest["tenants"].items():
        signed, key = read(entry["audit_checkpoint"])
        assert (signed.chain, signed.length) == (int(tenant), entry["audit_rows"])
        assert (signed.row_hash.hex(), signed.signed_at) == (entry["audit_head"], entry["end"])
        assert key.public_jwk() == entry["audit_key"]
    done = cli("audit", "verify", played, "--json")
    told = json.loads(done.out)
    assert (done.status, told["sound"], len(told["chains"])) == (0, True, 2)
    assert all(chain["proven"] == chain["rows"] > 0 == chain["unsigned"] for chain in told["chains"])


def test_the_same_seed_signs_the_same_bytes(played: Path, tmp_path: Path) -> None:
    again = simulate(SCENARIO, tmp_path / "again", batch_size=7)
    first = json.loads((played / "manifest.json").read_text())["tenants"]
    assert {str(tenant): entry.audit_checkpoint for tenant, entry in again.manifest.tenants.items()} == {
        tenant: entry["audit_checkpoint"] for tenant, entry in first.items()
    }


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("changed", lambda rows: [*rows[:5], {**rows[5], "status": "other"}, *rows[6:]]),
        ("removed", lambda rows: [*rows[:4], *rows[5:]]),
        ("reordered", lambda rows: [*rows[:5], rows[6], rows[5], *rows[7:]]),
        ("cut off", lambda rows: rows[:6]),
    ],
)
def test_what_was_done_to_a_run_is_named(
    cli: Callable[..., Outcome], run: Path, kind: str, change: Callable[[list[Any]], list[Any]]
) -> None:
    named: list[int] = []

    def note(rows: list[Any]) -> list[Any]:
        named.append(rows[5]["log_id"])
        return change(rows)

    rewrite(run, note)
    done = cli("audit", "verify", run)
    assert done.status == 1
    assert f"{kind}: row {named[0]} of chain 0" in done.out
    assert "The last row of chain 0 that is still proven: none" in done.out


def test_a_key_that_is_not_the_runs_believes_nothing(
    cli: Callable[..., Outcome], played: Path, tmp_path: Path
) -> None:
    entry = json.loads((played / "manifest.json").read_text())["tenants"]
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text(json.dumps({"keys": [each["audit_key"] for each in entry.values()]}))
    wrong.write_text(json.dumps(SigningKey.from_seed(b"other").public_jwk()))
    assert cli("audit", "verify", played, "--key", right).status == 0
    done = cli("audit", "verify", played, "--key", wrong)
    assert done.status == 1
    assert "not among those given" in done.out


def test_bad_input_is_one_clear_line(cli: Callable[..., Outcome], played: Path, tmp_path: Path) -> None:
    bad, large = tmp_path / "bad.json", tmp_path / "large.json"
    bad.write_text("[]")
    large.write_text(" " * (1 << 20) + "{}")
    for words, told in (
        (("verify", played, "--key", bad), "not a JWK set"),
        (("verify", played, "--key", large), "larger than any file of keys"),
        (("verify", played, "--key", tmp_path / "none"), "No such file"),
        (("verify", played, "--db", "sqlite:///x"), "not both"),
        (("verify", tmp_path), "no Run here"),
        (("verify", "--db", f"sqlite:///{tmp_path}/none"), "no such file"),
        (("export", played, "-o", tmp_path / "trail.csv"), "--format"),
        (("export", played, "-o", tmp_path), "--format"),
        (("truncate", "--before", "soon"), "not a date"),
        (("truncate", "--before", "2026-01-01", "--keys", tmp_path / "none"), "no such file"),
    ):
        done = cli("audit", *words)
        assert done.status == 2, words
        assert told in done.err
        assert len(done.err.splitlines()) == 1
    assert cli("clean", "--keep", "5m", "--db", f"sqlite:///{tmp_path}/none").status == 2


def test_a_run_whose_file_is_damaged_is_told(cli: Callable[..., Outcome], run: Path) -> None:
    (run / "audit" / "t0000-00000.parquet").write_bytes(b"nothing")
    done = cli("audit", "verify", run)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "cannot be read" in done.err


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["row_hash"]),
        lambda table: table.set_column(
            table.schema.get_field_index("log_id"), "log_id", pa.array(["first"] * len(table))
        ),
        lambda table: table.set_column(
            table.schema.get_field_index("chain"), "chain", pa.nulls(len(table), pa.int32())
        ),
        lambda table: table.set_column(
            table.schema.get_field_index("details"),
            "details",
            pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers()).take(
                pa.array([0] * len(table))
            ),
        ),
    ],
    ids=["no hashes", "ids that are none", "no chain", "text that is none"],
)
def test_a_run_whose_rows_are_of_another_form_is_told(
    cli: Callable[..., Outcome], run: Path, change: Callable[[Any], Any]
) -> None:
    file = run / "audit" / "t0000-00000.parquet"
    pq.write_table(change(pq.read_table(file)), file)
    done = cli("audit", "verify", run)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "cannot be read" in done.err


def test_a_run_that_hides_its_rows_and_their_head_is_told(cli: Callable[..., Outcome], run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["tenants"]["0"]["audit_head"] = "none"
    del manifest["sha256"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    rewrite(run, lambda _: [])
    done = cli("audit", "verify", run)
    assert done.status == 1
    assert "cut off: chain 0" in done.out


def test_a_trail_of_which_the_signed_heads_are_gone_is_said_to_be_proven_by_nothing(
    cli: Callable[..., Outcome], make_site: Callable[..., Any], tmp_path: Path
) -> None:
    site = make_site()
    site.root(site.agent())
    key = tmp_path / "jwks.json"
    key.write_text(site.get("/jwks").text)
    site.close()
    named = ("audit", "verify", "--db", site.database, "--key", key)
    assert "none of the keys given" not in cli(*named).out
    store = Store(site.database)
    with store.transaction() as connection:
        connection.execute(CHECKPOINTS.delete())
    store.close()
    done = cli(*named)
    assert done.status == 0
    assert "By none of the keys given is any row of chain 0 proven" in done.out


def test_a_run_is_exported(cli: Callable[..., Outcome], played: Path, tmp_path: Path) -> None:
    done = cli("audit", "export", played, "-o", tmp_path / "trail.ocsf.jsonl", "--json")
    told = json.loads(done.out)
    assert told["rows"] == len((tmp_path / "trail.ocsf.jsonl").read_text().splitlines()) > 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("row_hash", "a text"),
        ("timestamp", "yesterday"),
        ("timestamp", b"x"),
        ("details", b"\xff"),
        ("status", "\udc80"),
    ],
)
@pytest.mark.parametrize("ending", ["ocsf.jsonl", "jsonl"])
def test_a_row_that_holds_another_kind_of_value_is_exported_as_it_lies_or_named(
    cli: Callable[..., Outcome],
    make_site: Callable[..., Any],
    tmp_path: Path,
    column: str,
    value: object,
    ending: str,
) -> None:
    site = make_site()
    site.root(site.agent())
    site.close()
    with closing(sqlite3.connect(site.database.removeprefix("sqlite:///"))) as connection, connection:
        raw = value.encode(errors="surrogateescape") if isinstance(value, str) else value
        as_text = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        last = "SELECT max(log_id) FROM task_audit_log"
        done = connection.execute(
            f"UPDATE task_audit_log SET {column} = {as_text} WHERE log_id = ({last})", (raw,)
        )
        assert done.rowcount == 1
    out = tmp_path / f"trail.{ending}"
    told = cli("audit", "export", "--db", site.database, "-o", out)
    if told.status == 0:
        assert [json.loads(line) for line in out.read_text().splitlines()]
    else:
        assert (told.status, len(told.err.splitlines()), out.exists()) == (2, 1, False)
        assert "holds what was never written there" in told.err


def test_a_served_trail_is_signed_when_its_server_ends(
    cli: Callable[..., Outcome], make_site: Callable[..., Any]
) -> None:
    site = make_site()
    agent = site.agent()
    site.root(agent)
    site.close()
    store = Store(site.database)
    try:
        with store.reading() as connection:
            heads = connection.execute(CHECKPOINTS.select()).all()
            rows = connection.execute(AUDIT.select()).all()
    finally:
        store.close()
    assert heads[-1].length == len(rows) == 3
    assert read(heads[-1].jws)[0].issuer == site.issuer
    done = cli("audit", "verify", "--db", site.database, "--json")
    (chain,) = json.loads(done.out)["chains"]
    assert (done.status, chain["proven"], chain["unsigned"]) == (0, 3, 0)


def test_what_a_served_database_has_kept_too_long_goes(
    cli: Callable[..., Outcome], make_site: Callable[..., Any]
) -> None:
    # The site's clock stands in 2023: all that it grants is long over by that of the command.
    site = make_site()
    agent = site.agent()
    site.child(agent, site.root(agent))
    done = cli("clean", "--db", site.database, "--keep", "30d", "--json")
    assert (done.status, json.loads(done.out)["removed"]["issued_tokens"]) == (0, 2)
    assert "Nothing is long enough over" in cli("clean", "--db", site.database).out
    # It serves on.
    assert site.root(agent)["access_token"]


def test_a_served_trail_is_truncated_and_verifies_from_there_on(
    cli: Callable[..., Outcome], serve: Callable[..., Any], tmp_path: Path
) -> None:
    served = serve()
    served.root(served.agent())
    assert served.stop() == 0
    folder = tmp_path / "data" / "server"
    named = ("--db", f"sqlite:///{folder / 'agentsim.sqlite'}")
    keys = folder / "keys.json"
    assert (
        json.loads(cli("audit", "verify", *named, "--key", keys, "--json").out)["chains"][0]["unsigned"] == 0
    )
    told = json.loads(
        cli("audit", "truncate", *named, "--keys", keys, "--before", "2200-01-01", "--json").out
    )
    assert told["removed"] == told["chains"][0]["length"] >= 3
    again = serve()
    again.agent()
    # While it serves.
    done = cli("audit", "verify", *named, "--key", keys, "--json")
    (chain,) = json.loads(done.out)["chains"]
    assert done.status == 0
    # The row that told of it, and the agent's two.
    assert (chain["truncated"], chain["rows"]) == (told["removed"], 3)
    assert again.stop() == 0
    (chain,) = json.loads(cli("audit", "verify", *named, "--key", keys, "--json").out)["chains"]
    assert (chain["proven"], chain["unsigned"]) == (told["removed"] + chain["rows"], 0)
