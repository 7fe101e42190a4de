"""The widgets of ``threshold-tuning``: they ask the bench, and show what it says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets as ip
import numpy as np

from agentsim.errors import UserError
from agentsim.reporting.catalogue import TuningParameters
from agentsim.reporting.tuning import tables
from agentsim.reporting.tuning.bench import Bench, Outcome
from agentsim.risk import ThresholdPolicy
from agentsim.risk.thresholds import Costs, alert_budget

_WIDE = ip.Layout(width="min(46rem, 95%)")
_NAMED = {"description_width": "9rem"}


class Workbench:
    """Controls and figures; :attr:`outcome` is what is shown, :attr:`kept` what it is compared with."""

    def __init__(self, bench: Bench, parameters: TuningParameters) -> None:
        self.bench = bench
        self.kept: Outcome | None = None
        self.threshold = ip.SelectionSlider(
            options=[(f"{value:.3f}", value) for value in bench.thresholds],
            description="Threshold (score)",
            continuous_update=False,
            layout=_WIDE,
            style=_NAMED,
        )
        self.budget = ip.SelectionSlider(
            options=[(f"{value:,g}", value) for value in bench.budgets([parameters.budget])],
            value=parameters.budget,
            description="or alerts a day",
            continuous_update=False,
            layout=_WIDE,
            style=_NAMED,
        )
        self.missed, self.false_alarm = (
            ip.BoundedFloatText(value=value, min=least, max=1e12, description=name, style=_NAMED)
            for name, value, least in (
                ("A missed attack", parameters.missed, 0.0),
                ("A false alarm", parameters.false_alarm, 0.01),
            )
        )
        self.figures, self.comparison, self.saved = ip.HTML(), ip.HTML(), ip.HTML()
        self.path = ip.Text(value=parameters.out, description="File", layout=_WIDE, style=_NAMED)
        self.cheapest = _button("Go where it costs least", self._cheapest)
        self.keep = _button("Keep this to compare with", self._keep)
        self.save = _button("Save thresholds", self._save)
        self._listening = True
        self.threshold.observe(
            lambda change: self._moved(ThresholdPolicy(by="fixed", score=change["new"])), "value"
        )
        self.budget.observe(lambda change: self._moved(alert_budget(change["new"])), "value")
        for field in (self.missed, self.false_alarm):
            field.observe(lambda _: self._costs_changed(), "value")
        self.outcome: Outcome
        self.choose(alert_budget(parameters.budget))

    @property
    def costs(self) -> Costs:
        """What it costs to be wrong, as the fields say."""
        return Costs(missed_otherwise=self.missed.value, false_alarm=self.false_alarm.value)

    def choose(self, policy: ThresholdPolicy) -> None:
        """Try a setting, and show it; what cannot be chosen is told and changes nothing."""
        try:
            self.outcome = self.bench.try_out(policy, self.costs)
        except UserError as exc:
            self.saved.value = tables.note_html(str(exc), wrong=True)
            return
        with self._quietly():
            scores = np.asarray(self.bench.thresholds)
            # Above all scores there is no place on the slider: its end is the nearest.
            nearest = int(np.argmin(np.abs(scores - min(self.outcome.score, scores[0]))))
            self.threshold.value = self.bench.thresholds[nearest]
        self.saved.value = ""
        self._show()

    def controls(self) -> ip.Widget:
        """What moves the threshold, with its figures."""
        costs = ip.HBox([self.missed, self.false_alarm, self.cheapest], layout=ip.Layout(flex_flow="wrap"))
        return ip.VBox([self.threshold, self.budget, costs, self.figures])

    def comparing(self) -> ip.Widget:
        """What keeps a setting, and what the present one gains and loses beside it."""
        return ip.VBox([self.keep, self.comparison])

    def saving(self) -> ip.Widget:
        """What writes the file, and says where."""
        return ip.VBox([self.path, self.save, self.saved])

    def _moved(self, policy: ThresholdPolicy) -> None:
        if self._listening:
            self.choose(policy)

    def _cheapest(self) -> None:
        self.choose(ThresholdPolicy(by="cost", costs=self.costs))

    def _costs_changed(self) -> None:
        policy = self.outcome.choice.policy
        if policy.by == "cost":
            self._cheapest()
        else:
            self.choose(policy)

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        """Move a slider without listening to it."""
        self._listening = False
        try:
            yield
        finally:
            self._listening = True

    def _show(self) -> None:
        self.figures.value = tables.outcome_html(self.outcome)
        if self.kept is not None:
            compared = self.bench.compare(self.kept, self.outcome)
            self.comparison.value = tables.comparison_html(compared, self.kept, self.outcome)

    def _keep(self) -> None:
        self.kept = self.outcome
        self._show()

    def _save(self) -> None:
        path = Path(self.path.value).expanduser().absolute()
        try:
            tuned = self.bench.save(self.outcome, path)
        except (UserError, OSError) as exc:
            self.saved.value = tables.note_html(
                f"{path}: {getattr(exc, 'strerror', None) or exc}", wrong=True
            )
            return
        self.saved.value = tables.note_html(
            f"Written: {path}, for the model {tuned.model_path}; to be used until {tuned.file.expires}."
        )


def _button(name: str, does: Any) -> ip.Button:
    button = ip.Button(description=name, layout=ip.Layout(width="auto", align_self="flex-start"))
    button.on_click(lambda _: does())
    return button
