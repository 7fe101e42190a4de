"""Finding every fault of an input in one reading.

Pydantic checks how fields fit together only where each of them is good, so the user would meet the faults one
layer at a time. Here what is bad is replaced by an example, or left out, and the rest is checked again.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agentsim.settings.faults import Fault, describe, walk
from agentsim.settings.strict import CheckedWith

_Model = TypeVar("_Model", bound=BaseModel)
_Keys = tuple[str | int, ...]
#: More than the layers of checks that can hide each other: fields, their model, the models that hold it.
_ROUNDS = 10


def validate(model: type[_Model], data: Mapping[str, Any]) -> tuple[_Model | None, list[Fault]]:
    """Return the model that the data make, or None and everything that is wrong with them."""
    found: dict[Fault, None] = {}
    mended: dict[str, Any] = copy.deepcopy(dict(data))
    touched: set[_Keys] = set()
    for _ in range(_ROUNDS):
        try:
            result = model.model_validate(mended)
        except ValidationError as exc:
            places = {walk(model, details["loc"])[0] for details in exc.errors()}
            if places <= touched:
                # What was left out is needed here: then its holder goes, too.
                places = {keys[:-1] for keys in places} - {()}
            if not places:
                break
            found.update(
                (fault, None) for fault in describe(model, exc) if not _caused_by_mending(fault, touched)
            )
            for keys in places:
                touched |= _mend(model, mended, keys)
        else:
            return (result, []) if not found else (None, list(found))
    return None, list(found)


def _caused_by_mending(fault: Fault, touched: set[_Keys]) -> bool:
    """Whether a fault is about something that was replaced or left out here, or that holds such a thing."""
    paths = {".".join(map(str, keys)) for keys in touched}
    return any(path == fault.path or path.startswith(f"{fault.path}.") for path in paths)


def _mend(model: type[BaseModel], data: dict[str, Any], keys: _Keys) -> set[_Keys]:
    """Replace by its example, or leave out, what the keys lead to; return the places that this changed."""
    changed = {keys}
    # A bad entry takes its list along: without it the others would be renumbered.
    while keys and isinstance(keys[-1], int):
        keys = keys[:-1]
    holder = _holder(data, keys) if keys else None
    if holder is not None:
        fields = walk(model, keys)[1]
        field = fields.get(str(keys[-1]))
        along = (
            [name for mark in field.metadata if isinstance(mark, CheckedWith) for name in mark.names]
            if field
            else []
        )
        for name in (keys[-1], *along):
            examples = fields[str(name)].examples if str(name) in fields else None
            if examples:
                holder[name] = copy.deepcopy(examples[0])
            else:
                holder.pop(name, None)
            changed.add((*keys[:-1], name))
    return changed | {keys}


def _holder(data: Any, keys: _Keys) -> dict[Any, Any] | None:
    """The mapping that holds the last of the keys, or None where the data do not have it."""
    for key in keys[:-1]:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data if isinstance(data, dict) else None
