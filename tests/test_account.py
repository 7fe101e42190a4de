"""``agentsim account`` as an administrator meets it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.outcomes import Outcome

PASSWORD = "correct horse battery\n"


@pytest.fixture
def run(tmp_path: Path, cli: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("agentsim.server.accounts._N", 2**8)
    db = f"sqlite:///{tmp_path}/new/people.sqlite"

    def call(*words: str, typed: str = "", status: int = 0) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        ended = cli("account", *words, "--db", db)
        assert ended.status == status, ended.err
        return ended.out + ended.err

    return call


def test_an_account_from_its_making_to_its_end(run: Any) -> None:
    assert "ana may sign in" in run("add", "ana", "--password-stdin", "--owner", "acme", typed=PASSWORD)
    (row,) = json.loads(run("list", "--json"))["accounts"]
    assert (row["name"], row["owner"], row["disabled_at"]) == ("ana", "acme", None)
    assert "password_hash" not in row
    run("password", "ana", "--password-stdin", typed="another good phrase\n")
    assert "user:ana" in run("disable", "ana")
    assert "disabled" in run("list")
    run("enable", "ana")
    assert "active" in run("list")


def test_mistakes_are_one_message(run: Any) -> None:
    run("add", "ana", "--password-stdin", typed=PASSWORD)
    assert "there is such an account" in run("add", "ana", "--password-stdin", typed=PASSWORD, status=2)
    assert "12 to 1024 characters" in run("add", "bob", "--password-stdin", typed="short\n", status=2)
    assert "no such account" in run("disable", "eve", status=2)
    assert "--password-stdin" in run("add", "bob", status=2)
