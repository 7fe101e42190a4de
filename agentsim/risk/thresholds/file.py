"""``thresholds.yaml``: from which scores on what is done, how that was chosen, and until when it may be used.

It is made by ``agentsim tune`` and read by what scores while the server works. What an organisation allows its agents
is another file, and another matter.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from agentsim.risk.thresholds.case import ThresholdError
from agentsim.risk.thresholds.cut import Cut
from agentsim.risk.thresholds.policy import OneLine, ThresholdPolicy
from agentsim.settings.strict import Fault, Strict, raise_faults

#: How long a choice holds: agents change, and thresholds do not notice.
VALID_DAYS = 90

Kind = Literal["grant", "tree", "agent"]
#: What may be done about an alert, the mildest first.
Action = Literal["log", "step_up", "revoke_task", "revoke_tree", "disable_agent"]
ACTIONS: tuple[Action, ...] = ("log", "step_up", "revoke_task", "revoke_tree", "disable_agent")

_Number = Annotated[float, Field(strict=True)]
_Text = Annotated[OneLine, Field(min_length=1)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Date = Annotated[datetime.date, Field(strict=True)]


class ModelFile(Strict):
    """A saved model."""

    file: Annotated[_Text, Field(description="Where it is, as seen from the file of thresholds.")]
    sha256: Annotated[_Digest, Field(description="What it must be.")]


class Expected(Strict):
    """What the thresholds did on a Run that they were not chosen on; nothing where it could not be told."""

    alerts_per_day: Annotated[_Number | None, Field(description="Alerts a day.")] = None
    interval: Annotated[
        tuple[_Number, _Number] | None, Field(description="Of alerts a day, 95 %, resampling trees.")
    ] = None
    false_alarms_per_1000: Annotated[
        _Number | None, Field(description="False alarms per thousand honest tasks.")
    ] = None
    precision: Annotated[_Number | None, Field(description="Share of the alerts that were attacks.")] = None
    recall: Annotated[
        dict[OneLine, _Number], Field(description="Share of the attacks of each kind that were found.")
    ] = Field(default_factory=dict)


class Source(Strict):
    """A Run that the file comes from."""

    used: Annotated[
        Literal["learned", "calibrated", "chosen", "reported"], Field(description="What it was used for.")
    ]
    scenario: Annotated[OneLine, Field(description="Name of its scenario, or of its traces.")]
    seed: Annotated[int | None, Field(strict=True, description="Its seed; none for traces.")] = None
    digest: Annotated[_Digest, Field(description="Of the Run's tables.")]


class Provenance(Strict):
    """Where the file comes from."""

    agentsim: Annotated[OneLine, Field(description="Version that made it.")]
    runs: Annotated[tuple[Source, ...], Field(description="The Runs that it comes from.")]


class ThresholdFile(Strict):
    """A file of thresholds."""

    format: Annotated[
        Literal[1], Field(alias="schema", description="Version of this format: 1.", examples=[1])
    ]
    made: Annotated[
        _Date, Field(description="Day on which it was made.", examples=[datetime.date(2026, 1, 1)])
    ]
    expires: Annotated[_Date, Field(description="Last day on which it may be used.")]
    detector: Annotated[_Text, Field(description="What gives the scores.", examples=["combined"])]
    model: Annotated[ModelFile | None, Field(description="The saved model that gives them.")] = None
    thresholds: Annotated[
        dict[Kind, _Number | None],
        Field(
            min_length=1,
            description="From which score on a grant, a tree, an agent is an alert; nothing: never.",
        ),
    ]
    roles: Annotated[
        dict[OneLine, dict[Kind, _Number | None]],
        Field(description="The same for roles that differ from the others."),
    ] = Field(default_factory=dict)
    actions: Annotated[
        dict[Action, _Number], Field(description="From which score on what is done about an alert.")
    ] = Field(default_factory=dict)
    chosen: Annotated[
        ThresholdPolicy,
        Field(description="How the thresholds were chosen.", examples=[{"by": "fixed", "score": 1.0}]),
    ]
    expected: Annotated[
        Expected, Field(description="What they did where they were not chosen.", examples=[{}])
    ]
    provenance: Annotated[
        Provenance, Field(description="Where they come from.", examples=[{"agentsim": "1", "runs": []}])
    ]

    @model_validator(mode="after")
    def _fits_together(self) -> ThresholdFile:
        raise_faults("ThresholdFile", self._faults())
        return self

    @property
    def cut(self) -> Cut:
        """From which score on an entity is an alert."""
        return Cut(_plain(self.thresholds), {role: _plain(kinds) for role, kinds in self.roles.items()})

    def action(self, score: float) -> Action | None:
        """What is done about an alert with this score: the strongest that begins at or below it."""
        return next((name for name in reversed(ACTIONS) if score >= self.actions.get(name, np.inf)), None)

    def require_valid(self, path: Path, today: datetime.date) -> None:
        """Refuse a file that has expired.

        Raises
        ------
        ThresholdError
            If ``today`` is after the last day on which it may be used.
        """
        if today > self.expires:
            raise ThresholdError(
                f"{path}: expired on {self.expires}; agents have changed since, so choose anew with 'agentsim tune'"
            )

    def _repr_html_(self) -> str:
        # Only notebooks ask, and the display needs this class.
        from agentsim.risk.thresholds.display import file_html

        return file_html(self)

    def _faults(self) -> Iterable[Fault]:
        if self.expires < self.made:
            yield ("expires",), f"is before the day on which it was made, {self.made}", self.expires
        lowest = self.cut.lowest
        for name, score in self.actions.items():
            if score < lowest:
                below = f"{lowest:g}" if np.isfinite(lowest) else "anything: there are none"
                yield ("actions", name), f"begins at {score:g}, but no alert is below {below}", score


def thresholds_of(cut: Cut) -> dict[str, Any]:
    """The fields ``thresholds`` and ``roles`` of a file."""
    return {
        "thresholds": {kind: _written(value) for kind, value in cut.kinds.items()},
        "roles": {role: {k: _written(v) for k, v in kinds.items()} for role, kinds in cut.roles.items()},
    }


def _plain(kinds: dict[Kind, float | None]) -> dict[str, float]:
    return {kind: np.inf if value is None else value for kind, value in kinds.items()}


def _written(value: float) -> float | None:
    return value if np.isfinite(value) else None
