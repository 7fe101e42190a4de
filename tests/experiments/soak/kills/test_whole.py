"""Whether a served database is whole: one that was left alone is, and each half of an operation is found."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentsim.experiments.soak.kills.whole import find_halves, is_filled
from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    IssueChild,
    Refresh,
    Register,
    Registration,
    Revocation,
    Revoke,
    Server,
    Store,
    TokenGrant,
)

ADMIN = Admin("acme")


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with something of everything in it."""
    file = tmp_path_factory.mktemp("used") / "used.sqlite"
    with closing(Server(Store(file))) as server:
        profile = {"agent_name": "a", "allowed_tools": ["file_read"], "resource_access": ["github"]}
        made = server.ask(Register(by=ADMIN, **profile), Registration)
        server.execute([Confirm(registration_token=made.registration_token)])
        by = Client(made.client_id, made.client_secret or "")
        kept, ended = (server.ask(Issue(by=by, scope="file_read:github"), TokenGrant) for _ in range(2))
        for root in (kept, ended):
            server.ask(
                IssueChild(by=by, parent_token=root.access_token, scope="file_read:github"), TokenGrant
            )
        server.ask(Refresh(by=by, refresh_token=kept.refresh_token or ""), TokenGrant)
        server.ask(Revoke(by=ADMIN, token=ended.access_token, reason="theft"), Revocation)
        while server.pending():
            server.fill()
    return file


@pytest.fixture
def database(used: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy that may be damaged."""
    shutil.copy(used, tmp_path / "copy.sqlite")
    with closing(sqlite3.connect(tmp_path / "copy.sqlite", isolation_level=None)) as connection:
        yield connection


def halves(tmp_path: Path) -> str:
    with closing(Store(tmp_path / "copy.sqlite")) as store:
        return "\n".join(find_halves(store))


def test_what_was_done_to_its_end_is_whole(database: sqlite3.Connection, tmp_path: Path) -> None:
    assert halves(tmp_path) == ""


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM task_audit_log WHERE event_type = 'token_issued'", "root grant without its audit row"),
        ("DELETE FROM task_audit_log WHERE event_type = 'child_token_issued'", "child grant without its audit"),
        ("DELETE FROM task_audit_log WHERE event_type = 'token_refreshed'", "refreshed token without its audit"),
        ("DELETE FROM task_audit_log WHERE event_type = 'agent_confirmed'", "confirmed agent without its audit"),
        ("DELETE FROM task_audit_log WHERE event_type = 'token_revoked'", "mark that no audit row names"),
        ("DELETE FROM task_audit_log WHERE event_type = 'token_ended'", "ended token without its audit row"),
        ("DELETE FROM issued_tokens WHERE depth = 1", "child grant of which there is only an audit row"),
        ("DELETE FROM issued_tokens WHERE depth = 0 AND token_id = grant_id", "grant without its parent"),
        ("DELETE FROM issued_tokens WHERE token_id <> grant_id", "used refresh token without a successor"),
        ("UPDATE issued_tokens SET refresh_consumed_at = NULL", "successor of a refresh token that was not used"),
        ("UPDATE issued_tokens SET previous_token_id = 1", "refresh token with two successors"),
        ("DELETE FROM grant_states", "grant without a state"),
        ("DELETE FROM revocations", "token ended by a mark that is not there"),
        ("UPDATE revocations SET affected_grants = 1", "mark whose counts are not those of its rows"),
        ("UPDATE audit_chains SET length = length - 1", "audit chain whose head is not its last row"),
        ("UPDATE task_audit_log SET task_id = 'other' WHERE event_type = 'token_issued'", "audit chain 0"),
    ],
)  # fmt: skip
def test_each_half_is_found(database: sqlite3.Connection, tmp_path: Path, damage: str, found: str) -> None:
    assert database.execute(damage).rowcount
    assert found in halves(tmp_path)


def test_a_fill_that_waits_is_seen_and_is_no_half(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("UPDATE revocations SET closure = 'pending'")
    with closing(Store(tmp_path / "copy.sqlite")) as store:
        assert not is_filled(store)
        assert find_halves(store) == []
