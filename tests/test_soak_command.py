"""The command that soaks a served token server."""

import json

import pytest

from agentsim.experiments.soak import Soak, Tally, running


def test_a_soak_is_written_down_printed_and_given_to_programs(cli, tmp_path):
    out = tmp_path / "soak"
    status, printed, complained = cli("soak", "--only", "load", "--seconds", 2, "--out", out, "--json")
    assert (status, complained) == (0, "")
    told = json.loads(printed)
    assert told["sound"]
    assert told["parts"] == ["load"]
    assert told["drift"] == {"memory": None, "p99": None}
    assert told["tallies"] == json.loads((out / "soak.json").read_text())["tallies"]
    soak = Soak(out)
    assert soak.manifest.reproduce == f"agentsim soak --out {out} --seconds 2 --kills 30 --only load"
    assert soak.manifest.versions["agentsim"]
    assert len(soak.load) == 2


@pytest.fixture
def counting(monkeypatch):
    """A soak whose hostile input counts what it is told, at once."""

    def count(*tallies: Tally, then: BaseException | None = None) -> None:
        def inputs(**_given):
            if then is not None:
                raise then
            return list(tallies)

        monkeypatch.setattr(running, "inputs", inputs)
        monkeypatch.setattr(
            running, "faults", lambda **_given: [Tally(part="faults", name="disk full", tried=2)]
        )

    return count


def test_what_went_wrong_is_told_in_sentences_and_in_the_status(cli, tmp_path, counting):
    counting(
        Tally(
            part="bad inputs", name="forged tokens", tried=40, operations=40, let_in=1, notes=["accepted: x"]
        )
    )
    status, printed, _ = cli("soak", "--only", "inputs", "--out", tmp_path / "soak")
    assert status == 1
    assert "bad inputs: forged tokens" in printed
    assert "forged tokens: accepted: x" in printed
    assert "Nothing went wrong: NO" in printed
    assert not Soak(tmp_path / "soak").manifest.sound


def test_ctrl_c_says_what_was_done_and_leaves_no_half_record(cli, tmp_path, counting, monkeypatch):
    counting(then=KeyboardInterrupt())
    monkeypatch.setattr(running, "PARTS", ("faults", "inputs"))
    status, printed, complained = cli("soak", "--out", tmp_path / "soak")
    assert status == 130
    assert "faults: disk full" in printed
    assert "nothing was written" in printed
    assert "interrupted" in complained
    assert not (tmp_path / "soak").exists()


def test_a_place_that_is_taken_is_told_before_anything_is_done(cli, tmp_path, counting):
    counting(then=AssertionError("too late"))
    (tmp_path / "letter.txt").write_text("mine")
    status, _, complained = cli("soak", "--only", "inputs", "--out", tmp_path)
    assert status == 2
    assert complained == f"agentsim: {tmp_path}: not empty and no soak; choose another directory\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--only", "luck"), "luck"),
        (("--seconds", 0), "seconds"),
        (("--db", "sqlite:///x"), "PostgreSQL"),
        (("--db", "nonsense"), "named by a URL"),
    ],
)
def test_what_cannot_be_done_is_one_line(cli, tmp_path, arguments, told):
    status, _, complained = cli("soak", "--out", tmp_path / "soak", *arguments)
    assert status == 2
    assert told in complained
    assert complained.count("\n") == 1
    assert not (tmp_path / "soak").exists()


def test_a_soak_and_a_run_are_told_apart(cli, tmp_path, counting):
    counting(Tally(part="bad inputs", name="forged tokens", tried=40, operations=40))
    out = tmp_path / "soak"
    assert cli("soak", "--only", "inputs", "--out", out)[0] == 0
    status, _, complained = cli("report", "scale", "--run", out, "--out", tmp_path / "reports")
    assert status == 2
    assert complained == (
        f"agentsim: {out}: a soak and no Run; 'agentsim report reliability --run {out}' is about it\n"
    )
