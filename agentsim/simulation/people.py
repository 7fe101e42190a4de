"""People beside agents, as a scenario describes them: how many there are, when they work, and what with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from agentsim.settings.durations import UNITS, Duration
from agentsim.settings.strict import Count, Name, Resource, Strict, Tool

_DAY, _MINUTE = UNITS["d"], UNITS["m"]
#: Days of the week as a scenario writes them; 1 January 1970 was a Thursday.
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIRST_DAY = 3
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)", re.ASCII)
_ZONE = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)", re.ASCII)


_TOOLS: dict[str, tuple[str, ...]] = {
    "ticket_read": ("jira",),
    "ticket_update": ("jira",),
    "kb_search": ("wiki",),
    "message_send": ("chat",),
    "email_read": ("mailbox",),
    "email_send": ("mailbox",),
}


class Hours(NamedTuple):
    """From when to when, microseconds after midnight."""

    begin: int
    end: int


def _parse_hours(value: Any) -> Hours:
    if isinstance(value, Hours):
        return value
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"not hours: {value!r}; write for example 08:00-18:00")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    hours = Hours((60 * hour + minute) * _MINUTE, (60 * last_hour + last_minute) * _MINUTE)
    if not hours.begin < hours.end <= _DAY:
        raise ValueError(f"must end after they begin, and by 24:00, got {value!r}")
    return hours


def _format_hours(hours: Hours) -> str:
    begin, end = (moment // _MINUTE for moment in hours)
    return f"{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}"


def _parse_days(value: Any) -> tuple[str, ...]:
    """Days in the order of the week, from a list or from a range such as mon-fri."""
    if isinstance(value, str):
        first, dash, last = value.partition("-")
        if first in _DAYS and (last in _DAYS if dash else not last):
            begin = _DAYS.index(first)
            end = _DAYS.index(last) if dash else begin
            if begin <= end:
                return _DAYS[begin : end + 1]
    elif isinstance(value, list | tuple) and value and all(day in _DAYS for day in value):
        return tuple(day for day in _DAYS if day in value)
    raise ValueError(f"write mon-fri, or a list of {', '.join(_DAYS)}, got {value!r}")


def _parse_zone(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _ZONE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'not an offset from UTC: {value!r}; write for example "+01:00"')
    size = (60 * int(match[2]) + int(match[3])) * _MINUTE
    return -size if match[1] == "-" else size


def _format_zone(offset: int) -> str:
    minutes = abs(offset) // _MINUTE
    return f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


class People(Strict):
    """Employees who sign in during working hours, use tools with a token of their own, and mostly sign out."""

    count: Annotated[
        Count, Field(description="People in all tenants together, by the tenants' shares.", examples=[100])
    ]
    role: Annotated[Name, Field(description="The role that they are registered with; no agent has it.")] = (
        "employee"
    )
    level: Annotated[str, Field(description="The scope level that they work at.")] = "standard"
    hours: Annotated[
        Hours,
        PlainValidator(_parse_hours),
        PlainSerializer(_format_hours),
        WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d-\d\d:\d\d$", "examples": ["08:00-18:00"]}),
        Field(
            description="Working hours, local time: sessions begin within them, fewer around their middle."
        ),
    ] = Hours(8 * 60 * _MINUTE, 18 * 60 * _MINUTE)
    days: Annotated[
        tuple[str, ...],
        BeforeValidator(_parse_days),
        Field(description="Working days: mon-fri, or a list."),
    ] = _DAYS[:5]
    zone: Annotated[
        int,
        PlainValidator(_parse_zone),
        PlainSerializer(_format_zone),
        WithJsonSchema({"type": "string", "pattern": r"^[+-]\d\d:\d\d$", "examples": ["+01:00"]}),
        Field(description="Local time, as an offset from UTC."),
    ] = 0
    sessions: Annotated[
        float,
        Field(
            strict=True, ge=0, le=1000, description="Mean sessions of a person on a working day (Poisson)."
        ),
    ] = 6.0
    calls: Annotated[
        float, Field(strict=True, ge=1, le=1000, description="Mean number of tool calls of a session.")
    ] = 8.0
    gap: Annotated[Duration, Field(gt=0, description="Mean time between two calls of a session.")] = (
        20_000_000
    )
    tools: Annotated[
        dict[Tool, Annotated[tuple[Resource, ...], Field(min_length=1)]],
        Field(min_length=1, description="Each tool that they use, with the resources that it works on."),
    ] = Field(default_factory=lambda: dict(_TOOLS))

    @property
    def resources(self) -> frozenset[str]:
        """All resources that their tools work on."""
        return frozenset(name for names in self.tools.values() for name in names)

    def working_days(self, begin: int, end: int) -> Iterable[tuple[int, int]]:
        """Each local day that a span (microseconds since 1970, UTC) touches: its midnight, and 1 if it is worked on."""
        for day in range((begin + self.zone) // _DAY, (end + self.zone) // _DAY + 1):
            yield day * _DAY - self.zone, int(_DAYS[(day + _FIRST_DAY) % 7] in self.days)

    def is_anybody_at_work(self, begin: int, end: int) -> bool:
        """Whether any working hour lies within a span."""
        return any(
            worked and begin < midnight + self.hours.end and midnight + self.hours.begin < end
            for midnight, worked in self.working_days(begin, end)
        )
