"""All that training learns from a Run, as one thing that is saved and loaded."""

from __future__ import annotations

from dataclasses import dataclass

from agentsim.risk.detectors import TELLING, Combined, Detector, Deviating, Novelty, present
from agentsim.risk.evidence import Evidence
from agentsim.risk.growing import GROWING
from agentsim.risk.peers import Peers
from agentsim.risk.states import EntityKind


@dataclass(frozen=True)
class Fitted:
    """What is usual, by kind of entity.

    A score is a rank: -log10 of the share of benign entities of the kind that score as high, so that one
    threshold may serve all kinds.

    Attributes
    ----------
    detectors : by kind of entity.
    at_once : of grants, by table look-ups over features that only grow: what is asked while a token is verified.
    peers : what the grants of the training Run did.
    """

    detectors: dict[EntityKind, Combined]
    at_once: Combined
    peers: Peers


def default_detectors(seed: int, kind: EntityKind = "grant") -> Combined:
    """The detectors of one kind of entity: what won on simulated attacks of seeds that no report uses."""
    members: list[Detector] = [Deviating()]
    if kind == "grant":
        members.append(Novelty())
    return Combined(seed, members)


def fit(evidence: dict[EntityKind, Evidence], peers: Peers, seed: int) -> Fitted:
    """Learn what is usual.

    Parameters
    ----------
    evidence : by kind of entity, grants among them; of a Run that nobody attacked.
    peers : what the grants of that Run did.
    seed : of what is drawn in training: folds, and the cuts of forests.
    """
    told = present(evidence["grant"], TELLING)
    at_once = Combined(seed, [Deviating(wanted=[name for name in told if name in GROWING])], name="at once")
    return Fitted(
        detectors={kind: default_detectors(seed, kind).fit(each) for kind, each in evidence.items()},
        at_once=at_once.fit(evidence["grant"]),
        peers=peers,
    )
