"""The command that judges detectors on recorded attacks."""

import json
from functools import partial

import pytest

from agentsim.simulation import replay
from tests.traces import attacked, write


@pytest.fixture
def cli(cli):
    """Gives words to ``agentsim evaluate``."""
    return partial(cli, "evaluate")


def recorded(path, suites):
    return replay(write(path.with_suffix(".parquet"), attacked(suites, 120)), path).path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return recorded(folder / "both", ("bank", "shop")), recorded(folder / "other", ("office",))


def test_people_read_base_rates_detectors_and_the_worst_suite(cli, runs):
    status, out, err = cli(runs[0], "--no-sizes")
    assert (status, err) == (0, "")
    assert out.count("attacked runs scored") == 2
    assert "within agent" in out
    assert "worst" in out
    assert "supervised" in out
    assert "prior: the agent alone" in out
    assert "sizes" not in out


def test_programs_read_every_figure_with_its_interval(cli, runs):
    status, out, _ = cli(runs[0], "--json")
    told = json.loads(out)
    assert status == 0
    assert (told["leave_out"], told["train"]) == ("suite", None)
    (found,) = [
        row for row in told["figures"] if (row["suite"], row["detector"]) == ("bank", "novelty in sequence")
    ]
    assert found["within_roc_auc"] > 0.95
    assert found["recall_at_5_low"] <= found["recall_at_5"] <= found["recall_at_5_high"]
    assert "supervised, with sizes" in {row["detector"] for row in told["over_suites"]}


def test_another_run_may_teach(cli, runs):
    status, out, _ = cli(runs[1], "--train", runs[0], "--json")
    told = json.loads(out)
    assert status == 0
    assert (told["leave_out"], told["train"]) == (None, str(runs[0]))
    assert {row["suite"] for row in told["figures"]} == {"office"}
    assert "supervised" in {row["detector"] for row in told["figures"]}


def test_one_suite_alone_is_judged_without_learning_labels_and_says_so(cli, runs):
    status, out, _ = cli(runs[1])
    assert status == 0
    assert "Note: nothing is left to learn labels from" in out


@pytest.mark.parametrize(
    ("words", "named"), [(["--train", 0], "would judge themselves"), (["--leave-out", "tool"], "--leave-out")]
)
def test_mistakes_give_one_line(cli, runs, words, named):
    status, out, err = cli(runs[0], *(runs[word] if isinstance(word, int) else word for word in words))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert named in err


def test_its_help_has_an_example(cli):
    status, out, _ = cli("--help")
    assert status == 0
    assert "Example: agentsim evaluate" in out
