"""Recorded traces, judged by detectors that have seen nothing of the labels they are judged by.

Never-attacked runs of the judged suite, by other models than the one being judged, say what its tasks
normally need; they are not scored. Labels are learned from another Run, or from what is not left out. Which
model an agent runs on is used to keep these apart, and to average inside agents; it is never a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold
from tqdm.auto import tqdm

from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.detectors import Combined, Counts, Detector, Novelty, Supervised
from agentsim.risk.evaluation import EvaluationError, figures
from agentsim.risk.evidence import Evidence, gather
from agentsim.risk.recorded import Recorded, read_recorded
from agentsim.run import Run

AGENT_PRIOR = "prior: the agent alone"
SUPERVISED = "supervised, no sizes"
#: What may be left out: its labels are learned from in no way while it is judged.
LEAVE_OUT = ("suite", "task", "agent")

#: Tasks are left out in this many parts, each of whole tasks.
_TASK_PARTS = 5


@dataclass(frozen=True)
class HeldOut:
    """Detectors judged on what they did not learn from.

    Attributes
    ----------
    figures : one row per judged suite and detector: what :func:`~agentsim.risk.evaluation.figures` gives.
    scores : one row per scored grant, index ``grant_id``: ``suite``, ``attacked``, ``silent`` (no tool was
        ever called; such grants are scored by what they did not do) and a column per detector.
    warnings : what could not be judged, or only with less to compare with, and why.
    """

    figures: pd.DataFrame
    scores: pd.DataFrame
    warnings: tuple[str, ...]


def hold_out(
    run: Run,
    *,
    train: Run | None = None,
    leave_out: str | None = None,
    seed: int = 0,
    progress: bool = False,
) -> HeldOut:
    """Judge each detector on each suite of a replayed Run.

    Parameters
    ----------
    run : whose attacked runs are scored.
    train : another replayed Run: the only one whose labels are learned, and its never-attacked runs say what is
        usual, too.
    leave_out : ``suite``, ``task`` or ``agent`` (all agents of its model): no label of the judged suite, of its part
        of the tasks, or of the judged model is learned. ``suite`` when None and there is no ``train``.
    seed : of the detectors.

    Raises
    ------
    EvaluationError
        If a Run is no replay or has no labels, if both are the same, or if no suite can be judged.
    """
    if leave_out is not None and leave_out not in LEAVE_OUT:
        raise EvaluationError(f"leave out one of {', '.join(LEAVE_OUT)}, not {leave_out!r}")
    traces = read_recorded(run, train)
    warnings: list[str] = []
    suites = _judgeable(traces, warnings)
    judged = traces.own & traces.scored & np.isin(traces.suite, suites)
    scores, tables = _by_reference(traces, judged, seed, progress, warnings)
    part = _parts(traces, leave_out or ("suite" if train is None else None))
    source = traces.scored & (~traces.own if train is not None else True)
    _learn_elsewhere(traces, judged, source, part, tables, scores, seed, warnings)
    return _result(traces, suites, judged, scores, warnings)


_UNSUPERVISED: tuple[Callable[[int], Detector], ...] = (
    Counts,
    lambda seed: Novelty(order=True),
    lambda seed: Novelty(),
    lambda seed: Combined(seed, [Novelty(), Novelty(order=True)]),
)


def _judgeable(traces: Recorded, warnings: list[str]) -> list[str]:
    suites, reasons = [], []
    for suite in sorted(set(traces.suite[traces.own])):
        scored = traces.own & (traces.suite == suite) & traces.scored
        if set(traces.label[scored]) == {0, 1}:
            suites.append(str(suite))
        else:
            reasons.append(
                f"{suite}: not judged, it needs attacked runs that succeeded and others that did not"
            )
    if not suites:
        raise EvaluationError("no suite of these traces can judge a detector: " + "; ".join(reasons))
    if not traces.clean.any():
        raise EvaluationError(
            "no never-attacked run says what is usual: name a Run that has some with --train"
        )
    warnings += reasons
    return suites


def _by_reference(
    traces: Recorded, judged: Flags, seed: int, progress: bool, warnings: list[str]
) -> tuple[dict[str, Floats], Floats]:
    """Scores of the detectors that learn no labels, and the table that the one that does reads, for all that is scored."""
    evidence = gather(traces.behaviour)
    scores: dict[str, Floats] = {}
    tables = np.zeros((0, 0))
    folds = list(_folds(traces))
    for suite, model in tqdm(folds, desc="suites and models", disable=not progress):
        here = (traces.suite == suite) & (traces.model == model) & traces.scored
        usual = _reference(traces, suite, model, warnings)
        reference, looked_at = evidence.take(usual), evidence.take(here)
        if (judged & here).any():
            for make in _UNSUPERVISED:
                detector = make(seed)
                column = scores.setdefault(detector.name, np.zeros(len(traces.own)))
                column[here] = detector.fit(reference).score(looked_at)
        table = Supervised(seed).table(looked_at, reference)
        if not tables.size:
            tables = np.zeros((len(traces.own), table.shape[1]))
        tables[here] = table
    return scores, tables


def _folds(traces: Recorded) -> Iterator[tuple[str, str]]:
    pairs = pd.DataFrame({"suite": traces.suite, "model": traces.model})[traces.scored].drop_duplicates()
    yield from pairs.sort_values(["suite", "model"]).itertuples(index=False, name=None)


def _reference(traces: Recorded, suite: str, model: str, warnings: list[str]) -> Flags:
    """The never-attacked runs that say what is usual: of other models, and of the suite, where there are any."""
    other, here = traces.model != model, traces.suite == suite
    choices = (
        ("", here & other),
        ("only never-attacked runs of the judged model itself say what is usual", here),
        ("only never-attacked runs of other suites say what is usual", other),
        ("only never-attacked runs of other suites, by the judged model, say what is usual", ~here),
    )
    for weakness, wanted in choices:
        if (wanted & traces.clean).any():
            if weakness:
                warnings.append(f"{suite}, {model}: {weakness}")
            return np.asarray(wanted & traces.clean)
    raise AssertionError("there is a never-attacked run")


def _parts(traces: Recorded, leave_out: str | None) -> Ints:
    """A code per grant: what has the same code is left out together."""
    if leave_out is None:
        return np.where(traces.own, 1, 0)
    if leave_out == "task":
        task = pd.factorize(traces.task, sort=True)[0]
        part = np.zeros(len(task), np.int64)
        folds = GroupKFold(min(_TASK_PARTS, len(np.unique(task)))).split(task, groups=task)
        for number, (_, there) in enumerate(folds):
            part[there] = number
        return part
    return np.asarray(pd.factorize(traces.suite if leave_out == "suite" else traces.model, sort=True)[0])


def _learn_elsewhere(
    traces: Recorded,
    judged: Flags,
    source: Flags,
    part: Ints,
    tables: Floats,
    scores: dict[str, Floats],
    seed: int,
    warnings: list[str],
) -> None:
    """Add the detector that learned labels elsewhere, and the prior that only knows the agent."""
    prior, learned = np.zeros(len(tables)), np.zeros(len(tables))
    attacked = traces.label == 1
    for number in np.unique(part[judged]):
        here, elsewhere = judged & (part == number), source & (part != number)
        if len(set(attacked[elsewhere])) < 2:
            warnings.append("nothing is left to learn labels from: no supervised detector is judged")
            return
        learned[here] = Supervised(seed).fit(tables[elsewhere], attacked[elsewhere]).score(tables[here])
        rate = pd.Series(attacked[elsewhere]).groupby(traces.agent[elsewhere]).mean()
        prior[here] = rate.reindex(traces.agent[here]).fillna(attacked[elsewhere].mean())
    scores[SUPERVISED] = learned
    scores[AGENT_PRIOR] = prior


def _result(
    traces: Recorded, suites: list[str], judged: Flags, scores: dict[str, Floats], warnings: list[str]
) -> HeldOut:
    attacked = traces.label == 1
    rows = []
    for suite in suites:
        here = judged & (traces.suite == suite)
        task, agent = (pd.factorize(names[here])[0] for names in (traces.task, traces.agent))
        rows += [
            {"suite": suite, "detector": name, **figures(score[here], attacked[here], task, agent)}
            for name, score in scores.items()
        ]
    silent = np.ones(len(judged), bool)
    silent[traces.behaviour.uses["grant"].to_numpy(np.int64)] = False
    table = pd.DataFrame(
        {
            "suite": traces.suite[judged],
            "attacked": attacked[judged],
            "silent": silent[judged],
            **{name: score[judged] for name, score in scores.items()},
        },
        index=pd.Index(traces.grant_id[judged], name="grant_id"),
    )
    return HeldOut(pd.DataFrame(rows), table, tuple(warnings))
