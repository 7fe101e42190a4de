"""What thresholds are chosen on and told on: a scored Run, another of another seed, and what gives the scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentsim.experiments.companions import Purpose, make_companion
from agentsim.risk import Case, Choice, ThresholdError, ThresholdPolicy, choose, make_case, read_attacks
from agentsim.risk.model import Model, load, train
from agentsim.risk.moments import with_times
from agentsim.run import Run


@dataclass(frozen=True)
class Runs:
    """The Runs beside the one that thresholds are chosen on; what is None is simulated, from its scenario with other seeds.

    Attributes
    ----------
    reported : what the figures come from.
    calibrated : without attacks, and unknown to the detector: for false-discovery rates.
    agents : agents in a simulated one, at most.
    folder : where simulated ones are kept; beside the Run when None.
    progress : show bars.
    """

    reported: Run | None = None
    calibrated: Run | None = None
    agents: int = 10_000
    folder: Path | None = None
    progress: bool = False

    def companion(self, run: Run, purpose: Purpose) -> Run:
        """A simulated one."""
        return make_companion(run, purpose, agents=self.agents, folder=self.folder, progress=self.progress)[0]


@dataclass(frozen=True)
class Scene:
    """What thresholds are chosen and told on: all that takes long, so that many can be tried.

    Attributes
    ----------
    run, reported : what they are chosen on, and what the figures come from.
    model, model_path : what gives the scores, and where it is saved; None where it was trained for this.
    choosing, judged : scores and truth of the two Runs.
    runs : the Runs beside ``run``.
    """

    run: Run
    reported: Run
    model: Model
    model_path: Path | None
    choosing: Case
    judged: Case
    runs: Runs

    def choose(self, policy: ThresholdPolicy) -> tuple[Choice, Run | None]:
        """Choose thresholds, and the Run that they were calibrated on, where the way needs one."""
        if policy.by != "fdr":
            return choose(policy, self.choosing), None
        calibrated = self.runs.calibrated or self.runs.companion(self.run, "calibration")
        if len(read_attacks(calibrated).operations):
            raise ThresholdError(
                f"{calibrated.path}: somebody attacked in it, so it cannot say how benign work scores"
            )
        return choose(policy, self.choosing, calibration=self.model.score(calibrated)), calibrated


def prepare(run: Run, *, model: Path | None = None, runs: Runs | None = None) -> Scene:
    """Train or open the model, and score the Runs; parameters and errors are those of :func:`agentsim.experiments.tuning.tune`."""
    others = runs or Runs()
    scorer = load(model) if model else train(others.companion(run, "reference"), name=run.manifest.name)
    reported = others.reported or others.companion(run, "reported")
    return Scene(run, reported, scorer, model, case_of(run, scorer), case_of(reported, scorer), others)


def case_of(run: Run, model: Model) -> Case:
    """The case of a Run, scored by a model."""
    return make_case(run, with_times(run, model.score(run)))
