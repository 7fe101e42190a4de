"""Recorded traces, judged by detectors that have seen nothing of the labels they are judged by.

Never-attacked runs of the judged suite, by other models than the one being judged, say what its tasks
normally need; they are not scored. Labels are learned from another Run, or from what is not left out. Which
model an agent runs on is used to keep these apart, to weigh, and to average inside agents; it is never a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold
from tqdm.auto import tqdm

from agentsim.risk.anchored import AnchoredClassifier
from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.chain import ChainNovelty
from agentsim.risk.detectors import Combined, Counts, Detector, Novelty
from agentsim.risk.evaluation import EvaluationError, figures
from agentsim.risk.recorded import Recorded, read_recorded
from agentsim.risk.relative import Relative
from agentsim.risk.sizes import SizeNovelty
from agentsim.run import Run

AGENT_PRIOR = "prior: the agent alone"
SUPERVISED = "supervised"
#: What may be left out: its labels are learned from in no way while it is judged.
LEAVE_OUT = ("suite", "task", "agent")

#: What a detector learns from.
USUAL, LABELS = "what is usual", "what was labelled"
_WITH_SIZES = ", with sizes"
#: Tasks are left out in this many parts, each of whole tasks.
_TASK_PARTS = 5
#: Inside each agent that has any positive, negatives weigh as much as this many times its positives.
_NEGATIVES = 5.0

_UNSUPERVISED: tuple[Callable[[int], Detector], ...] = (
    Counts,
    lambda seed: Novelty(order=True),
    lambda seed: Novelty(),
    lambda seed: Combined(seed, [Novelty(), Novelty(order=True)]),
    lambda seed: ChainNovelty(),
)


@dataclass(frozen=True)
class HeldOut:
    """Detectors judged on what they did not learn from.

    Attributes
    ----------
    figures : one row per judged suite and detector: what it ``learns`` from, and what
        :func:`~agentsim.risk.evaluation.figures` gives.
    scores : one row per scored grant, index ``grant_id``: ``suite``, ``attacked``, ``silent`` (no tool was
        ever called; such grants are scored by what they did not do) and a column per detector.
    leave_out : suite, task, agent, or None where nothing was.
    warnings : what could not be judged, or only with less to compare with, and why.
    """

    figures: pd.DataFrame
    scores: pd.DataFrame
    leave_out: str | None
    warnings: tuple[str, ...]

    def over_suites(self, figure: str = "within_roc_auc") -> pd.DataFrame:
        """``mean`` and ``worst`` of a figure over the judged suites: one row per ``detector``, with what it ``learns``."""
        groups = self.figures.groupby(["detector", "learns"], sort=False)[figure]
        return groups.agg(mean="mean", worst="min").reset_index()


@dataclass
class _Judging:
    """Scores while they are collected, each an array over all grants."""

    traces: Recorded
    judged: Flags
    scores: dict[str, Floats] = field(default_factory=dict)
    learns: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Floats] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def put(self, name: str, learns: str, here: Flags, score: Floats) -> None:
        self.learns[name] = learns
        self.scores.setdefault(name, np.zeros(len(here)))[here] = score

    def tabulate(self, name: str, here: Flags, table: Floats) -> None:
        self.tables.setdefault(name, np.zeros((len(here), table.shape[1])))[here] = table


def hold_out(
    run: Run,
    *,
    train: Run | None = None,
    leave_out: str | None = None,
    sizes: bool = False,
    seed: int = 0,
    progress: bool = False,
) -> HeldOut:
    """Judge each detector on each suite of a replayed Run.

    Parameters
    ----------
    run : whose attacked runs are scored.
    train : another replayed Run: the only one whose labels are learned; its never-attacked runs say what is usual, too.
    leave_out : ``suite``, ``task`` or ``agent`` (all agents of its model): no label of the judged suite, of its part
        of the tasks, or of the judged model is learned. ``suite`` when None and there is no ``train``.
    sizes : also judge detectors that read the lengths of arguments and results.
    seed : of the detectors.

    Raises
    ------
    EvaluationError
        If a Run is no replay or has no labels, if both are of the same traces, or if no suite can be judged.
    """
    if leave_out is not None and leave_out not in LEAVE_OUT:
        raise EvaluationError(f"leave out one of {', '.join(LEAVE_OUT)}, not {leave_out!r}")
    if train is None and leave_out is None:
        leave_out = "suite"
    traces = read_recorded(run, train)
    warnings: list[str] = []
    suites = _judgeable(traces, warnings)
    judging = _Judging(traces, traces.own & traces.scored & np.isin(traces.suite, suites), warnings=warnings)
    for suite, model in tqdm(_folds(traces), desc="suites and models", disable=not progress):
        _by_reference(judging, suite, model, sizes, seed)
    source = traces.scored & ~traces.own if train is not None else traces.scored
    _learn_elsewhere(judging, source, _parts(traces, leave_out))
    return _result(judging, suites, leave_out)


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


def _folds(traces: Recorded) -> list[tuple[str, str]]:
    pairs = pd.DataFrame({"suite": traces.suite, "model": traces.model})[traces.scored].drop_duplicates()
    return list(pairs.sort_values(["suite", "model"]).itertuples(index=False, name=None))


def _by_reference(judging: _Judging, suite: str, model: str, sizes: bool, seed: int) -> None:
    """Score what needs no labels, and tabulate what a detector that learns them reads."""
    traces = judging.traces
    here = (traces.suite == suite) & (traces.model == model) & traces.scored
    usual = _reference(judging, suite, model)
    reference, looked_at = traces.evidence.take(usual), traces.evidence.take(here)
    if judged := bool((here & judging.judged).any()):
        for make in _UNSUPERVISED:
            detector = make(seed)
            judging.put(detector.name, USUAL, here, detector.fit(reference).score(looked_at))
    table = Relative().fit(reference).table(looked_at)
    judging.tabulate(SUPERVISED, here, table)
    if sizes:
        profile = SizeNovelty().fit(traces.sizes.take(usual)).profile(traces.sizes.take(here))
        if judged:
            judging.put(SizeNovelty.name, USUAL, here, profile[:, 1])
        judging.tabulate(SUPERVISED + _WITH_SIZES, here, np.hstack([table, profile]))


def _reference(judging: _Judging, suite: str, model: str) -> Flags:
    """The never-attacked runs that say what is usual: of other models, and of the suite, where there are any."""
    traces = judging.traces
    other, here = traces.model != model, traces.suite == suite
    choices = (
        ("", here & other),
        ("only never-attacked runs of the judged model itself say what is usual", here),
        ("only never-attacked runs of other suites say what is usual", other),
        ("only never-attacked runs of other suites, by the judged model, say what is usual", ~here),
    )
    for weakness, wanted in choices:
        usual: Flags = wanted & traces.clean
        if usual.any():
            if weakness:
                judging.warnings.append(f"{suite}, {model}: {weakness}")
            return usual
    raise AssertionError("a never-attacked run was there before")


def _parts(traces: Recorded, leave_out: str | None) -> Ints:
    """A code per grant: what has the same code is left out together."""
    if leave_out is None:
        return np.where(traces.own, 1, 0)
    names = {"suite": traces.suite, "task": traces.task, "agent": traces.model}[leave_out]
    code: Ints = pd.factorize(names, sort=True)[0]
    if leave_out != "task":
        return code
    part = np.zeros(len(code), np.int64)
    folds = GroupKFold(min(_TASK_PARTS, len(np.unique(code)))).split(code, groups=code)
    for number, (_, there) in enumerate(folds):
        part[there] = number
    return part


def _learn_elsewhere(judging: _Judging, source: Flags, part: Ints) -> None:
    """Judge the detectors that learn labels from ``source``, and the prior that only knows the agent."""
    attacked, agent, judged = judging.traces.label == 1, judging.traces.agent, judging.judged
    for here, elsewhere in _left_out(judged, source, part):
        if len(set(attacked[elsewhere])) < 2:
            judging.warnings.append("nothing is left to learn labels from: no supervised detector is judged")
            for name in (*judging.tables, AGENT_PRIOR):
                judging.scores.pop(name, None)
            return
        weight = within_weights(attacked[elsewhere], agent[elsewhere])
        for name, table in judging.tables.items():
            model = AnchoredClassifier().fit(table[elsewhere], attacked[elsewhere], sample_weight=weight)
            judging.put(name, LABELS, here, model.decision_function(table[here]))
        rate = pd.Series(attacked[elsewhere]).groupby(agent[elsewhere]).mean()
        prior = rate.reindex(agent[here]).fillna(attacked[elsewhere].mean())
        judging.put(AGENT_PRIOR, LABELS, here, prior.to_numpy())


def _left_out(judged: Flags, source: Flags, part: Ints) -> Iterator[tuple[Flags, Flags]]:
    for number in np.unique(part[judged]):
        yield judged & (part == number), source & (part != number)


def within_weights(attacked: Flags, agent: np.ndarray) -> Floats:
    """Weights under which an agent's share of attacks says nothing, so that what is learned is told inside agents.

    Positives weigh the same. The negatives of each agent weigh a fixed multiple of its positives together, nothing where it
    has none. The mean is 1. Where that leaves no negative, all weigh the same.
    """
    code = pd.factorize(agent)[0]
    positives, negatives = (
        np.bincount(code[rows], minlength=code.max() + 1) for rows in (attacked, ~attacked)
    )
    share = _NEGATIVES * positives / np.maximum(negatives, 1)
    weight = np.where(attacked, 1.0, share[code])
    return weight / weight.mean() if weight[~attacked].any() else np.ones(len(weight))


def _result(judging: _Judging, suites: list[str], leave_out: str | None) -> HeldOut:
    traces, judged = judging.traces, judging.judged
    attacked = traces.label == 1
    rows = []
    for suite in suites:
        here = judged & (traces.suite == suite)
        task, agent = (pd.factorize(names[here])[0] for names in (traces.task, traces.agent))
        rows += [
            {"suite": suite, "detector": name, "learns": judging.learns[name]}
            | figures(score[here], attacked[here], task, agent)
            for name, score in judging.scores.items()
        ]
    table = pd.DataFrame(
        {
            "suite": traces.suite[judged],
            "attacked": attacked[judged],
            "silent": traces.evidence.silent[judged],
            **{name: score[judged] for name, score in judging.scores.items()},
        },
        index=traces.evidence.features.index[judged],
    )
    return HeldOut(pd.DataFrame(rows), table, leave_out, tuple(judging.warnings))
