"""The alerts of a Run: what reached the thresholds, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Ints, read_behaviour
from agentsim.risk.evidence import Evidence
from agentsim.risk.explaining import explain_alerts
from agentsim.risk.exports import ALERT
from agentsim.risk.model import Model
from agentsim.risk.moments import with_times
from agentsim.risk.states import EntityKind
from agentsim.risk.thresholds.cut import Cut
from agentsim.risk.thresholds.file import ThresholdFile
from agentsim.run import Run

_TASKS = "SELECT grant_id AS first_grant, task_id FROM tokens WHERE token_id = grant_id"


@dataclass(frozen=True)
class Scored:
    """All entities of a Run, scored by a model; labels are not read.

    Attributes
    ----------
    run, model : what was scored, and by what.
    behaviour : what the grants and agents of the Run did.
    parts : for each kind of entity its evidence and its scores; see :meth:`agentsim.risk.model.Model.score`.
    """

    run: Run
    model: Model
    behaviour: Behaviour
    parts: tuple[tuple[Evidence, pd.DataFrame], ...]

    @classmethod
    def of(cls, run: Run, model: Model) -> Scored:
        """Score a Run."""
        behaviour = read_behaviour(run)
        return cls(run, model, behaviour, tuple(model.judge(behaviour)))

    def evidence(self, kind: EntityKind) -> Evidence:
        """The evidence of one kind of entity."""
        return next(evidence for evidence, _ in self.parts if evidence.kind == kind)

    def table(self) -> pd.DataFrame:
        """The scores of all kinds, with ``raised_at``: the last event of each, as its score counts all that it did."""
        return with_times(self.run, pd.concat([scored for _, scored in self.parts], ignore_index=True))

    def alerts(self, cut: Cut) -> pd.DataFrame:
        """What reaches some thresholds.

        Returns
        -------
        One row per alert, the highest score first, with the columns of :data:`agentsim.risk.exports.ALERT` but ``action``
        and ``suppressed_by``. ``detector`` is the one that ranks it highest. A tree has the role, the task and the agent
        of its root; an agent has no task.
        """
        raised = [self._raised(evidence, scored, cut) for evidence, scored in self.parts]
        found = with_times(self.run, pd.concat(raised, ignore_index=True))
        found = found.merge(self.run.sql(_TASKS), how="left", on="first_grant")
        # An agent that was registered before the Run began may have no event of its own.
        found["raised_at"] = found["raised_at"].fillna(self.run.manifest.end)
        found["alert_id"] = found["kind"] + "-" + found["entity"].astype(str)
        found["role"] = found["role"].replace("", None)
        found = found.sort_values(
            ["score", "kind", "entity"], ascending=[False, True, True], ignore_index=True
        )
        return found[[name for name in ALERT.names if name in found]]

    def _raised(self, evidence: Evidence, scored: pd.DataFrame, cut: Cut) -> pd.DataFrame:
        alert = cut.alerts(scored)
        detector = self.model.fitted.detectors[evidence.kind]
        names = np.array([member.name for member in detector.members_], object)
        raised = scored[alert].reset_index(drop=True)
        ranks = raised[list(names)].to_numpy(np.float64)
        ids = _ids(self.behaviour, evidence.kind, raised["entity"].to_numpy(np.int64))
        reasons = explain_alerts(detector, self.behaviour, evidence, alert)
        return pd.concat([raised, ids], axis=1).assign(
            threshold=cut.values(scored)[alert],
            detector=names[ranks.argmax(axis=1)],
            reasons=pd.Series(reasons, dtype=object),
        )


def alerts(run: Run, model: Model, thresholds: ThresholdFile) -> pd.DataFrame:
    """What a file of thresholds makes alerts of a Run: as :meth:`Scored.alerts`, and the ``action`` for each.

    Parameters
    ----------
    run : to be looked at; its labels are not read.
    model : the one that the thresholds were chosen for.
    """
    found = Scored.of(run, model).alerts(thresholds.cut)
    actions = [thresholds.action(score) for score in found["score"]]
    return found.assign(action=pd.Series(actions, dtype=object))


def _ids(behaviour: Behaviour, kind: str, entity: Ints) -> pd.DataFrame:
    """Ids of grant, tree and agent of some entities, and of the grant whose task is theirs; missing where there is none."""
    if kind == "agent":
        nothing = pd.array([pd.NA] * len(entity), dtype="Int64")
        parts = dict.fromkeys(("grant_id", "root_grant_id", "first_grant"), nothing)
        return pd.DataFrame({**parts, "client_id": pd.array(entity, dtype="Int64")})
    grants = behaviour.grants
    # A tree is called by its root, which may not be among the grants of the Run.
    place = np.unique(grants["tree"].to_numpy(), return_index=True) if kind == "tree" else None
    first = (
        grants.index.get_indexer(pd.Index(entity))
        if place is None
        else place[1][np.searchsorted(place[0], entity)]
    )
    client = grants["client"].to_numpy(np.int64)[first]
    clients = pd.Series(behaviour.agents.index.to_numpy(np.int64)[client], dtype="Int64").mask(client < 0)
    own = pd.Series(entity, dtype="Int64")
    return pd.DataFrame(
        {
            "grant_id": own if kind == "grant" else own.mask(own.notna()),
            "root_grant_id": pd.Series(grants["tree"].to_numpy(np.int64)[first], dtype="Int64"),
            "first_grant": pd.Series(grants.index.to_numpy(np.int64)[first], dtype="Int64"),
            "client_id": clients,
        }
    )
