"""What lies in a directory of Runs, as a table: whatever is wrong with one of them, the others are shown."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup

import agentsim
from agentsim.run import Failure, RunError
from agentsim.run.manifest import Manifest

HOSTILE = "<script>alert(1)</script>\x1b[31m\nred"


def shown(runs):
    """The table that a notebook shows: cells by column, a dictionary for each row."""
    soup = BeautifulSoup(runs._repr_html_(), "html.parser")
    names = [cell.text for cell in soup.thead.find_all("th")]
    return [
        dict(zip(names, (cell.text for cell in row.find_all("td")), strict=True))
        for row in soup.tbody.find_all("tr")
    ]


def test_runs_are_listed_newest_first_with_their_figures(make_run, tmp_path):
    make_run(tmp_path / "old", seed=3)
    make_run(tmp_path / "new", created_at="2026-02-01T10:30:00+00:00", kind="replay", name="traces")
    runs = agentsim.runs(tmp_path)
    assert [run.path.name for run in runs] == ["new", "old"]
    assert (len(runs), runs[-1].manifest.seed, runs[:1]) == (2, 3, (runs[0],))
    new, old = shown(runs)
    assert (new["kind"], new["scenario"], new["seed"], new["made"]) == (
        "replay",
        "traces",
        "–",
        "2026-02-01 10:30",
    )
    # People are no agents, a refresh is no grant, and rows of the fill are no operations.
    assert (old["agents"], old["grants"], old["operations"], old["status"]) == ("2", "2", "2", "complete")
    frame = runs.frame()
    assert frame["name"].tolist() == ["new", "old"]
    assert frame["made"].tolist() == [
        pd.Timestamp("2026-02-01 10:30", tz="UTC"),
        pd.Timestamp("2026-01-01", tz="UTC"),
    ]
    assert frame["grants"].sum() == 4
    assert len(repr(runs).splitlines()) == 4


def test_the_newest_is_told_by_the_moment_and_not_by_its_text(make_run, tmp_path):
    make_run(tmp_path / "a", created_at="2026-01-01T23:00:00-05:00")
    make_run(tmp_path / "b", created_at="2026-01-02T01:00:00Z")
    make_run(tmp_path / "c", created_at="some day")
    make_run(tmp_path / "d", created_at="2026-01-01T12:00:00")
    assert [run.path.name for run in agentsim.runs(tmp_path)] == ["a", "b", "d", "c"]


def test_what_is_wrong_with_a_run_is_told_in_its_line(make_run, rewrite_manifest, tmp_path):
    make_run(tmp_path / "whole")
    make_run(tmp_path / "half", finished=False)
    failure = Failure(stage="simulate", type="ValueError", message=f"broken\n{HOSTILE}")
    rewrite_manifest(make_run(tmp_path / "failed"), status="failed", failed={3: failure.model_dump()})
    gone = make_run(tmp_path / "gone")
    gone.files("tokens")[0].unlink()
    cut = make_run(tmp_path / "cut")
    cut.files("audit")[0].write_bytes(b"no Parquet")
    rewrite_manifest(make_run(tmp_path / "newer"), format=99)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/manifest.json").write_text("{")
    runs = agentsim.runs(tmp_path)
    assert {run.path.name for run in runs} == {"whole", "half", "failed", "gone", "cut"}
    assert [each.path.name for each in runs.unreadable] == ["newer", "torn"]
    told = {row["name"]: row["status"] for row in shown(runs)}
    assert told["whole"] == "complete"
    assert told["half"].startswith("not finished: 1 tenants")
    assert told["failed"].startswith("failed: tenant 3 in stage simulate: ValueError: broken <script>")
    assert told["gone"] == "damaged: 1 of its files are missing, the first is tokens/t0000-00000.parquet"
    assert told["cut"].startswith("damaged: ")
    assert "update agentsim" in told["newer"]
    assert "cannot be read" in told["torn"]
    assert list(told)[-2:] == ["newer", "torn"]
    assert not any("\n" in status or "\x1b" in status for status in runs.frame()["status"])
    assert len(repr(runs).splitlines()) == 2 + len(told)
    assert pd.isna(runs.frame().set_index("name").loc["newer", "grants"])


def test_hostile_names_stay_text(make_run, tmp_path):
    make_run(tmp_path / "<img src=x onerror=alert(1)>", name=HOSTILE, kind="<b>kind</b>", seed=2**127)
    runs = agentsim.runs(tmp_path)
    soup = BeautifulSoup(runs._repr_html_(), "html.parser")
    assert soup.find_all(["script", "img", "b", "style", "link"]) == []
    (row,) = shown(runs)
    assert row["name"] == "<img src=x onerror=alert(1)>"
    assert row["scenario"] == "<script>alert(1)</script> [31m red"
    assert row["seed"] == str(2**127)
    assert "\x1b" not in repr(runs)


def test_directories_that_hold_runs_below_are_named(make_run, tmp_path):
    make_run(tmp_path / "sweep" / "cell-r0")
    (tmp_path / "notes.txt").write_text("no Run")
    (tmp_path / "empty").mkdir()
    runs = agentsim.runs(tmp_path)
    assert (len(runs), [folder.name for folder in runs.below]) == (0, ["sweep"])
    assert "sweep" in repr(runs)
    assert "sweep" in runs._repr_html_()
    assert [run.path.name for run in agentsim.runs(tmp_path / "sweep")] == ["cell-r0"]
    assert "agentsim simulate" in repr(agentsim.runs(tmp_path / "empty"))
    assert agentsim.runs(tmp_path / "empty").frame().empty


def test_no_directory_is_told_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"nowhere: no directory of Runs") as caught:
        agentsim.runs(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


def test_from_elsewhere_the_runs_of_the_checkout_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert agentsim.runs().directory.is_absolute()
    (tmp_path / "data/runs").mkdir(parents=True)
    assert str(agentsim.runs().directory) == "data/runs"


def test_a_run_shows_its_manifest_its_tables_and_its_command(make_run, tmp_path):
    run = make_run(tmp_path / "run", name=HOSTILE, seed=7, reproduce="agentsim simulate '<script>' && echo")
    soup = BeautifulSoup(run._repr_html_(), "html.parser")
    assert soup.find_all(["script", "style"]) == []
    assert soup.code.text == "agentsim simulate '<script>' && echo"
    told = {row.th.text: row.td.text for row in soup.find_all("table")[0].find_all("tr")}
    assert (told["status"], told["seed"]) == ("complete", "7")
    assert told["took"] == "2.5 s of wall time for 5 simulated s"
    tables = {
        row.td.text: row.find_all("td")[1].text for row in soup.find_all("table")[1].tbody.find_all("tr")
    }
    assert (tables["tokens"], tables["labels"]) == ("3", "0")
    run.files("audit")[0].unlink()
    assert "damaged" in run._repr_html_()


def test_every_status_of_a_manifest_is_shown(make_run, rewrite_manifest, tmp_path):
    run = make_run(tmp_path / "run", finished=False)
    assert Manifest.model_fields["status"].default == run.manifest.status
    assert "not finished" in run._repr_html_()
