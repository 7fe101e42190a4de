"""The command line: what it prints where, and with which exit status it leaves."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.risk import online
from agentsim.run import Run
from agentsim.server import Assessment
from tests.outcomes import Outcome

COMMANDS = ("simulate", "replay", "inspect", "report", "lab")


@pytest.fixture
def cli(cli, monkeypatch, tmp_path):
    """Gives commands in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return cli


SCENARIO = """\
schema: 1
name: tiny
seed: 11
tenants: [{name: acme}]
population: {agents: 40, roots: {orchestrator: 1, support_agent: 1}, max_depth: 3}
workload: {executor: constant-arrival-rate, rate: 1/s}
window: 5s
attacks: [{kind: scope_escalation, prevalence: 0.5, stealth: 0.2, start: 0s}]
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture
def traces(tmp_path):
    """Two runs of one agent: one looks two tools up, the other hands a part on and calls nothing itself."""
    columns = ("run_id", "task_id", "parent_task_id", "step", "tool", "error", "label", "attack_attempted")
    rows = [
        ("r1", "refund", None, 0, "find_order", False, 0, False),
        ("r1", "refund", None, 1, "pay_back", True, 0, False),
        ("r2", "travel", None, 0, "<no_tool_call>", False, 1, True),
        ("r2", "book", "travel", 1, "book_flight", False, 1, True),
    ]
    given = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    same = {"agent": "tau", "suite": "retail", "t": None, "args_digest": "00ff", "label_detail": None}
    counts = {"n_args": 2, "arg_chars": 30, "result_chars": 200, "utility": True}
    path = tmp_path / "two runs.parquet"
    pq.write_table(
        pa.table({**given, **{name: [value] * len(rows) for name, value in {**same, **counts}.items()}}), path
    )
    return path


def agentsim(*words: object, **options) -> subprocess.CompletedProcess:
    """Call the command line in a process of its own."""
    command = [sys.executable, "-m", "agentsim.cli", *map(str, words)]
    return subprocess.run(command, text=True, timeout=120, check=False, **options)


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
        ["evaluate", "no"],
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


def test_a_simulation_says_where_its_run_is_and_what_to_do_next(cli, scenario):
    outcome = cli("simulate", scenario)
    assert (outcome.status, outcome.err) == (0, "")
    run = Run("data/runs/tiny-11")
    assert run.manifest.status == "complete"
    told = dict(line.split(maxsplit=1) for line in outcome.out.splitlines() if line)
    assert (told["run"].strip(), told["agents"].strip()) == ("data/runs/tiny-11", "40")
    assert int(told["refusals"]) == int(
        run.sql("select count(*) from audit where status = 'refused'").iloc[0, 0]
    )
    assert told["Next:"] == "agentsim report scale --run data/runs/tiny-11"


def test_agents_and_seed_of_a_scenario_can_be_changed(cli, scenario):
    figures = json.loads(cli("simulate", scenario, "--agents", 25, "--seed", 3, "--json").out)
    assert (figures["run"], figures["agents"], figures["seed"]) == ("data/runs/tiny-3", 25, 3)
    assert Run("data/runs/tiny-3").manifest.source["population"]["agents"] == 25


def test_a_seed_gives_the_same_tables_again_whatever_the_batch_size(cli, scenario):
    first = json.loads(cli("simulate", scenario, "--out", "a", "--json").out)
    again = json.loads(cli("simulate", scenario, "--out", "b", "--json", "--batch-size", 7).out)
    other = json.loads(cli("simulate", scenario, "--out", "c", "--json", "--seed", 12).out)
    assert first["digests"] == again["digests"]
    assert first["digests"]["audit"] != other["digests"]["audit"]


def test_all_mistakes_of_a_scenario_are_told_at_once(cli, scenario):
    scenario.write_text(
        SCENARIO.replace("max_depth: 3", "max_dept: 3").replace("window: 5s", "window: often")
    )
    assert_refused(cli("simulate", scenario), "tiny.yaml", "max_dept", "window")
    assert not Path("data").exists()


def test_inspect_counts_attacks_and_refusals(cli, scenario):
    cli("simulate", scenario, "--out", "runs/a")
    outcome = cli("inspect", "runs/a", "--check")
    assert (outcome.status, outcome.err) == (0, "")
    figures = json.loads(cli("inspect", "runs/a", "--json").out)
    attack = figures["attacks"]["scope_escalation"]
    told = [line.split() for line in outcome.out.splitlines()]
    assert ["scope", "escalation", *map(str, attack.values())] in told
    assert attack["operations"] > 0
    assert sum(figures["refusals_by_reason"].values()) == figures["refusals"] > 0


def test_ctrl_c_stops_with_one_line(scenario, tmp_path):
    words = [sys.executable, "-m", "agentsim.cli", "simulate", scenario, "--agents", "50000", "--out", "run"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=-1, stderr=-1, text=True) as process:
        # The manifest is written before the first operation, so that by then there is something to stop.
        for _ in range(600):
            if (tmp_path / "run" / "manifest.json").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "agentsim: interrupted\n")
    assert Run(tmp_path / "run").manifest.status == "running"


def test_a_replay_says_where_its_run_is_and_what_to_do_next(cli, traces):
    outcome = cli("replay", traces)
    assert (outcome.status, outcome.err) == (0, "")
    assert Run("data/runs/two-runs").manifest.status == "complete"
    told = dict(line.split(maxsplit=1) for line in outcome.out.splitlines() if line)
    assert told["run"].strip() == "data/runs/two-runs"
    assert told["grants"].strip() == "3"
    assert told["Next:"] == "agentsim report anomaly --run data/runs/two-runs"


def test_json_is_all_that_goes_to_standard_output(cli, traces):
    figures = json.loads(cli("replay", traces, "--out", "runs/a", "--json").out)
    assert (figures["run"], figures["kind"], figures["grants"]) == ("runs/a", "replay", 3)
    assert figures["digests"] == Run("runs/a").manifest.digests()
    inspected = json.loads(cli("inspect", "runs/a", "--json").out)
    assert inspected == figures
    checked = json.loads(cli("inspect", "runs/a", "--check", "--json").out)
    assert checked == {**figures, "violations": []}


def test_the_batch_size_changes_no_table(cli, traces):
    whole = json.loads(cli("replay", traces, "--out", "a", "--json").out)
    pieces = json.loads(cli("replay", traces, "--out", "b", "--json", "--batch-size", 1).out)
    assert whole["digests"] == pieces["digests"]


def test_inspect_shows_the_parts_of_a_run(cli, traces):
    cli("replay", traces, "--out", "runs/a")
    outcome = cli("inspect", "runs/a", "--check")
    assert (outcome.status, outcome.err) == (0, "")
    told = [line.split() for line in outcome.out.splitlines()]
    assert ["child", "token", "issued", "1", "0"] in told
    assert ["max", "depth", "1"] in told
    assert ["attacked", "2"] in told
    assert outcome.out.endswith("Checked: no invariant is broken.\n")
    assert "\x1b" not in outcome.out


def test_inspect_lists_what_is_broken_and_leaves_with_one(cli, traces):
    cli("replay", traces, "--out", "runs/a")
    audit = Run("runs/a").files("audit")[0]
    rows = pq.read_table(audit)
    pq.write_table(rows.slice(0, rows.num_rows - 1), audit)
    assert cli("inspect", "runs/a").status == 0
    outcome = cli("inspect", "runs/a", "--check")
    assert (outcome.status, outcome.err) == (1, "")
    assert audit.name in outcome.out
    listed = json.loads(cli("inspect", "runs/a", "--check", "--json").out)["violations"]
    assert {"files", "chain"} <= {violation["rule"] for violation in listed}
    assert f"Violations: {len(listed)}\n" in outcome.out


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"PAR1")], ids=["gone", "cut"])
@pytest.mark.parametrize("table", ["tokens", "audit", "labels"])
def test_a_damaged_run_is_a_message_and_with_check_a_list(cli, traces, table, damage):
    cli("replay", traces, "--out", "runs/a")
    damage(Run("runs/a").files(table)[0])
    assert_refused(cli("inspect", "runs/a"), table)
    outcome = cli("inspect", "runs/a", "--check")
    assert (outcome.status, outcome.err) == (1, "")
    assert table in outcome.out


def test_a_directory_that_is_no_run_is_left_alone(cli, traces, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear all")
    assert_refused(cli("replay", traces, "--out", "mine"), "mine", "not empty")
    assert_refused(cli("replay", traces, "--out", "mine/letter.txt/run"), "mine/letter.txt/run")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_place_where_nothing_can_be_written_is_one_message(cli, traces, tmp_path):
    cli("replay", traces, "--out", "a")
    (tmp_path / "letter.txt").write_text("dear all")
    (tmp_path / "folder").mkdir()
    assert_refused(cli("features", "a", "--out", "letter.txt/below"), "letter.txt")
    assert_refused(cli("features", "a", "--out", "folder"), "folder", "directory")
    assert_refused(cli("features", "a", "--out", "x" * 300), "too long")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "folder", "letter.txt", traces.name]
    assert list((tmp_path / "folder").iterdir()) == []


def test_features_may_be_written_into_a_folder_that_is_not_there_yet(cli, traces):
    cli("replay", traces, "--out", "a")
    assert cli("features", "a", "--out", "new/features.parquet").status == 0
    assert [file.name for file in Path("new").iterdir()] == ["features.parquet"]


def test_a_file_that_holds_no_traces_is_refused(cli, tmp_path):
    (tmp_path / "notes.parquet").write_text("no table")
    assert_refused(cli("replay", "notes.parquet"), "notes.parquet")
    pq.write_table(pa.table({"agent": ["a"]}), tmp_path / "half.parquet")
    assert_refused(cli("replay", "half.parquet"), "half.parquet", "run_id", "tool")


def test_reports_and_parameters_that_do_not_exist_are_named(cli, traces):
    cli("replay", traces, "--out", "runs/a")
    assert_refused(cli("report", "weather", "--run", "runs/a"), "weather", "scale", "anomaly")
    assert_refused(cli("report", "scale", "--run", "runs/a", "-p", "colour=red"), "colour")


def test_progress_is_drawn_on_a_terminal_away_from_the_figures(traces, tmp_path):
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    done = agentsim("replay", traces, "--json", cwd=tmp_path, stdout=subprocess.PIPE, stderr=end)
    os.close(end)
    drawn = b""
    # A terminal whose other end is closed ends with an error instead of nothing.
    with os.fdopen(terminal, "rb", buffering=0) as screen, contextlib.suppress(OSError):
        while part := screen.read(10_000):
            drawn += part
    assert json.loads(done.stdout)["grants"] == 3
    assert b"%" in drawn


def test_a_reader_who_goes_away_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    done = agentsim("--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_without_jupyterlab_the_lab_says_how_to_get_it(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert_refused(cli("lab"), "JupyterLab", "make install")


def test_the_lab_serves_the_notebooks(tmp_path):
    pytest.importorskip("jupyterlab")
    words = [sys.executable, "-m", "agentsim.cli", "lab", "--no-browser", "--", "--allow-root", "--port", "0"]
    # The settings of whoever runs the tests stay out of it.
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path),
        "JUPYTER_TOKEN": "t",
    }
    with (
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(words, env=environment, stderr=log) as process,
    ):
        try:
            served = notebooks_served(process, tmp_path / "log")
        finally:
            process.terminate()
    assert {"scale.ipynb", "anomaly.ipynb"} <= served


def notebooks_served(process: subprocess.Popen, log: Path) -> set[str]:
    """Ask a JupyterLab that is about to start for its files, until it answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        if address := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()):
            # It tells its address shortly before it listens.
            with (
                contextlib.suppress(urllib.error.URLError),
                direct.open(f"{address[0]}api/contents?token=t", timeout=60) as answer,
            ):
                return {entry["name"] for entry in json.load(answer)["content"]}
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_a_report_is_written_and_its_files_are_told(cli, scenario):
    cli("simulate", scenario, "--out", "runs/a")
    few = ["-p", "tree_grants=20", "-p", "exposure_agents=60"]
    outcome = cli("report", "scale", "--run", "runs/a", "--out", "told", *few)
    assert (outcome.status, outcome.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert set(told) == {"Report", "Notebook", "Index"}
    assert {Path(file) for file in told.values()} == set(Path("told").iterdir())


def test_a_scenario_is_played_under_thresholds(cli, scenario, tmp_path, monkeypatch):
    class Wary:
        digest = "wary"

        def for_tenant(self, tenant):
            return self, None

        def assess(self, use, state):
            return Assessment(False, "unusual", "high", 3.0, ("whatever it is",), "step_up")

    monkeypatch.setattr(online, "load_watch", lambda path: Wary())
    outcome = cli("simulate", scenario, "--out", "watched", "--jobs", 1, "--thresholds", "t.yaml", "--json")
    assert outcome.status == 0, outcome.err
    run = Run(tmp_path / "watched")
    assert run.manifest.thresholds == "wary"
    assert "--thresholds t.yaml" in run.manifest.reproduce
    reasons = run.frame("audit", ["event_type", "reason"])
    verified = reasons[reasons["event_type"] == "token_verified"]["reason"]
    assert set(verified.dropna()) >= {"step_up_required"}


def test_thresholds_that_cannot_be_used_are_told_before_anything_is_played(cli, scenario, tmp_path):
    assert_refused(
        cli("simulate", scenario, "--thresholds", tmp_path / "none.yaml", "--out", "run"), "none.yaml"
    )
    assert not (tmp_path / "run").exists()


def test_containment_is_compared_and_kept(cli, scenario, tmp_path):
    words = ["contain", scenario, "--points", 2, "--agents", 200, "--action", "step_up", "-o", "compared"]
    told = json.loads(cli(*words, "--json").out)
    none, *thresholds = [point["threshold"] for point in told["points"]]
    assert none is None
    (default,) = [point["threshold"] for point in told["points"] if point["is_default"]]
    assert default in thresholds
    assert len(set(thresholds) & {1.0, 5.0}) == 1
    assert (tmp_path / "compared/results.parquet").exists()
    table = cli(*words)
    assert "attacks" in table.out
    assert re.search(rf"^{default:.2f} \*", table.out, re.MULTILINE)
    assert_refused(cli("contain", scenario, "--action", "shout"), "shout", "revoke_tree")
