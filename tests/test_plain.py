"""What is printed is text: no name moves the cursor, colours a line, fakes one or turns it around; no password is shown."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.cli.plain import harmless, say
from agentsim.cli.urls import without_password
from agentsim.server import Register, Server, Store
from agentsim.server.http.serving import Settings
from agentsim.server.parties import Admin
from agentsim.server.policy import Policy
from agentsim.server.statements import AGENTS
from tests.outcomes import Outcome

COMMANDS = Path(__file__).parents[1] / "agentsim" / "cli"
#: Clears the screen and colours in two ways, returns to the line's begin, rings, fakes a line, turns text around; no text at all.
HOSTILE = "\x1b[2J\x9b31mred\r\x07\nagentsim: all is well\u202e\ud800"
PASSWORD = "planted-password"


@pytest.fixture
def call(cli: Callable[..., Outcome]) -> Callable[..., str]:
    """What a command prints, on both streams."""

    def run(*words: object) -> str:
        _, out, err = cli(*words)
        return out + err

    return run


def assert_harmless(told: str) -> None:
    assert [line for line in told.split("\n") if not line.isprintable()] == []
    assert "agentsim: all is well" not in told.split("\n")


@given(st.text())
def test_whatever_a_text_holds_it_is_told_on_one_line_of_letters(text: str) -> None:
    told = harmless(text)
    assert told.isprintable()
    assert told == text or not text.isprintable()


def test_what_would_do_something_is_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo\x1b[31m")
    say("three\t", err=True)
    assert capsys.readouterr() == ("one\ntwo\\x1b[31m\n", "three\\t\n")


def test_commands_print_by_no_other_way() -> None:
    """Only the application's frame does, for its version, its help, and JSON, which spells everything out itself."""
    ways = ("typer.echo", "print", "sys.stdout.write", "sys.stderr.write")
    printing = {
        file.name
        for file in COMMANDS.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ways
    }
    assert printing == {"app.py", "plain.py"}


def test_a_run_of_an_evil_name_is_inspected(call: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2J\x9b31m\nred"
    folder.mkdir()
    manifest = {
        "kind": "simulation",
        "name": HOSTILE.replace("\ud800", ""),
        "source": {},
        "policy": {},
        "reproduce": "",
        "created_at": "2026-01-01T00:00:00+00:00",
        "status": "complete",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for words in (("inspect", folder), ("inspect", folder, "--check")):
        told = call(*words)
        assert "\\x1b[2J" in told
        assert_harmless(told)


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "\x1b[2J\x9b31m.yaml"),
        ("inspect", "\x1b[2J\x9b31m"),
        ("report", "\x1b[2J\x9b31m", "--run", "."),
        ("report", "scale", "--run", ".", "-p", "\x1b[2J\x9b31m"),
        ("audit", "verify", "--db", "\x1b[2J\x9b31m"),
        ("\x1b[2J\x9b31m",),
        ("inspect", "--\x1b[2J\x9b31m"),
    ],
)
def test_what_is_wrong_is_told_in_letters(call: Callable[..., str], words: tuple[str, ...]) -> None:
    told = call(*words)
    assert "\\x1b[2J\\x9b31m" in told
    assert_harmless(told)


def test_a_fault_in_a_scenario_is_told_in_letters(call: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text('schema: 1\nname: 5\n"\\e[2J\\x9b31m": "\\a"\n')
    told = call("simulate", file)
    assert "\\x1b[2J" in told
    assert_harmless(told)


def test_an_agent_of_an_evil_name_is_listed(call: Callable[..., str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'evil.sqlite'}"
    from agentsim.server.migrations import migrate

    migrate(url)
    server = Server(Store(url))
    asked = Register(by=Admin("acme"), agent_name="x", allowed_tools=["t"], resource_access=["r"])
    server.execute([asked])
    # Registration takes none of these; whoever writes into the database does.
    with server.store.transaction() as connection:
        connection.execute(AGENTS.update().values(agent_name=HOSTILE.replace("\ud800", "")))
    server.close()
    told = call("admin", "agents", "--db", url)
    assert "red\\r\\x07\\nagentsim: all is well\\u202e" in told
    assert_harmless(told)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:odd/{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://me:odd@{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://me:odd:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://me:odd#{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://me:odd%zz{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://:{PASSWORD}@127.0.0.1:port/x",
        f"postgresql://127.0.0.1:1/x?user=me&password={PASSWORD}",
        f"postgresql://127.0.0.1:1/x?sslpassword={PASSWORD}&nonsense=1",
        f"mysql://me:{PASSWORD}@127.0.0.1/x",
        f"postgresql:me:{PASSWORD}@127.0.0.1",
        f"host=127.0.0.1 port=1 password='{PASSWORD} x' dbname=x",
    ],
)
@pytest.mark.parametrize("command", ["audit verify", "bench core --agents 5"])
def test_a_databases_password_is_never_told(call: Callable[..., str], command: str, url: str) -> None:
    told = call(*command.split(), "--db", url)
    assert "--db" in told
    assert PASSWORD not in told


@pytest.mark.parametrize(
    "command",
    [
        "audit export -o x.jsonl",
        "clean",
        "admin agents",
        "account disable ana",
        "serve --port 0",
        "bench cleanup --rows 100",
        "bench budgets --trees 5",
    ],
)
def test_no_command_tells_it(
    call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for odd in ("", "odd@"):
        told = call(*command.split(), "--db", f"postgresql://me:{odd}{PASSWORD}@127.0.0.1:1/x")
        assert "--db" in told
        assert PASSWORD not in told


def test_what_may_be_shown_of_a_url_is_shown() -> None:
    assert (
        without_password("postgresql://me:hush@db.example:5432/x") == "postgresql://me:***@db.example:5432/x"
    )
    for url in (
        "sqlite:///data/a@b.sqlite",
        "postgresql://me@db.example/x?sslmode=require",
        "postgresql://db/x",
    ):
        assert without_password(url) == url


def test_settings_do_not_show_the_password() -> None:
    url = f"postgresql://me:{PASSWORD}@db.example/x"
    assert PASSWORD not in repr(Settings(database=url, policy=Policy(), key_file=None, admin_token_hash=b""))
