"""Recorded runs as they are judged: what each did, its suite, task and agent, and the answers kept beside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Flags, Ints, read_behaviour
from agentsim.risk.evaluation import EvaluationError, read_truth
from agentsim.run import Run

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Recorded:
    """Grants of one replayed Run, or of two that are read together.

    Attributes
    ----------
    behaviour : what the grants did; of two Runs one after the other, their index a plain count.
    grant_id : per grant, as its own Run knows it.
    own : per grant: of the Run that is judged, not of the one that is only learned from.
    label : per grant: 1 attacked, 0 not, -1 unknown.
    attempted : per grant: whether an attack was tried at all.
    suite, task, agent, model : names per grant. A task is named with its suite; a recorded agent is called
        ``model|defence``, and its model is what stands before the bar.
    """

    behaviour: Behaviour
    grant_id: Ints
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
    behaviour = _joined([part.behaviour for part in parts])

    def chained(name: str) -> Names:
        return np.concatenate([getattr(part, name) for part in parts])

    columns = ("grant_id", "own", "label", "attempted", "suite", "task", "agent", "model")
    return Recorded(behaviour, **{name: chained(name) for name in columns})


def _read(run: Run, *, own: bool) -> Recorded:
    behaviour = read_behaviour(run)
    grants = behaviour.grants
    truth = read_truth(run, grants.index)
    if not len(run.frame("labels")):
        raise EvaluationError(f"{run.path}: no labels, nothing says which runs were attacked")
    agents = run.sql(
        "SELECT t.grant_id, a.agent_name FROM tokens t JOIN agents a USING (client_id) WHERE t.token_id = t.grant_id"
    ).set_index("grant_id")["agent_name"]
    agent = agents.reindex(grants.index).fillna("").astype(str)
    role = grants["role"].astype(str)
    return Recorded(
        behaviour=behaviour,
        grant_id=grants.index.to_numpy(np.int64),
        own=np.full(len(grants), own),
        label=truth.label,
        attempted=truth.attempted,
        suite=role.to_numpy(object),
        task=(role + "/" + grants["task"].astype(str)).to_numpy(object),
        agent=agent.to_numpy(object),
        model=agent.str.split("|").str[0].to_numpy(object),
    )


def _joined(parts: list[Behaviour]) -> Behaviour:
    """Behaviours one after the other; replays give the same ids, so ids are made anew."""
    grants, events, uses, start = [], [], [], 0
    for part in parts:
        parent = part.grants["parent"].to_numpy(np.int64)
        tree = part.grants.groupby("tree", sort=False).ngroup().to_numpy(np.int64)
        grants.append(part.grants.assign(parent=np.where(parent >= 0, parent + start, -1), tree=tree + start))
        events.append(part.events.assign(grant=part.events["grant"] + start))
        uses.append(part.uses.assign(grant=part.uses["grant"] + start))
        start += len(part)
    return replace(
        parts[0],
        grants=pd.concat(grants, ignore_index=True),
        events=_stacked(events),
        uses=_stacked(uses),
        timing=all(part.timing for part in parts),
    )


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    categorical = [name for name, kind in parts[0].dtypes.items() if kind == "category"]
    # Categories differ from Run to Run; concatenating turns them into text.
    whole = pd.concat([part.astype({name: object for name in categorical}) for part in parts], ignore_index=True)
    return whole.astype({name: "category" for name in categorical})
