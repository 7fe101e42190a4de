"""How a threshold is to be chosen: one of five ways, with its arguments, as it stands in a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from agentsim.settings import faults
from agentsim.settings.durations import parse_rate
from agentsim.settings.mending import validate
from agentsim.settings.strict import Count, Fault, Share, Strict, raise_faults
from agentsim.settings.yamlfile import read_yaml

Way = Literal["fixed", "budget", "fdr", "cost", "recall"]
#: What each way needs, and what else it takes.
ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fixed": (("score",), ()),
    "budget": ((), ("alerts", "analysts", "minutes_per_alert")),
    "fdr": (("share",), ("expected",)),
    "cost": (("costs",), ()),
    "recall": (("floors",), ()),
}
#: Minutes that an analyst looks at alerts in a day.
_WORKING_DAY = 8 * 60

#: Text without control characters and line breaks, of which YAML has more than one would think.
OneLine = Annotated[str, Field(pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]*$")]

_Cost = Annotated[float, Field(strict=True, ge=0)]
_Positive = Annotated[float, Field(strict=True, gt=0)]


def parse_per_day(value: Any) -> float:
    """How many a day a rate such as ``50/day`` or ``2/hour`` is.

    Raises
    ------
    ValueError
        If it is no rate.
    """
    try:
        # Twelve digits: a division by seconds and back would leave 50.00000000000001.
        return float(f"{parse_rate(value) * 86_400:.12g}")
    except ValueError:
        raise ValueError(f"not a rate: {value!r}; write for example 50/day or 2/hour") from None


def format_per_day(per_day: float) -> str:
    """The text that :func:`parse_per_day` reads back."""
    return f"{np.format_float_positional(per_day, trim='-')}/day"


#: A field written as a rate and held as a number a day.
PerDay = Annotated[
    float,
    BeforeValidator(parse_per_day),
    PlainSerializer(format_per_day, return_type=str),
    Field(gt=0, le=1e9),
]


class Costs(Strict):
    """What it costs to be wrong, in any one unit."""

    missed: Annotated[
        dict[OneLine, _Cost],
        Field(description="Of an attack of a kind that is not found.", examples=[{"token_theft": 5000}]),
    ] = Field(default_factory=dict)
    missed_otherwise: Annotated[
        _Cost, Field(description="Of an attack of any other kind that is not found.", examples=[1000])
    ]
    false_alarm: Annotated[
        _Positive, Field(description="Of an alert on what no attack touched.", examples=[10])
    ]
    prevalence: Annotated[
        float | None,
        Field(
            strict=True,
            gt=0,
            lt=1,
            description="Share of tasks that are attacked; that of the Run if left out. Scenarios attack far more often than anybody is attacked.",
        ),
    ] = None

    def of_missing(self, kind: str) -> float:
        """The cost of an attack of a kind that is not found."""
        return self.missed.get(kind, self.missed_otherwise)


def read_costs(path: Path) -> Costs:
    """Read a file of costs.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise faults.SettingsError(path, [faults.Fault("", "costs are a mapping of names to values")])
    costs, found = validate(Costs, data)
    if costs is None:
        raise faults.SettingsError(path, found)
    return costs


class ThresholdPolicy(Strict):
    """One of five ways to choose a threshold.

    ``fixed``: this score. ``budget``: so many alerts a day at most. ``fdr``: this share of the alerts is false at most, by
    conformal p-values. ``cost``: the least expected cost. ``recall``: named attacks are found at least so often.
    """

    by: Annotated[Way, Field(description="fixed, budget, fdr, cost or recall.")]
    score: Annotated[
        float | None, Field(strict=True, description="fixed: the score from which on an entity is an alert.")
    ] = None
    alerts: Annotated[PerDay | None, Field(description="budget: alerts at most, as a rate: 50/day.")] = None
    analysts: Annotated[
        _Positive | None, Field(description="budget: people who look at alerts, eight hours a day.")
    ] = None
    minutes_per_alert: Annotated[
        _Positive | None, Field(description="budget: how long one of them looks at an alert.")
    ] = None
    share: Annotated[
        float | None, Field(strict=True, gt=0, lt=1, description="fdr: share of alerts that may be false.")
    ] = None
    expected: Annotated[
        Count | None,
        Field(
            description="fdr: attacked entities that are expected among those judged; as many as there were if left out."
        ),
    ] = None
    costs: Annotated[Costs | None, Field(description="cost: what it costs to be wrong.")] = None
    floors: Annotated[
        dict[OneLine, Share] | None,
        Field(min_length=1, description="recall: share of the attacks of each kind to be found at least."),
    ] = None

    @model_validator(mode="after")
    def _fits_together(self) -> ThresholdPolicy:
        raise_faults("ThresholdPolicy", self._faults())
        return self

    @property
    def budget(self) -> float:
        """Alerts a day that ``budget`` allows."""
        if self.alerts is not None:
            return self.alerts
        assert self.analysts is not None
        assert self.minutes_per_alert is not None
        return self.analysts * _WORKING_DAY / self.minutes_per_alert

    def arguments(self) -> dict[str, Any]:
        """What was given, as a file has it."""
        return self.model_dump(mode="json", exclude_none=True)

    def _repr_html_(self) -> str:
        # Only notebooks ask, and the display needs this class.
        from agentsim.risk.thresholds.display import policy_html

        return policy_html(self)

    def _faults(self) -> Iterable[Fault]:
        needed, taken = ARGUMENTS[self.by]
        given = {name for name in type(self).model_fields if getattr(self, name) is not None} - {"by"}
        for name in needed:
            if name not in given:
                yield (name,), f"required where thresholds are chosen by {self.by}", None
        for name in sorted(given - {*needed, *taken}):
            yield (name,), f"means nothing where thresholds are chosen by {self.by}", getattr(self, name)
        if self.by == "budget" and given not in ({"alerts"}, {"analysts", "minutes_per_alert"}):
            yield ("alerts",), "a budget is alerts a day, or analysts and minutes_per_alert", None
        for kind, floor in (self.floors or {}).items():
            if floor == 0:
                yield ("floors", kind), "must be more than 0, got 0", floor


def alert_budget(alerts_per_day: float) -> ThresholdPolicy:
    """At most so many alerts a day."""
    return ThresholdPolicy.model_validate({"by": "budget", "alerts": format_per_day(alerts_per_day)})
