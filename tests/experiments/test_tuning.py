import datetime

import pytest

from agentsim.errors import UserError
from agentsim.experiments.scene import Runs
from agentsim.experiments.tuning import compare_files, tune
from agentsim.risk import ThresholdError, ThresholdPolicy, alert_budget
from agentsim.risk.thresholds import read_thresholds
from agentsim.risk.thresholds.opening import digest, open_model
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
def written(run):
    """A file of thresholds, and beside it the model that was trained for it."""
    tuned = tune(run, alert_budget(2000), today=DAY)
    assert tuned.file.model is None
    return tuned.write(run.path.with_name("thresholds.yaml"))


@pytest.fixture(scope="module")
def model(written):
    return written.model_path


@pytest.fixture(scope="module")
def tuned(run, model):
    return tune(run, alert_budget(2000), model=model, today=DAY)


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


def test_actions_begin_where_they_are_wanted(run, tuned, model):
    told = tune(
        run, alert_budget(2000), model=model, actions={"step_up": None, "revoke_tree": 40.0}, today=DAY
    )
    assert told.file.actions == {"step_up": tuned.file.thresholds["grant"], "revoke_tree": 40.0}
    with pytest.raises(ThresholdError, match=r"'revoke'; did you mean 'revoke_t"):
        tune(run, alert_budget(2000), model=model, actions={"revoke": None})
    with pytest.raises(UserError, match=r"actions\.log: begins at -5"):
        tune(run, alert_budget(2000), model=model, actions={"log": -5.0})


def test_a_report_on_the_run_that_was_chosen_on_says_that_it_flatters(run, model):
    told = tune(run, alert_budget(2000), model=model, runs=Runs(reported=run))
    assert any("very run" in warning for warning in told.warnings)


def test_a_discovery_rate_is_calibrated_on_a_run_of_its_own_without_attacks(run, model):
    told = tune(run, ThresholdPolicy(by="fdr", share=0.2), model=model)
    used = {source.used: source.seed for source in told.file.provenance.runs}
    assert len(set(used.values())) == 4
    folder = run.path.with_name("small-companions")
    assert not len(Run(folder / f"calibration-{AGENTS}").frame("labels"))
    assert set(told.file.roles) >= {"orchestrator"}
    with pytest.raises(ThresholdError, match="somebody attacked in it"):
        tune(run, ThresholdPolicy(by="fdr", share=0.2), model=model, runs=Runs(calibrated=run))


def test_two_files_are_compared_on_a_run(run, model, tuned, tmp_path):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    tuned.write(old)
    tune(run, alert_budget(8000), model=model, today=DAY).write(new)
    told = compare_files(old, new, run, today=DAY)
    assert told.by_role["lost"].sum() == 0
    assert told.by_role["gained"].sum() == told.new.alerts - told.old.alerts > 0
    assert (told.by_attack["new"] >= told.by_attack["old"]).all()
    assert set(told.gained["role"]) <= set(told.by_role.index.get_level_values("role"))
    # An expired file may be compared all the same, but it is told.
    assert told.warnings == ()
    later = compare_files(old, old, run, today=DAY + datetime.timedelta(days=91))
    assert any("old.yaml: expired on 2026-07-30" in warning for warning in later.warnings)


def test_the_file_names_its_model_as_seen_from_where_it_is(written, tuned, tmp_path):
    assert (written.file.model.file, written.model_path.name) == ("thresholds-model", "thresholds-model")
    elsewhere = tmp_path / "deep" / "thresholds.yaml"
    assert tuned.write(elsewhere).file.model.sha256 == written.file.model.sha256
    file = read_thresholds(elsewhere)
    assert digest(open_model(file, elsewhere)) == file.model.sha256


def test_another_model_than_it_was_chosen_for_is_refused(written, tmp_path):
    path = tmp_path / "thresholds.yaml"
    foreign = written.file.model.model_copy(update={"sha256": "cd" * 32, "file": str(written.model_path)})
    with pytest.raises(ThresholdError, match=r"chosen for the model cdcdcdcdcdcd….*agentsim tune"):
        open_model(written.file.model_copy(update={"model": foreign}), path)
    with pytest.raises(ThresholdError, match="names no model"):
        open_model(written.file.model_copy(update={"model": None}), path)
    gone = foreign.model_copy(update={"file": "no-model"})
    with pytest.raises(UserError, match="no-model"):
        open_model(written.file.model_copy(update={"model": gone}), path)


def test_what_was_trained_for_it_is_what_was_saved(run, written, tuned):
    # The first was chosen with the model in memory, the second with the one that was read back.
    assert written.file.model_copy(update={"model": None}) == tuned.file
