"""All that is wrong with a file of settings, at once: each fault with its path and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from agentsim.errors import UserError

#: Characters that are told of a fault, and of its place.
_LONGEST = 1_000


class Fault(NamedTuple):
    """One fault: the path of its key, empty where it is the whole file, and what is wrong."""

    path: str
    message: str

    def __str__(self) -> str:
        # Both may quote what was written, which may be anything.
        path, message = _shortened(self.path), _shortened(self.message)
        return f"{path}: {message}" if path else message


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class SettingsError(UserError):
    """A scenario or a policy cannot be used; ``faults`` holds everything that is wrong with it."""

    def __init__(self, source: Path | str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        count = len(self.faults)
        told = _shortened(str(source))
        if count == 1:
            text = f"{told}: {self.faults[0]}"
        else:
            text = "\n  ".join([f"{told}: {count} faults", *map(str, self.faults)])
        super().__init__(text)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions travel between processes by their arguments, which here are not the message.
        return type(self), (self.source, self.faults)


def describe(model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """Every fault of a validation, in plain words, without doubles."""
    found = error.errors(include_url=False)
    return list(dict.fromkeys(_describe(model, details) for details in found if not _follows(details, found)))


def _follows(details: ErrorDetails, others: Iterable[ErrorDetails]) -> bool:
    """Whether a list is called too short only because pydantic does not count its bad entries."""
    place = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in others
    )


def suggestion(word: object, known: Iterable[str]) -> str:
    """What may have been meant by an unknown word."""
    names = sorted(known)
    close = get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(names)}" if names else "nothing is known here"


#: Message per kind of pydantic's errors; {value} is what was given.
_MESSAGES = {
    "missing": "required, but missing",
    "greater_than_equal": "must be at least {ge}, got {value}",
    "greater_than": "must be more than {gt}, got {value}",
    "less_than_equal": "must be at most {le}, got {value}",
    "less_than": "must be less than {lt}, got {value}",
    "int_type": "must be a whole number, got {value}",
    "int_from_float": "must be a whole number, got {value}",
    "float_type": "must be a number, got {value}",
    "finite_number": "must be a finite number, got {value}",
    "string_type": "must be text, got {value}",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false, got {value}",
    "bool_parsing": "must be true or false, got {value}",
    "dict_type": "must be a mapping of keys to values, got {value}",
    "model_type": "must be a mapping of keys to values, got {value}",
    "model_attributes_type": "must be a mapping of keys to values, got {value}",
    "tuple_type": "must be a list, got {value}",
    "too_short": "needs at least {min_length}, got {actual_length}",
    "string_pattern_mismatch": "must match {pattern}, got {value}",
    "timezone_aware": "needs its time zone, for example 2026-01-01T00:00:00Z, got {value}",
    "fault": "{text}",
}
#: Durations are held as microseconds: a limit on them must not be told as a bare number.
_POSITIVE = "must be longer than nothing, got {value}"


def _describe(model: type[BaseModel], details: ErrorDetails) -> Fault:
    kind, value = details["type"], details["input"]
    context = {key: f"{v:g}" if isinstance(v, float) else v for key, v in details.get("ctx", {}).items()}
    keys, fields = walk(model, details["loc"])
    path = ".".join(map(str, keys))
    if kind == "extra_forbidden":
        return Fault(path, f"unknown key; {suggestion(keys[-1], fields)}")
    if kind == "value_error":
        return Fault(path, str(context["error"]))
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        return Fault(f"{path}.executor", f"got {context['tag']!r}; {suggestion(context['tag'], tags)}")
    if kind == "union_tag_not_found":
        return Fault(f"{path}.executor", "required: constant-arrival-rate or another one, or a preset")
    if kind == "literal_error":
        return Fault(path, f"must be {context['expected']}, got {value!r}")
    template = _MESSAGES.get(kind, "")
    if kind == "greater_than" and isinstance(value, str):
        template = _POSITIVE
    if not template:
        return Fault(path, f"{details['msg'][:1].lower()}{details['msg'][1:]}, got {_shown(value)}")
    return Fault(path, template.format(value=_shown(value), **context))


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, Mapping) else "a mapping"
    if value is None:
        return "nothing"
    return text if len(text) <= 80 else f"{text[:77]}..."


def walk(
    model: type[BaseModel], location: tuple[str | int, ...]
) -> tuple[tuple[str | int, ...], dict[str, FieldInfo]]:
    """Follow a location of pydantic's through a model.

    Returns
    -------
    The file's own keys (pydantic adds the tag of a union and a mark at a mapping's key, which are none), and the
    fields known where the last key stands.
    """
    keys: list[str | int] = []
    known: dict[str, FieldInfo] = {}
    annotation: Any = model
    for part in location:
        choices = _models(annotation)
        tagged = [choice for choice in choices if len(choices) > 1 and part in _tags(choice)]
        if tagged:
            annotation = tagged[0]
        elif part != "[key]":
            keys.append(part)
            known = {
                field.alias or name: field for model in choices for name, field in model.model_fields.items()
            }
            field = known.get(str(part))
            annotation = _written(field) if field else _element(annotation)
    return tuple(keys), known


def _written(field: FieldInfo) -> Any:
    """The type of what a file may hold in a field; a validator that makes something else of it tells the type."""
    told = (getattr(mark, "json_schema_input_type", PydanticUndefined) for mark in field.metadata)
    return next((kind for kind in told if kind is not PydanticUndefined), field.annotation)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return [model for argument in get_args(annotation) for model in _models(argument)]
    return []


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("executor")
    return get_args(field.annotation) if field else ()


def _element(annotation: Any) -> Any:
    """What a list's entries or a mapping's values are."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _element(arguments[0])
    if origin in (Union, UnionType):
        return next((found for found in map(_element, arguments) if found is not None), None)
    if origin is dict:
        return arguments[1]
    return arguments[0] if origin is tuple else None
