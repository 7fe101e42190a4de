"""What follows the audit trail beside the writer: all detectors over grants, trees and agents, as rows are committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd

from agentsim.risk.evidence import CHANNELS, ORDER, Evidence
from agentsim.risk.features import features
from agentsim.risk.fitted import Fitted
from agentsim.risk.live import Known, Live, Row
from agentsim.risk.online.rules import Rules
from agentsim.risk.states import KINDS, EntityKind, collect
from agentsim.risk.words import state_items
from agentsim.server.audit import COLUMNS
from agentsim.server.clock import SECOND
from agentsim.server.watch import HOLDING, Action, ActionKind

#: As often as the detectors are asked, in the server's time: what changed since then is scored together.
PACE = 60 * SECOND
#: Entities that nothing was heard of for so long are forgotten: no grant lives longer.
_MEMORY = 86_400 * SECOND
_PLACES = {name: COLUMNS.index(name) for name in Row.__dataclass_fields__}


class Following:
    """A :class:`~agentsim.server.watch.Watcher` of one tenant.

    Parameters
    ----------
    fitted : what is usual.
    rules : what is done from which score on.
    """

    def __init__(self, fitted: Fitted, rules: Rules) -> None:
        self._fitted = fitted
        self._rules = rules
        self._live = Live()
        self._asked_at = 0
        self._forgotten_at = 0
        #: The hardest thing that was asked for about each entity.
        self._done: dict[tuple[EntityKind, int], ActionKind] = {}

    def take(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take in audit rows."""
        self._live.take(map(_row, rows))

    def due(self, now: int) -> Sequence[Action]:
        """What is to be done about what has changed, each told once."""
        if now - self._asked_at < PACE:
            return ()
        self._asked_at = now
        actions = [action for kind in KINDS for action in self._judge(kind)]
        if now - self._forgotten_at >= _MEMORY // 24:
            self._forgotten_at = now
            self._live.forget(now - _MEMORY)
        return actions

    def _judge(self, kind: EntityKind) -> Iterator[Action]:
        entities = self._live.take_changed(kind)
        if not entities:
            return
        known = [self._live.known[kind].get(entity, Known()) for entity in entities]
        scores = self._fitted.detectors[kind].score(self._evidence(kind, entities, known))
        for entity, about, score in zip(entities, known, scores.tolist(), strict=True):
            wanted = self._rules.action(kind, about.role, score)
            if wanted in HOLDING and self._done.get((kind, entity)) != wanted:
                self._done[kind, entity] = wanted
                reasons = (f"{kind} scores {score:.2f}",)
                for subject in self._subjects(kind, entity, wanted):
                    yield Action(kind=wanted, subject=subject, score=score, reasons=reasons)

    def _evidence(self, kind: EntityKind, entities: list[int], known: list[Known]) -> Evidence:
        states = collect([self._live.states[kind][entity] for entity in entities])
        roles, tasks = [each.role for each in known], [each.task for each in known]
        table = features(states, kind, roles, tasks, self._fitted.peers)
        channels: Sequence[Sequence[str]] = (CHANNELS, ORDER) if kind == "grant" else ((), ())
        items, order = (state_items(states, roles, tasks, each) for each in channels)
        size = len(entities)
        return Evidence(
            kind=kind,
            tenant=np.zeros(size, np.int64),
            features=table.set_index(pd.Index(entities)),
            role=np.array(roles, object),
            task=np.array(tasks, object),
            items=items,
            order=order,
            tree=np.arange(size),
            silent=np.bincount(states.tools.holder, minlength=size) == 0,
        )

    def _subjects(self, kind: EntityKind, entity: int, action: ActionKind) -> list[int]:
        """Whom an action is about: grants, roots of trees, or agents."""
        grants = self._live.known["grant"]
        if kind == "agent":
            if action == "disable_agent":
                return [entity]
            own = [grant for grant, about in grants.items() if about.client == entity]
            return _distinct(grants[grant].tree for grant in own) if action == "revoke_tree" else own
        about = grants.get(entity)
        if action == "disable_agent":
            return [] if about is None or about.client is None else [about.client]
        if action == "revoke_tree" and about is not None and about.tree is not None:
            return [about.tree]
        # A tree begins with the grant of its own number.
        return [entity]


def _row(values: tuple[Any, ...]) -> Row:
    told = {name: values[place] for name, place in _PLACES.items()}
    return Row(**{**told, "details": orjson.loads(told["details"])})


def _distinct(values: Iterator[int | None]) -> list[int]:
    return list(dict.fromkeys(value for value in values if value is not None))
