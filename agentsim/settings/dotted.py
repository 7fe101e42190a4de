"""Keys that say their place by dots, ``policy.access_ttl`` or ``attacks.0.stealth``: one value changed or found."""

import copy
from collections.abc import Mapping
from typing import Any

from agentsim.settings.faults import Fault


def lay(data: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Values laid upon settings, each at the place that its key names.

    Parameters
    ----------
    data : plain settings: mappings, lists and what is in them.
    values : by key. Entries of a list are named by their number, from 0; the next number adds one. Mappings that are
        missing on the way are made.

    Returns
    -------
    The changed copy, and each key that has no place in it.
    """
    laid = copy.deepcopy(dict(data))
    found = []
    # Whole parts first: they would take along what was changed in them.
    for key in sorted(values, key=lambda key: key.count(".")):
        try:
            _put(laid, key.split("."), copy.deepcopy(values[key]))
        except ValueError as exc:
            found.append(Fault(key, str(exc)))
    return laid, found


def find(data: Any, key: str) -> Any:
    """The value at a key's place; None where there is none."""
    for part in key.split("."):
        try:
            data = data[_place(data, part)]
        except (KeyError, ValueError):
            return None
    return data


def _put(holder: Any, parts: list[str], value: Any) -> None:
    *above, last = parts
    for part in above:
        place = _room(holder, part)
        if holder[place] is None:
            holder[place] = {}
        holder = holder[place]
    holder[_room(holder, last)] = value


def _room(holder: Any, part: str) -> Any:
    """A place that is there, possibly made for it."""
    if isinstance(holder, list) and part == str(len(holder)):
        holder.append(None)
    place = _place(holder, part)
    if isinstance(holder, dict):
        holder.setdefault(place, None)
    return place


def _place(holder: Any, part: str) -> Any:
    if isinstance(holder, dict):
        return part
    if not isinstance(holder, list):
        raise ValueError(f"there is no {part!r}: what holds it is the single value {holder!r}")
    if not part.isdecimal():
        raise ValueError(f"there is no {part!r} in a list: its entries are named by numbers, from 0")
    if int(part) >= len(holder):
        raise ValueError(f"there is no entry {part}: the list has {len(holder)}")
    return int(part)
