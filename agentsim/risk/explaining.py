"""Why an entity was an alert: what lay furthest out, beside whom, the surprising steps, and where it stands in its tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentsim.risk.behaviour import Behaviour, Flags, Floats, Ints
from agentsim.risk.detectors import Combined, Deviating, Deviations, Novelty
from agentsim.risk.evidence import Evidence
from agentsim.risk.phrases import feature_phrase, feature_value, word_phrase
from agentsim.risk.places import Places

#: Features, and words, that are told of an alert at most.
FEATURES_TOLD, STEPS_TOLD = 3, 2
#: What one in five does is not worth telling (decades of surprise).
ODD = np.log10(5)
#: Fewer earlier grants are no history.
LEAST_HISTORY = 3
NOTHING = "nothing by itself: many small things"


def explain_alerts(
    detector: Combined, behaviour: Behaviour, evidence: Evidence, alert: Flags
) -> list[list[str]]:
    """The reasons of each alert, most important first; what the detector saw that ranks it highest comes first.

    Parameters
    ----------
    detector : what gave the scores.
    behaviour : of the whole Run.
    evidence : of all entities of one kind of it: earlier ones of the same agent are its history.
    alert : which of them are to be explained.

    Returns
    -------
    For each alert up to three features, each beside the role, the organisation and, where there are three at least, the
    same agent's earlier ones; up to two surprising steps; and last, where it stands in its lineage.
    """
    alerts, positions = evidence.take(alert), np.flatnonzero(alert)
    if not len(positions):
        return []
    ranks, places = detector.ranks(alerts), Places.of(behaviour)
    told: list[tuple[Floats, list[list[str]]]] = []
    for member in detector.members_:
        if isinstance(member, Deviating):
            history = _histories(places, evidence, positions)
            told.append((ranks[member.name], _furthest(member, evidence, alerts, history)))
        elif isinstance(member, Novelty):
            told.append((ranks[member.name], tell_steps(member, alerts)))
    result = []
    for row, place in enumerate(positions):
        by_rank = sorted(told, key=lambda part: -part[0][row])
        reasons = [reason for _, lines in by_rank for reason in lines[row]]
        result.append([*(reasons or [NOTHING]), places.tell(evidence.kind, int(place))])
    return result


def tell_steps(detector: Novelty, evidence: Evidence) -> list[list[str]]:
    """The most surprising words of each row: a surprise of s nats is something that one in e^s does."""
    return [
        [
            f"{word_phrase(word)}, as 1 in {np.exp(surprise):,.0f} does"
            for word, surprise in found
            if surprise > ODD * np.log(10)
        ]
        for found in detector.reasons(evidence, STEPS_TOLD)
    ]


@dataclass(frozen=True)
class _Beside:
    """What others have: the median, and where one in a hundred lies, on the side of the value beside them."""

    typical: float
    edge: float

    def tell(self, name: str, value: float) -> str:
        which = "99th" if value >= self.typical else "1st"
        return f"typically {feature_value(name, self.typical)}, {which} percentile {feature_value(name, self.edge)}"


def _furthest(
    member: Deviating, evidence: Evidence, alerts: Evidence, histories: list[Ints]
) -> list[list[str]]:
    """The features of each alert that are furthest out among its role, or in its own history."""
    names = member.encoder_.names_
    matrix = member.encoder_.transform(alerts)
    known = matrix[:, 0] > 0
    of_role = member.estimator_.deviations(matrix)
    matrix[:, 0] = 0
    of_all = member.estimator_.deviations(matrix)
    every = evidence.features.reindex(columns=names).to_numpy(np.float64)
    result = []
    for row, history in enumerate(histories):
        own = _own_surprise(of_role.actual[row], every[history])
        surprise = np.maximum(of_role.surprise[row], own)
        lines = []
        for column in np.argsort(-surprise, kind="stable")[:FEATURES_TOLD]:
            if surprise[column] > ODD:
                value, name = float(of_role.actual[row, column]), names[column]
                role = _beside(of_role, row, column) if known[row] else None
                earlier = every[history, column]
                lines.append(_line(name, value, role, _beside(of_all, row, column), earlier))
        result.append(lines)
    return result


def _line(name: str, value: float, role: _Beside | None, everybody: _Beside, earlier: Floats) -> str:
    beside = []
    if role is not None:
        beside.append(f"this role {role.tell(name, value)}")
    if role is None or role.tell(name, value) != everybody.tell(name, value):
        beside.append(f"all roles {everybody.tell(name, value)}")
    if len(earlier) >= LEAST_HISTORY:
        high = value >= np.median(earlier)
        edge = feature_value(name, float(earlier.max() if high else earlier.min()))
        beside.append(f"its agent's {len(earlier):,} before at {'most' if high else 'least'} {edge}")
    return f"{feature_phrase(name, value)} ({'; '.join(beside)})"


def _beside(deviations: Deviations, row: int, column: int) -> _Beside:
    actual, typical = deviations.actual[row, column], deviations.typical[row, column]
    edge = deviations.most if actual >= typical else deviations.least
    return _Beside(float(typical), float(edge[row, column]))


def _own_surprise(values: Floats, earlier: Floats) -> Floats:
    """-log10 of the share of the earlier ones that lie as far out, itself among them; 0 where they are too few."""
    if len(earlier) < LEAST_HISTORY:
        return np.zeros(len(values))
    as_far = np.minimum((earlier >= values).sum(axis=0), (earlier <= values).sum(axis=0))
    return np.asarray(np.where(np.isnan(values), 0.0, -np.log10((1 + as_far) / (1 + len(earlier)))))


def _histories(places: Places, evidence: Evidence, positions: Ints) -> list[Ints]:
    """For each alert, the positions of the same agent's earlier grants, or trees; an agent has none but its own."""
    if evidence.kind == "agent":
        return [np.zeros(0, np.int64)] * len(positions)
    # Grants are in the order of their issue, trees in that of their codes.
    began = np.arange(len(evidence)) if evidence.kind == "grant" else places.roots()
    owner = places.client[began]
    wanted = np.flatnonzero(np.isin(owner, owner[positions]) & (owner >= 0))
    by_owner: dict[int, list[int]] = {}
    for place in wanted:
        by_owner.setdefault(int(owner[place]), []).append(int(place))
    mine = (np.array(by_owner.get(int(owner[place]), []), np.int64) for place in positions)
    return [each[began[each] < began[place]] for each, place in zip(mine, positions, strict=True)]
