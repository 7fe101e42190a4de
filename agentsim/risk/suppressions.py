"""Alerts that need not be looked at: which, why, who says so, and until when.

A file of suppressions::

    suppressions:
      - match: {kind: grant, role: ci_bot, about: resources}
        reason: the nightly build opens every repository
        owner: platform team
        expires: 2026-06-30

All that stands under ``match`` must be so. Nothing is suppressed without an owner and an end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from agentsim.risk.behaviour import Flags
from agentsim.settings.faults import Fault, SettingsError
from agentsim.settings.mending import validate
from agentsim.settings.strict import Strict
from agentsim.settings.yamlfile import read_yaml


def _parse_end(value: Any) -> datetime:
    """A day, which counts to its end (UTC), or a moment with its time zone."""
    if isinstance(value, str):
        try:
            value = (
                datetime.fromisoformat(value) if len(value) > len("2026-06-30") else date.fromisoformat(value)
            )
        except ValueError:
            raise ValueError(f"not a day: {value!r}; write for example 2026-06-30") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("needs its time zone, for example 2026-06-30T12:00:00Z")
        return value
    if not isinstance(value, date):
        raise ValueError(f"not a day: {value!r}; write for example 2026-06-30")
    if value == date.max:
        raise ValueError("is no end")
    return datetime.combine(value + timedelta(days=1), time(), UTC)


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Whole = Annotated[int, Field(strict=True, ge=0)]
_End = Annotated[datetime, BeforeValidator(_parse_end)]


class Match(Strict):
    """Which alerts are meant: those for which all that is given is so."""

    alert: Annotated[_Text | None, Field(description="Id of the alert.")] = None
    kind: Annotated[
        Literal["grant", "tree", "agent"] | None, Field(description="What the alert is about.")
    ] = None
    entity: Annotated[
        _Whole | None, Field(description="Id of the grant, the tree's first grant, or the agent; needs kind.")
    ] = None
    tenant: Annotated[_Whole | None, Field(description="Number of the organisation, from 0.")] = None
    role: Annotated[_Text | None, Field(description="Its role; a star for any characters.")] = None
    task: Annotated[_Text | None, Field(description="Its task_id; a star for any characters.")] = None
    detector: Annotated[_Text | None, Field(description="What gave the score.")] = None
    about: Annotated[_Text | None, Field(description="A part of the alert's first reason.")] = None

    @model_validator(mode="after")
    def _narrow(self) -> Match:
        if self.entity is not None and self.kind is None:
            raise ValueError("entity needs its kind: a tree has the id of its first grant")
        if all(value is None for value in (self.alert, self.entity, self.role, self.task, self.about)):
            raise ValueError("too wide: name an alert, an entity, a role, a task, or what it is about")
        return self

    def matches(self, alerts: pd.DataFrame) -> Flags:
        """Which alerts are meant, one flag each."""
        met = np.ones(len(alerts), bool)
        same = (
            ("alert_id", self.alert),
            ("kind", self.kind),
            ("entity", self.entity),
            ("tenant", self.tenant),
        )
        for column, wanted in (*same, ("detector", self.detector)):
            if wanted is not None:
                met &= (alerts[column] == wanted).to_numpy(bool, na_value=False)
        for column, pattern in (("role", self.role), ("task_id", self.task)):
            if pattern is not None:
                met &= [isinstance(text, str) and fnmatchcase(text, pattern) for text in alerts[column]]
        if self.about is not None:
            part = self.about.casefold()
            met &= [len(told) > 0 and part in told[0].casefold() for told in alerts["reasons"]]
        return met


class Suppression(Strict):
    """Alerts that need not be looked at before ``expires``."""

    match: Annotated[
        Match,
        Field(description="Which alerts; an alert, an entity, a role, a task or what it is about at least."),
    ]
    reason: Annotated[_Text, Field(description="Why they need not be looked at.")]
    owner: Annotated[_Text, Field(description="Who says so.")]
    expires: Annotated[
        _End, Field(description="Until when: a day counts to its end, UTC; or a moment with its time zone.")
    ]

    def __str__(self) -> str:
        return f"{self.owner}: {self.reason} (until {self.expires.isoformat()})"


class Suppressions(Strict):
    """A file of suppressions."""

    suppressions: Annotated[
        tuple[Suppression, ...], Field(description="The first that matches an alert is named with it.")
    ]


def load_suppressions(path: Path) -> tuple[Suppression, ...]:
    """Read a file of suppressions.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise SettingsError(path, [Fault("", "must hold a list under suppressions:")])
    read, faults = validate(Suppressions, data)
    if read is None:
        raise SettingsError(path, faults)
    return read.suppressions


def suppress(
    alerts: pd.DataFrame, suppressions: Sequence[Suppression], now: int
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Mark the alerts that need not be looked at; none is left out.

    Parameters
    ----------
    alerts : one row for each, columns as in :data:`agentsim.risk.exports.ALERT`.
    suppressions : the first that matches an alert is the one that is named.
    now : microseconds since 1970; what ended before suppresses nothing.

    Returns
    -------
    The alerts with the column ``suppressed_by`` (None where they are to be looked at), and what should be told:
    suppressions that have ended, and those that match no alert.
    """
    by: list[str | None] = [None] * len(alerts)
    told = []
    moment = datetime.fromtimestamp(now / 1e6, UTC)
    for number, each in enumerate(suppressions):
        if each.expires <= moment:
            told.append(f"suppressions.{number} has ended and suppresses nothing: {each}")
            continue
        met = np.flatnonzero(each.match.matches(alerts))
        if not len(met):
            told.append(f"suppressions.{number} matches no alert: {each}")
        for row in met:
            by[row] = by[row] or str(each)
    return alerts.assign(suppressed_by=pd.Series(by, index=alerts.index, dtype=object)), tuple(told)
