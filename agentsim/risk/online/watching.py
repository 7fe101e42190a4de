"""Models and thresholds put to work in a server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from math import floor
from pathlib import Path

import numpy as np

from agentsim.errors import UserError
from agentsim.risk.behaviour import read_behaviour
from agentsim.risk.fitted import Fitted
from agentsim.risk.model import Model, train
from agentsim.risk.modelfile import dump_fitted
from agentsim.risk.online.following import Following
from agentsim.risk.online.judging import Judging
from agentsim.risk.online.rules import Rules
from agentsim.risk.thresholds import load_thresholds
from agentsim.risk.thresholds.cut import one_for_all
from agentsim.risk.thresholds.opening import digest, open_model
from agentsim.run import Run
from agentsim.server.watch import ActionKind

#: Alerts for each honest task.
_FALSE_ALARMS = 1 / 1000


class OnlineError(UserError):
    """Thresholds that cannot be put to work in a server; the message says why."""


@dataclass(frozen=True)
class ModelWatch:
    """Watches each tenant with a model; see :class:`agentsim.server.watch.Watch`.

    Attributes
    ----------
    fitted : what is usual.
    rules : what is done from which score on.
    model : SHA-256 of what is usual.
    """

    fitted: Fitted
    rules: Rules
    model: str

    @property
    def digest(self) -> str:
        """SHA-256 of all that it goes by."""
        return hashlib.sha256(f"{self.model} {self.rules.text()}".encode()).hexdigest()

    def for_tenant(self, tenant: int) -> tuple[Judging, Following]:
        """What judges uses at once, and what follows; in every tenant by the same rules."""
        return Judging(self.fitted, self.rules), Following(self.fitted, self.rules)


@dataclass(frozen=True)
class Learned:
    """What is usual, to be watched for with one threshold."""

    model: Model

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(dump_fitted(self.model.fitted)).hexdigest()

    def threshold(self, honest: Run) -> float:
        """The lowest at which no more than one honest task in a thousand of a Run raises an alert.

        Model and Run must not know each other: on what it has learned from, a model raises too few. What is looked at
        again and again while it grows may reach it a little more often than what is finished.

        Parameters
        ----------
        honest : a Run that nobody attacked, of another seed than what was learned from.
        """
        behaviour = read_behaviour(honest)
        scores = []
        for evidence, scored in self.model.judge(behaviour):
            scores.append(scored["score"].to_numpy(np.float64))
            if evidence.kind == "grant":
                at_once = self.model.fitted.at_once.ranks(evidence)["score"]
                scores[-1] = np.maximum(scores[-1], at_once)
        highest = np.sort(np.concatenate(scores))[::-1]
        first_quiet = float(highest[int(len(behaviour.grants) * _FALSE_ALARMS)])
        return floor(first_quiet * 100 + 1) / 100

    def watch(self, threshold: float, action: ActionKind) -> ModelWatch:
        """What does ``action`` about whatever scores at least this."""
        return ModelWatch(self.model.fitted, Rules(one_for_all(threshold), {action: threshold}), self._digest)


def learn(reference: Run) -> Learned:
    """Learn what is usual from a Run that nobody attacked, of another seed than what is judged.

    Raises
    ------
    ModelError
        If the Run is too small to learn from.
    """
    return Learned(train(reference, name="containment"))


def load_watch(path: Path) -> ModelWatch:
    """What judges by a file of thresholds.

    Raises
    ------
    SettingsError
        With everything that is wrong with the file.
    ThresholdError
        If it has expired, names no model, or another one is where it says.
    ModelError
        If the model cannot be trusted.
    OnlineError
        If nothing would ever be done.
    """
    file = load_thresholds(path)
    rules = Rules(file.cut, {str(name): score for name, score in file.actions.items()})
    if not rules.actions:
        raise OnlineError(
            f"{path}: has no actions, so nothing would be done; 'agentsim tune --act' adds some"
        )
    model = open_model(file, path)
    return ModelWatch(model.fitted, rules, digest(model))
