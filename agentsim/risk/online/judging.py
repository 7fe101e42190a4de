"""What judges a use while it is verified: table look-ups from the state of its grant, without arrays.

The use is taken into a copy of the state, and the features that only grow are made of that: so what a use does is seen
before it is answered. Since they never fall, a finished grant's score is the highest that it ever had, and the share of
honest grants that ever reaches a threshold is known from a Run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import log

from agentsim.risk.catalogue import FEATURES
from agentsim.risk.detectors import Deviating, RankCurve
from agentsim.risk.fitted import Fitted
from agentsim.risk.growing import GROWING, Growing
from agentsim.risk.online.rules import Rules
from agentsim.server.history import GrantState
from agentsim.server.watch import HOLDING, Assessment, Use

#: From this share of the threshold on a use is a medium risk.
_MEDIUM = 0.7
#: As many reasons as are told.
_REASONS = 3
#: Findings that are remembered, those asked for longest ago forgotten. Nearly all honest grants of a role share a few.
_REMEMBERED = 16_384


class Judging:
    """A :class:`~agentsim.server.watch.PatternMatcher` by tables.

    Parameters
    ----------
    fitted : what is usual.
    rules : what is done from which score on.
    """

    def __init__(self, fitted: Fitted, rules: Rules) -> None:
        self._rules = rules
        self._growing = Growing(fitted.peers)
        (member,) = fitted.at_once.members_
        assert isinstance(member, Deviating)
        self._names = member.encoder_.names_
        self._places = [GROWING.index(name) for name in self._names]
        self._roles = member.encoder_.roles_
        self._lookup = member.estimator_.lookup()
        (curve,) = fitted.at_once.estimator_.curves_
        self._ranks = _Ranks(curve), _Ranks(fitted.at_once.estimator_.total_)
        self._finding = lru_cache(_REMEMBERED)(self._find)

    def assess(self, use: Use, state: GrantState) -> Assessment:
        """Judge a use, given what the grant had done before it."""
        after = state if use.event is None else state.after(use.event)
        finding = self._finding(use.role, self._values(after, use.role))
        if use.event is None and finding.action in HOLDING:
            # What is only looked at is not acted on.
            return replace(finding, action="none")
        return finding

    def score(self, state: GrantState, role: str) -> float:
        """The rank of a grant as it stands: -log10 of the share of honest grants that ever reach it."""
        return self._finding(role, self._values(state, role)).score

    def _values(self, state: GrantState, role: str) -> tuple[int, ...]:
        values = self._growing.of(state, role, state.task)
        return tuple([values[place] for place in self._places])

    def _find(self, role: str, values: tuple[int, ...]) -> Assessment:
        """What is to be said of a grant with these features, were it used so: that hangs on nothing else."""
        surprises = self._lookup.surprises(self._roles.get(role, 0), values)
        score = self._score(surprises)
        threshold = self._rules.cut.at("grant", role)
        if score < threshold * _MEDIUM:
            return Assessment(True, "normal", "low", score)
        reasons = self._reasons(surprises, values)
        if score < threshold:
            return Assessment(True, "unusual", "medium", score, reasons)
        return Assessment(False, "unusual", "high", score, reasons, self._rules.action("grant", role, score))

    def _score(self, surprises: Sequence[float]) -> float:
        own, total = self._ranks
        return total.rank(own.rank(self._lookup.total(surprises)))

    def _reasons(self, surprises: Sequence[float], values: Sequence[float]) -> tuple[str, ...]:
        told = sorted(zip(surprises, self._names, values, strict=True), reverse=True)[:_REASONS]
        return tuple(
            f"{name} {value:g}: {FEATURES[name].meaning}; one in {10**surprise:,.0f} of its role has so much"
            for surprise, name, value in told
            if surprise >= 1
        )


class _Ranks:
    """A :class:`~agentsim.risk.detectors.RankCurve` for one score at a time."""

    def __init__(self, curve: RankCurve) -> None:
        self._knots, self._steps = curve.knots.tolist(), curve.ranks.tolist()
        self._start, self._at, self._width = curve.start, curve.at, curve.width * log(10)

    def rank(self, score: float) -> float:
        """-log10 of the share of benign rows that score as high."""
        if score > self._start:
            return self._at + (score - self._start) / self._width
        counted: float = self._steps[bisect_left(self._knots, score)]
        return min(counted, self._at)
