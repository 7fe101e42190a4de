"""Recorded runs as they are judged: the evidence, and beside it suites, tasks, agents and the answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.risk.behaviour import Flags, Ints, read_behaviour
from agentsim.risk.evaluation import EvaluationError, has_labels, read_truth
from agentsim.risk.evidence import Evidence, gather
from agentsim.risk.items import Items
from agentsim.risk.sizes import size_items
from agentsim.run import Run

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Recorded:
    """Grants of one replayed Run, or of two that are read together.

    Attributes
    ----------
    evidence : what detectors may look at; of two Runs one after the other.
    sizes : words about lengths of arguments and results, kept apart: in recorded benchmarks they give injections away.
    own : per grant: of the Run that is judged, not of the one that is only learned from.
    label : per grant: 1 attacked, 0 not, -1 unknown.
    attempted : per grant: whether an attack was tried at all.
    suite, task, agent, model : names per grant. A task is named with its suite; a recorded agent is called
        ``model|defence``, and its model is what stands before the bar.
    """

    evidence: Evidence
    sizes: Items
    own: Flags
    label: Ints
    attempted: Flags
    suite: Names
    task: Names
    agent: Names
    model: Names

    @property
    def scored(self) -> Flags:
        """Attacked runs whose label is not in dispute."""
        return np.asarray(self.attempted & (self.label >= 0))

    @property
    def clean(self) -> Flags:
        """Never-attacked runs, which may say what is usual and are not scored."""
        return ~self.attempted


def read_recorded(run: Run, train: Run | None = None) -> Recorded:
    """Read a replayed Run, and with it another that detectors learn from.

    Raises
    ------
    EvaluationError
        If a Run is not a replay, has no labels, or if both are of the same traces.
    """
    runs = [run] if train is None else [run, train]
    for each in runs:
        if each.manifest.kind != "replay":
            raise EvaluationError(
                f"{each.path}: a {each.manifest.kind}, not a replay of recorded traces; "
                "'agentsim report anomaly' judges simulated attacks"
            )
    if train is not None and train.manifest.source.get("sha256") == run.manifest.source.get("sha256"):
        raise EvaluationError(f"{train.path}: the same traces as {run.path}, which would judge themselves")
    parts = [_read(each, own=each is run) for each in runs]
    if len(parts) == 1:
        return parts[0]

    return Recorded(
        evidence=_joined([part.evidence for part in parts]),
        sizes=_joined_items([part.sizes for part in parts]),
        own=np.concatenate([part.own for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        attempted=np.concatenate([part.attempted for part in parts]),
        suite=np.concatenate([part.suite for part in parts]),
        task=np.concatenate([part.task for part in parts]),
        agent=np.concatenate([part.agent for part in parts]),
        model=np.concatenate([part.model for part in parts]),
    )


def _read(run: Run, *, own: bool) -> Recorded:
    if not has_labels(run):
        raise EvaluationError(f"{run.path}: no labels, nothing says which runs were attacked")
    behaviour = read_behaviour(run)
    grants = behaviour.grants
    truth = read_truth(run, grants.index)
    names = run.sql("SELECT client_id, agent_name FROM agents").drop_duplicates("client_id")
    known = (
        names.set_index("client_id")["agent_name"].reindex(behaviour.agents.index).fillna("").to_numpy(object)
    )
    agent = np.append(known, "")[grants["client"].to_numpy(np.int64)]
    return Recorded(
        evidence=gather(behaviour),
        sizes=size_items(run, grants),
        own=np.full(len(grants), own),
        label=truth.label,
        attempted=truth.attempted,
        suite=grants["role"].to_numpy(object),
        task=(grants["role"] + "/" + grants["task"]).to_numpy(object),
        agent=agent,
        model=np.array([name.split("|")[0] for name in agent], dtype=object),
    )


def _joined(parts: list[Evidence]) -> Evidence:
    """Evidence of several Runs, one after the other; features that not all of them have are left out."""
    first = parts[0]
    shared = [name for name in first.features if all(name in part.features for part in parts)]
    starts = np.cumsum([0, *(int(part.tree.max(initial=-1)) + 1 for part in parts)])
    return Evidence(
        kind=first.kind,
        tenant=np.concatenate([part.tenant for part in parts]),
        features=pd.concat([part.features[shared] for part in parts]),
        role=np.concatenate([part.role for part in parts]),
        task=np.concatenate([part.task for part in parts]),
        items=_joined_items([part.items for part in parts]),
        order=_joined_items([part.order for part in parts]),
        tree=np.concatenate([part.tree + start for part, start in zip(parts, starts, strict=False)]),
        silent=np.concatenate([part.silent for part in parts]),
    )


def _joined_items(parts: list[Items]) -> Items:
    words = tuple(sorted({word for part in parts for word in part.words}))
    place = {word: number for number, word in enumerate(words)}
    starts = np.cumsum([0, *map(len, parts)])
    return Items(
        grant=np.concatenate([part.grant + start for part, start in zip(parts, starts, strict=False)]),
        word=np.concatenate(
            [np.array([place[word] for word in part.words], np.int64)[part.word] for part in parts]
        ),
        words=words,
        role=tuple(name for part in parts for name in part.role),
        task=tuple(name for part in parts for name in part.task),
    )
