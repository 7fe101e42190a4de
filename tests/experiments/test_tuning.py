import datetime
from dataclasses import replace

import pytest

from agentsim.errors import UserError
from agentsim.experiments.tuning import Runs, compare_files, tune
from agentsim.risk import ThresholdError, ThresholdPolicy, alert_budget
from agentsim.risk.thresholds import write_thresholds
from agentsim.run import Run
from agentsim.simulation import Scenario, simulate

DAY = datetime.date(2026, 5, 1)
AGENTS = 400
KINDS = ("scope_escalation", "token_theft")


def scenario(seed: int = 5, **changed: object) -> Scenario:
    return Scenario.model_validate(
        {
            "schema": 1,
            "name": "small",
            "seed": seed,
            "population": {"agents": AGENTS},
            "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
            "attacks": [{"kind": kind, "prevalence": 0.1, "stealth": 0.2} for kind in KINDS],
        }
        | changed
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return simulate(scenario(), tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def tuned(run):
    return tune(run, alert_budget(2000), today=DAY)


def test_nothing_is_learned_or_reported_where_it_was_chosen(run, tuned):
    seeds = {source.used: source.seed for source in tuned.file.provenance.runs}
    assert set(seeds) == {"learned", "chosen", "reported"}
    assert seeds["chosen"] == run.manifest.seed
    assert len(set(seeds.values())) == 3
    digests = {source.used: source.digest for source in tuned.file.provenance.runs}
    assert digests["chosen"] == run.manifest.digest()
    assert not any("very run" in warning for warning in tuned.warnings)


def test_the_budget_is_kept_where_it_was_chosen_and_told_where_it_was_not(run, tuned):
    days = (run.manifest.end - run.manifest.start) / 86_400e6
    assert 0 < tuned.choice.alerts <= 2000 * days
    expected = tuned.file.expected
    assert expected.alerts_per_day == pytest.approx(tuned.report.alerts_per_day.value, rel=1e-3)
    assert expected.interval[0] <= expected.alerts_per_day <= expected.interval[1]
    assert set(expected.recall) == {*KINDS, "all"}
    assert tuned.report.recall.loc["all", "microseconds"] > 0


def test_it_expires_and_logs_by_itself(tuned):
    assert tuned.file.expires - DAY == datetime.timedelta(days=90)
    assert tuned.file.actions == {"log": tuned.file.thresholds["grant"]}


def test_actions_begin_where_they_are_wanted(run, tuned):
    told = tune(run, alert_budget(2000), actions={"step_up": None, "revoke_tree": 40.0}, today=DAY)
    assert told.file.actions == {"step_up": tuned.file.thresholds["grant"], "revoke_tree": 40.0}
    with pytest.raises(ThresholdError, match=r"'revoke'; did you mean 'revoke_t"):
        tune(run, alert_budget(2000), actions={"revoke": None})
    with pytest.raises(UserError, match=r"actions\.log: begins at -5"):
        tune(run, alert_budget(2000), actions={"log": -5.0})


def test_a_report_on_the_run_that_was_chosen_on_says_that_it_flatters(run):
    told = tune(run, alert_budget(2000), runs=Runs(reported=run))
    assert any("very run" in warning for warning in told.warnings)


def test_a_discovery_rate_is_calibrated_on_a_run_of_its_own_without_attacks(run):
    told = tune(run, ThresholdPolicy(by="fdr", share=0.2))
    used = {source.used: source.seed for source in told.file.provenance.runs}
    assert len(set(used.values())) == 4
    folder = run.path.with_name("small-companions")
    assert not len(Run(folder / f"calibration-{AGENTS}").frame("labels"))
    assert set(told.file.roles) >= {"orchestrator"}
    with pytest.raises(ThresholdError, match="somebody attacked in it"):
        tune(run, ThresholdPolicy(by="fdr", share=0.2), runs=Runs(calibrated=run))


def test_two_files_are_compared_on_a_run(run, tuned, tmp_path):
    more = tune(run, alert_budget(8000), today=DAY)
    write_thresholds(tuned.file, tmp_path / "old.yaml")
    write_thresholds(more.file, tmp_path / "new.yaml")
    told = compare_files(tmp_path / "old.yaml", tmp_path / "new.yaml", run)
    assert told.by_role["lost"].sum() == 0
    assert told.by_role["gained"].sum() == told.new.alerts - told.old.alerts > 0
    assert (told.by_attack["new"] >= told.by_attack["old"]).all()
    assert set(told.gained["role"]) <= set(told.by_role.index.get_level_values("role"))


def test_a_file_that_has_expired_may_still_be_compared(run, tuned, tmp_path):
    old = replace(tuned, file=tuned.file.model_copy(update={"expires": DAY}))
    write_thresholds(old.file, tmp_path / "old.yaml")
    told = compare_files(
        tmp_path / "old.yaml", tmp_path / "old.yaml", run, today=DAY + datetime.timedelta(days=1)
    )
    assert any("expired on 2026-05-01" in warning for warning in told.warnings)


def test_thresholds_of_another_detector_are_not_compared(run, tuned, tmp_path):
    path = tmp_path / "other.yaml"
    write_thresholds(tuned.file.model_copy(update={"detector": "tea leaves"}), path)
    with pytest.raises(ThresholdError, match="chosen for the detector 'tea leaves'"):
        compare_files(path, path, run)


def test_choosing_twice_gives_the_same_file(run, tuned):
    assert tune(run, alert_budget(2000), today=DAY).file == tuned.file
