"""What it takes to judge a whole Run: to read it, to make features, and to score every grant, tree and agent."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, replace
from time import perf_counter, process_time
from typing import Any, ParamSpec, TypeVar

from tqdm.auto import tqdm

from agentsim.risk.behaviour import read_behaviour
from agentsim.risk.evidence import feature_table, gather
from agentsim.risk.model import Model
from agentsim.risk.states import KINDS
from agentsim.run import Run

_Given = ParamSpec("_Given")
_Value = TypeVar("_Value")
#: Seconds that the features of a million grants may take with reading the Run, and their scores.
FEATURES_S, SCORES_S = 60.0, 30.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step.

    Attributes
    ----------
    stage : ``read``, ``features`` (numbers alone), ``evidence`` (the same numbers, and the words that a model looks
        at), ``scores``.
    kind : grants, trees or agents; empty for reading.
    entities : how many.
    seconds, cpu_s : on the clock, and of all threads of the process.
    """

    stage: str
    kind: str
    entities: int
    seconds: float
    cpu_s: float


def bench_judging(run: Run, model: Model, progress: bool = False) -> tuple[Stage, ...]:
    """Judge a Run once, step by step."""
    with tqdm(total=1 + 3 * len(KINDS), disable=not progress, unit="step", leave=False) as bar:
        watch = _Watch(bar)
        behaviour = watch.timed("read", "", read_behaviour, run)
        watch.stages[0] = replace(watch.stages[0], entities=len(behaviour.grants))
        for kind in KINDS:
            watch.timed("features", kind, feature_table, behaviour, kind)
            evidence = watch.timed("evidence", kind, gather, behaviour, kind, model.fitted.peers)
            watch.timed("scores", kind, model.score_evidence, kind, evidence)
    return tuple(watch.stages)


class _Watch:
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self.stages: list[Stage] = []

    def timed(
        self,
        stage: str,
        kind: str,
        work: Callable[_Given, _Value],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Value:
        """Do a step and write down what it took."""
        self._bar.set_description(f"{stage} {kind}".strip())
        since, cpu = perf_counter(), process_time()
        made = work(*given, **named)
        seconds, used = perf_counter() - since, process_time() - cpu
        entities = len(made) if isinstance(made, Sized) else 0
        self.stages.append(Stage(stage=stage, kind=kind, entities=entities, seconds=seconds, cpu_s=used))
        self._bar.update()
        return made
