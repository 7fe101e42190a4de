"""Thresholds for a Run's organisation: chosen on that Run, reported on one of another seed, kept in a file."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from agentsim.experiments.scene import Runs, Scene, case_of, prepare
from agentsim.risk import (
    Choice,
    ThresholdError,
    ThresholdFile,
    ThresholdPolicy,
    ThresholdReport,
    report,
)
from agentsim.risk.model import Model
from agentsim.risk.thresholds.comparison import Comparison, compare
from agentsim.risk.thresholds.cut import Cut
from agentsim.risk.thresholds.file import ACTIONS, VALID_DAYS, ModelFile, thresholds_of
from agentsim.risk.thresholds.opening import digest, open_model
from agentsim.risk.thresholds.reading import read_thresholds
from agentsim.risk.thresholds.writing import write_thresholds
from agentsim.run import Run
from agentsim.settings.faults import SettingsError, suggestion
from agentsim.settings.mending import validate


@dataclass(frozen=True)
class Tuned:
    """Thresholds, how they were chosen, and what they do on another Run.

    Attributes
    ----------
    file : names the model where that is saved.
    model, model_path : what gives the scores, and where it is saved; None where it was trained for this.
    """

    file: ThresholdFile
    model: Model
    model_path: Path | None
    choice: Choice
    report: ThresholdReport
    warnings: tuple[str, ...]

    def write(self, path: Path) -> Tuned:
        """Write the file of thresholds, and beside it the model where that is not saved yet; those that are there are replaced."""
        place = self.model_path or path.with_name(f"{path.stem}-model")
        sha256 = digest(self.model)
        if self.model_path is None:
            card = self.model.save(place)
            assert card.estimators is not None
            sha256 = card.estimators.sha256
        named = ModelFile(file=Path(os.path.relpath(place, path.parent)).as_posix(), sha256=sha256)
        written = replace(self, file=self.file.model_copy(update={"model": named}), model_path=place)
        write_thresholds(written.file, path)
        return written

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "thresholds": self.file.model_dump(mode="json", by_alias=True),
            "alerts_where_chosen": self.choice.alerts,
            **self.report.as_dict(),
            "warnings": list(self.warnings),
        }


def tune(
    run: Run,
    policy: ThresholdPolicy,
    *,
    model: Path | None = None,
    runs: Runs | None = None,
    actions: Mapping[str, float | None] | None = None,
    valid_days: int = VALID_DAYS,
    today: datetime.date | None = None,
) -> Tuned:
    """Choose thresholds on a Run, and report on another what they do.

    Parameters
    ----------
    run : what they are chosen on; its labels are read where the way needs them.
    policy : the way in which they are chosen.
    model : a saved one; trained on a simulated Run without attacks when None.
    runs : the other Runs.
    actions : what is done about an alert, from which score on; None for every alert. All alerts are logged when left out.
    valid_days : days after which the file expires.
    today : the day on which it is made; that of the clock when None.

    Raises
    ------
    ThresholdError
        If nothing can be chosen in this way, the Run to calibrate on was attacked, or there is no such action.
    SettingsError
        If an action begins where there are no alerts.
    RunError
        If a Run is to be simulated and cannot be.
    """
    wanted = _known_actions(actions or {"log": None})
    scene = prepare(run, model=model, runs=runs)
    return settle(scene, policy, actions=wanted, valid_days=valid_days, today=today)


def settle(
    scene: Scene,
    policy: ThresholdPolicy,
    *,
    actions: Mapping[str, float | None] | None = None,
    valid_days: int = VALID_DAYS,
    today: datetime.date | None = None,
) -> Tuned:
    """Choose thresholds, and make the file; the parameters and errors are those of :func:`tune`."""
    wanted = _known_actions(actions or {"log": None})
    choice, calibrated = scene.choose(policy)
    used = {"chosen": scene.run, "calibrated": calibrated, "reported": scene.reported}
    told = report(choice.cut, scene.judged, costs=policy.costs, chosen_on=scene.choosing)
    made = today or datetime.date.today()
    file, faults = validate(
        ThresholdFile,
        {
            "schema": 1,
            "made": made,
            "expires": made + datetime.timedelta(days=valid_days),
            "detector": _detector(scene.model),
            "model": None,
            **thresholds_of(choice.cut),
            "actions": _actions(wanted, choice.cut),
            "chosen": policy.arguments(),
            "expected": _expected(told),
            "provenance": {
                "agentsim": version("agentsim"),
                "runs": [
                    *_learned(scene.model),
                    *(_source(name, run) for name, run in used.items() if run is not None),
                ],
            },
        },
    )
    if file is None:
        raise SettingsError("thresholds", faults)
    warnings = (*choice.warnings, *told.warnings, *_exceeded(policy, told))
    return Tuned(file, scene.model, scene.model_path, choice, told, warnings)


def compare_files(old: Path, new: Path, run: Run, *, today: datetime.date | None = None) -> Comparison:
    """What changes on a Run where one file of thresholds takes the place of another, each with its own model.

    Parameters
    ----------
    today : the day; that of the clock when None. A file that has expired is compared all the same, and it is told.

    Raises
    ------
    SettingsError
        If one of them cannot be used, with everything that is wrong with it.
    ThresholdError
        If one of them names no model, or another one is where it says.
    """
    files = {path: read_thresholds(path) for path in (old, new)}
    models = {path: open_model(file, path) for path, file in files.items()}
    # The same model gives the same scores.
    distinct = {digest(model): model for model in models.values()}
    scored = {sha256: case_of(run, model) for sha256, model in distinct.items()}
    first, second = (scored[digest(models[path])] for path in (old, new))
    day = today or datetime.date.today()
    expired = (f"{path}: expired on {file.expires}" for path, file in files.items() if day > file.expires)
    return replace(compare(files[old].cut, first, files[new].cut, second), warnings=tuple(expired))


def _detector(model: Model) -> str:
    return " and ".join(sorted({detector.name for detector in model.fitted.detectors.values()}))


def _learned(model: Model) -> list[dict[str, Any]]:
    """The Runs that a model has learned from, as its card has them."""
    return [
        {"used": "learned", "scenario": run.name, "seed": run.seed, "digest": run.digest}
        for run in model.card.training
    ]


def _known_actions(wanted: Mapping[str, float | None]) -> Mapping[str, float | None]:
    for name in wanted:
        if name not in ACTIONS:
            raise ThresholdError(f"no such action: {name!r}; {suggestion(name, ACTIONS)}")
    return wanted


def _actions(wanted: Mapping[str, float | None], cut: Cut) -> dict[str, float]:
    """Where there is no alert, there is nothing to do."""
    if not np.isfinite(cut.lowest):
        return {}
    return {name: cut.lowest if score is None else score for name, score in wanted.items()}


def _expected(told: ThresholdReport) -> dict[str, Any]:
    low, high = _digits(told.alerts_per_day.low), _digits(told.alerts_per_day.high)
    return {
        "alerts_per_day": _digits(told.alerts_per_day.value),
        "interval": None if low is None or high is None else (low, high),
        "false_alarms_per_1000": _digits(told.false_alarms.value),
        "precision": _digits(told.precision.value),
        "recall": {str(kind): _digits(value) for kind, value in told.recall["recall"].dropna().items()},
    }


def _digits(value: float) -> float | None:
    """Four digits: more would say nothing."""
    return None if np.isnan(value) else float(f"{value:.4g}")


def _source(used: str, run: Run) -> dict[str, Any]:
    manifest = run.manifest
    return {"used": used, "scenario": manifest.name, "seed": manifest.seed, "digest": manifest.digest()}


def _exceeded(policy: ThresholdPolicy, told: ThresholdReport) -> list[str]:
    if policy.by == "budget" and told.alerts_per_day.low > policy.budget:
        alerts = told.alerts_per_day.value
        return [
            f"the budget was exceeded where they are reported: {alerts:,.0f} alerts a day, chosen for {policy.budget:,.0f}"
        ]
    return []
