"""The command line: what it prints where, and with which exit status it leaves."""

import subprocess
import sys
from typing import NamedTuple

import pytest

from agentsim.cli import main

COMMANDS = ("simulate", "replay", "inspect", "report", "lab")


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Call the command line in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Outcome(left.value.code, *capsys.readouterr())

    return call


def assert_refused(outcome: Outcome, *words: str) -> None:
    """A user's mistake: status 2, one message on standard error, nothing else."""
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("agentsim: ")
    assert "Traceback" not in outcome.err
    assert [word for word in words if word not in outcome.err] == []


def test_without_words_it_explains_itself(cli):
    bare = cli()
    assert bare.status == 0
    assert bare.out == cli("--help").out
    assert [command for command in COMMANDS if command not in bare.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_gives_an_example(cli, command):
    outcome = cli(command, "--help")
    assert outcome.status == 0
    assert f"Example: agentsim {command} " in outcome.out


def test_it_knows_its_version(cli):
    outcome = cli("--version")
    assert outcome.status == 0
    assert outcome.out.split()[0] == "agentsim"
    assert outcome.out.split()[1][0].isdigit()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["predict"], ["predict", "agentsim --help"]),
        (["simulate"], ["SCENARIO", "agentsim simulate --help"]),
        (["simulate", "s.yaml", "--agents", "-5"], ["--agents", "1"]),
        (["simulate", "s.yaml", "--agents", "0"], ["--agents", "1"]),
        (["simulate", "s.yaml", "--seed", "-1"], ["--seed", "0"]),
        (["simulate", "s.yaml", "--seed", "many"], ["--seed"]),
        (["simulate", "s.yaml", "--batch-size", "0"], ["--batch-size"]),
        (["simulate", "s.yaml", "--wrong"], ["--wrong"]),
        (["replay", "t.parquet", "--batch-size", "-1"], ["--batch-size"]),
        (["report", "scale"], ["--run"]),
        (["report", "scale", "--run", "r", "-p", "budget"], ["budget", "name=value"]),
        (["report", "scale", "--run", "r", "-p", "=3"], ["=3", "name=value"]),
        (["report", "scale", "--run", "r", "-p", "a=1", "-p", "a=2"], ["a", "twice"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_gives_one_message(cli, words, named):
    assert_refused(cli(*words), *named)


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "no.yaml"],
        ["replay", "no.parquet"],
        ["inspect", "no"],
        ["report", "scale", "--run", "no"],
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_named(cli, words):
    assert_refused(cli(*words), words[-1])


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from agentsim.cli import main\n"
        "try: main(['simulate', '--help'])\n"
        "except SystemExit: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split("'"))
    assert "agentsim.cli" in loaded
    assert loaded.isdisjoint({"pandas", "numpy", "sklearn", "papermill", "pyarrow", "duckdb", "sqlalchemy"})
