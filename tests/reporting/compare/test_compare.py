"""Runs set side by side: which belong together, what they differ in, and what is said of it."""

import shutil

import pytest

from agentsim.reporting import ReportError, compare
from agentsim.reporting.compare.measures import measure
from agentsim.reporting.compare.sides import differing, members, open_sides, settings_of
from agentsim.run import Run, RunError, save_manifest
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario


@pytest.fixture(scope="session")
def play(run, tmp_path_factory):
    """Plays the story with another seed, and other settings where they are given."""

    def played(seed, **changes):
        scenario = parse_scenario({**run.manifest.source, **changes, "seed": seed})
        return simulate(scenario, tmp_path_factory.mktemp("played") / f"seed-{seed}")

    return played


@pytest.fixture(scope="session")
def other_seeds(play):
    return [play(12), play(13)]


@pytest.fixture(scope="session")
def short(play):
    """The story with access tokens that end soon, three times."""
    return [play(seed, policy={"access_ttl": "20s"}) for seed in (11, 12, 13)]


def paths(*runs):
    return [str(run.path) for run in runs]


def copied(run, to, **told):
    shutil.copytree(run.path, to)
    copy = Run(to)
    for name, value in told.items():
        setattr(copy.manifest, name, value)
    save_manifest(copy)
    return Run(to)


def test_runs_that_differ_in_their_seed_alone_are_all_noise(run, other_seeds):
    sides = open_sides(paths(run, *other_seeds))
    assert sides.only_seeds
    assert [len(side.runs) for side in sides] == [1, 1, 1]
    found = compare.compare(paths(run, *other_seeds), budget=100, companion_agents=0)
    assert not found.figures["beyond"].any()
    assert compare.tone(found) == "good"
    assert "no difference that is more than noise" in compare.verdict(found)
    assert compare.settings(found).table["setting"].tolist() == ["seed"]
    assert compare.numbers(found)[1].value == "none"


def test_replications_stand_on_one_side_and_a_real_difference_is_found(run, other_seeds, short):
    found = compare.compare(paths(run, *other_seeds, *short), budget=100, companion_agents=0)
    assert [len(side.runs) for side in found.sides] == [3, 3]
    assert [side.label for side in found.sides] == ["access_ttl 5m", "access_ttl 20s"]
    assert found.settings["setting"].tolist() == ["policy.access_ttl"]
    assert found.paired
    expired = found.figures[found.figures["figure"] == "refused as expired, per 1,000 operations"]
    assert expired["ratio"].iloc[1] > 2
    assert expired["beyond"].iloc[1]
    assert compare.tone(found) == "watch"
    assert compare.verdict(found).startswith("The largest difference that is more than noise: ")
    assert "access_ttl 20s" in compare.verdict(found)
    text = (
        compare.figures(found)
        .table.set_index("figure")
        .loc["refused as expired, per 1,000 operations", "access_ttl 20s"]
    )
    assert text.endswith("*")
    assert "×" in text
    pictures = compare.pictures(found)
    assert any("differs from access_ttl 5m by more than noise" in picture.finding for picture in pictures)
    assert all(len(picture.alt) > 40 for picture in pictures)
    assert any("pairs of Runs" in line for line in compare.method(found))


def test_one_run_on_each_side_will_do(run, short):
    found = compare.compare(paths(run, short[1]), budget=100, companion_agents=0)
    expired = found.figures[found.figures["figure"] == "refused as expired, per 1,000 operations"]
    assert expired["beyond"].iloc[1]
    assert any("compound Poisson" in line for line in compare.method(found))
    # Wall times of one Run each say nothing of noise.
    wall = found.figures[found.figures["figure"] == "server time per agent"]
    assert wall["p"].isna().all()
    assert wall["low"].isna().all()


def test_the_figures_of_a_run_are_those_that_its_tables_hold(run):
    told = {each.name: each for each in measure(run)}
    refused = run.sql("SELECT count(*) FROM audit WHERE status = 'refused'").iloc[0, 0]
    operations = run.sql("SELECT count(*) FROM audit WHERE event_type <> 'token_ended'").iloc[0, 0]
    assert told["refused, per 1,000 operations"].value == pytest.approx(1000 * refused / operations)
    by_tree = run.sql(
        "SELECT count(*) AS n FROM audit WHERE status = 'refused' GROUP BY coalesce(root_grant_id, log_id)"
    )["n"]
    assert told["refused, per 1,000 operations"].error == pytest.approx(
        1000 * (by_tree**2).sum() ** 0.5 / operations
    )
    parts = [each.value for name, each in told.items() if name.startswith("refused as ")]
    assert sum(parts) == pytest.approx(told["refused, per 1,000 operations"].value)
    assert told["honoured by the token server after the end"].value == 0


def test_what_is_honoured_after_the_end_comes_before_all_else(run, other_seeds):
    found = compare.compare(paths(run, *other_seeds), budget=100, companion_agents=0)
    late = found.figures["figure"] == "honoured by the token server after the end"
    found.figures.loc[late & (found.figures["side"] == found.first), "value"] = 2
    assert compare.tone(found) == "bad"
    assert compare.verdict(found).startswith("2 operations were honoured")


def test_other_code_is_another_side_and_a_copy_counts_once(run, other_seeds, tmp_path):
    newer = copied(run, tmp_path / "newer", code="f" * 64)
    sides = open_sides(paths(run, newer))
    assert (len(sides), sides.only_seeds) == (2, False)
    assert differing([side.settings for side in sides]) == ["code"]
    copy = copied(run, tmp_path / "copy")
    sides = open_sides(paths(run, copy, other_seeds[0], newer))
    assert [len(side.runs) for side in sides] == [2, 1]
    assert sides.copies == ("copy",)


def test_names_change_nothing(run, tmp_path):
    renamed = copied(
        run, tmp_path / "renamed", source={**run.manifest.source, "name": "x", "description": "y"}
    )
    assert settings_of(renamed) == settings_of(run)


def test_labels_are_told_apart(run, play, tmp_path):
    other = play(11, policy={"access_ttl": "20s", "max_depth": 3, "max_fanout": 4})
    first = copied(run, tmp_path / "a" / ("n" * 60))
    second = copied(other, tmp_path / "b" / ("n" * 60))
    labels = [side.label for side in open_sides(paths(first, second))]
    assert labels[0] != labels[1]
    assert all(len(label) <= 34 for label in labels)


def test_fewer_than_two_runs_are_refused_in_one_line(run, tmp_path):
    with pytest.raises(ReportError, match="two Runs or more, got 1") as caught:
        open_sides(paths(run))
    assert "\n" not in str(caught.value)
    with pytest.raises(ReportError, match="given twice"):
        open_sides(paths(run, run))
    with pytest.raises(RunError, match="no Run here"):
        open_sides([*paths(run), str(tmp_path / "nowhere")])


def test_an_unfinished_run_is_refused(run, tmp_path):
    half = copied(run, tmp_path / "half", status="running")
    with pytest.raises(RunError, match="not finished"):
        open_sides(paths(run, half))


def test_a_directory_that_is_no_sweep_stands_for_itself(tmp_path):
    assert members(tmp_path) == [tmp_path]
