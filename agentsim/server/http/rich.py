"""Authorization details (RFC 9396) of type ``agent_task``: tools as actions, resources as locations, the task named.

{"type": "agent_task", "identifier": "review-7", "actions": ["file_read"], "locations": ["github"],
"privileges": ["restricted"], "budget": 100}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from agentsim.server import scopes
from agentsim.server.errors import InvalidAuthorizationDetails

_Value = TypeVar("_Value")
TYPE = "agent_task"
MOST_OBJECTS = 100
_LISTS = ("actions", "locations", "privileges")
_MEMBERS = frozenset(("type", "identifier", "budget", *_LISTS))


@dataclass(frozen=True, slots=True)
class AskedDetails:
    """What the objects ask for together."""

    scope: str
    tools: list[str]
    resources: list[str]
    task_id: str | None
    level: str | None
    budget: int | None


def read_details(value: str | Sequence[Any]) -> AskedDetails:
    """What ``authorization_details`` ask for: JSON text in a form, a list in JSON.

    Raises
    ------
    InvalidAuthorizationDetails
        Malformed, of another type, with unknown members, or naming more than one task or level (RFC 9396 section 5).
    InvalidScope
        If a tool or resource is not one.
    """
    objects = _objects(value)
    tools: list[str] = []
    resources: list[str] = []
    scope = ""
    for details in objects:
        actions, locations = details.get("actions", []), details.get("locations", [])
        product = scopes.product(scopes.canonical_tools(actions), scopes.canonical_resources(locations))
        scope = scopes.union(scope, product)
        tools += actions
        resources += locations
    return AskedDetails(
        scope=scope,
        tools=sorted(set(tools)),
        resources=sorted(set(resources)),
        task_id=_only(
            "identifier", {details["identifier"] for details in objects if "identifier" in details}
        ),
        level=_only("privileges", {level for details in objects for level in details.get("privileges", [])}),
        budget=_only("budget", {details["budget"] for details in objects if "budget" in details}),
    )


def _objects(value: str | Sequence[Any]) -> list[dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise _fault("authorization_details is not JSON") from None
    if not isinstance(value, list) or not 0 < len(value) <= MOST_OBJECTS:
        raise _fault(f"authorization_details must be an array of 1 to {MOST_OBJECTS} objects")
    for details in value:
        _check(details)
    return value


def _check(details: Any) -> None:
    if not isinstance(details, dict) or not isinstance(details.get("type"), str):
        raise _fault("each of the authorization_details must be an object with a type")
    if details["type"] != TYPE:
        raise _fault("unknown type of authorization_details", asked=details["type"][:80], allowed=[TYPE])
    unknown = sorted(details.keys() - _MEMBERS)
    if unknown:
        raise _fault("unknown members", asked=[name[:80] for name in unknown[:20]], allowed=sorted(_MEMBERS))
    if not isinstance(details.get("identifier", ""), str):
        raise _fault("identifier must be a string: the task's id")
    if type(details.get("budget", 0)) is not int:
        raise _fault("budget must be a whole number of units")
    for name in _LISTS:
        names = details.get(name, [])
        if not isinstance(names, list) or not all(isinstance(member, str) for member in names):
            raise _fault(f"{name} must be an array of strings")


def _only(name: str, found: set[_Value]) -> _Value | None:
    if len(found) > 1:
        raise _fault(f"one token has one of {name}", asked=sorted(str(member)[:80] for member in found)[:20])
    return found.pop() if found else None


def _fault(description: str, *, asked: Any = None, allowed: Any = None) -> InvalidAuthorizationDetails:
    return InvalidAuthorizationDetails(
        "invalid_authorization_details", description, asked=asked, allowed=allowed
    )
