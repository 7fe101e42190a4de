"""Recorded traces, judged with a whole suite left out: nothing learned from its labels.

Never-attacked runs of the left-out suite, by other models than the one being judged, say what its tasks
normally need; they are not scored. Which model an agent runs on is used to keep those apart, and to
average inside agents; it is never a feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from agentsim.risk.behaviour import Flags, Floats, Ints, read_behaviour
from agentsim.risk.detectors import Combined, Counts, Detector, Novelty, Supervised
from agentsim.risk.evaluation import EvaluationError, Truth, figures, read_truth
from agentsim.risk.evidence import Evidence, gather
from agentsim.run import Run

AGENT_PRIOR = "prior: the agent alone"
SUPERVISED = "supervised, no sizes"


@dataclass(frozen=True)
class HeldOut:
    """Detectors judged on suites that they did not learn from.

    Attributes
    ----------
    figures : one row per left-out suite and detector: what :func:`~agentsim.risk.evaluation.figures` gives.
    scores : one row per scored grant, index ``grant_id``: ``suite``, ``attacked``, ``silent`` (no tool was
        ever called; such grants are scored by what they did not do) and a column per detector.
    warnings : suites that could not be judged, and why.
    """

    figures: pd.DataFrame
    scores: pd.DataFrame
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Traces:
    evidence: Evidence
    truth: Truth
    suite: pd.Series
    task: Ints
    agent: Ints
    model: Ints


def leave_one_suite_out(run: Run, *, seed: int = 0, progress: bool = False) -> HeldOut:
    """Judge each detector on each suite in turn.

    Raises
    ------
    EvaluationError
        If no suite has attacked runs of both labels together with never-attacked runs of other models.
    """
    traces = _read(run)
    suites, warnings = _judgeable(traces)
    folds = [
        (suite, model)
        for suite in suites
        for model in np.unique(traces.model[(traces.suite == suite).to_numpy() & _scored(traces)])
    ]
    scores: dict[str, Floats] = {}
    tables = np.zeros((0, 0))
    for suite, model in tqdm(folds, desc="left-out suites", disable=not progress):
        here = (traces.suite == suite).to_numpy()
        judged = here & (traces.model == model) & _scored(traces)
        reference = traces.evidence.take(here & (traces.model != model) & ~traces.truth.attempted)
        evidence = traces.evidence.take(judged)
        for make in _UNSUPERVISED:
            detector = make(seed)
            column = scores.setdefault(detector.name, np.zeros(len(traces.evidence)))
            column[judged] = detector.fit(reference).score(evidence)
        table = Supervised(seed).table(evidence, reference)
        if not tables.size:
            tables = np.zeros((len(traces.evidence), table.shape[1]))
        tables[judged] = table
    if len(suites) > 1:
        _learn_from_others(traces, suites, tables, scores, seed)
    else:
        warnings.append(f"only {suites[0]} can be judged: nothing is left to learn labels from")
    return _result(traces, suites, scores, warnings)


_UNSUPERVISED: tuple[Callable[[int], Detector], ...] = (
    Counts,
    lambda seed: Novelty(order=True),
    lambda seed: Novelty(),
    lambda seed: Combined(seed, [Novelty(), Novelty(order=True)]),
)


def _read(run: Run) -> _Traces:
    behaviour = read_behaviour(run)
    evidence = gather(behaviour)
    grants = behaviour.grants
    clients = run.sql(
        "SELECT t.grant_id, a.agent_name FROM tokens t JOIN agents a USING (client_id) WHERE t.token_id = t.grant_id"
    ).set_index("grant_id")["agent_name"]
    agent = clients.reindex(grants.index)
    return _Traces(
        evidence=evidence,
        truth=read_truth(run, grants.index),
        suite=grants["role"],
        task=grants.groupby(["role", "task"]).ngroup().to_numpy(np.int64),
        agent=pd.factorize(agent)[0],
        # A recorded agent is called model|defence.
        model=pd.factorize(agent.str.split("|").str[0])[0],
    )


def _scored(traces: _Traces) -> Flags:
    return traces.truth.attempted & traces.truth.known


def _judgeable(traces: _Traces) -> tuple[list[str], list[str]]:
    suites, warnings = [], []
    for suite in sorted(traces.suite.unique()):
        here = (traces.suite == suite).to_numpy()
        labels = set(traces.truth.label[here & _scored(traces)])
        clean = here & ~traces.truth.attempted
        if labels != {0, 1}:
            warnings.append(
                f"{suite}: not judged, it needs attacked runs that succeeded and others that did not"
            )
        elif not clean.any() or len(np.unique(traces.model[clean])) < 2:
            warnings.append(f"{suite}: not judged, it needs never-attacked runs of at least two models")
        else:
            suites.append(str(suite))
    if not suites:
        raise EvaluationError("no suite of these traces can judge a detector: " + "; ".join(warnings))
    return suites, warnings


def _learn_from_others(
    traces: _Traces, suites: list[str], tables: Floats, scores: dict[str, Floats], seed: int
) -> None:
    """Add the detector that learned labels elsewhere, and the prior that only knows the agent."""
    prior, learned = np.zeros(len(tables)), np.zeros(len(tables))
    attacked, usable = traces.truth.attacked, _scored(traces) & traces.suite.isin(suites).to_numpy()
    for suite in suites:
        here = (traces.suite == suite).to_numpy()
        judged, elsewhere = here & usable, ~here & usable
        learned[judged] = Supervised(seed).fit(tables[elsewhere], attacked[elsewhere]).score(tables[judged])
        rate = pd.Series(attacked[elsewhere]).groupby(traces.agent[elsewhere]).mean()
        prior[judged] = rate.reindex(traces.agent[judged]).fillna(attacked[elsewhere].mean())
    scores[SUPERVISED] = learned
    scores[AGENT_PRIOR] = prior


def _result(traces: _Traces, suites: list[str], scores: dict[str, Floats], warnings: list[str]) -> HeldOut:
    rows = []
    for suite in suites:
        judged = (traces.suite == suite).to_numpy() & _scored(traces)
        for name, score in scores.items():
            found = figures(
                score[judged],
                traces.truth.attacked[judged],
                pd.factorize(traces.task[judged])[0],
                traces.agent[judged],
            )
            rows.append({"suite": suite, "detector": name, **found})
    judged = traces.suite.isin(suites).to_numpy() & _scored(traces)
    table = pd.DataFrame(
        {
            "suite": traces.suite.to_numpy()[judged],
            "attacked": traces.truth.attacked[judged],
            "silent": traces.evidence.silent[judged],
            **{name: score[judged] for name, score in scores.items()},
        },
        index=traces.evidence.features.index[judged],
    )
    return HeldOut(pd.DataFrame(rows), table, tuple(warnings))
