"""What people write in YAML: every key of a scenario, a policy and other files, with what it takes and its default."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agentsim.cli.reference.markdown import code, prose, table
from agentsim.cli.reference.takes import takes

_NOTHING: Mapping[type[BaseModel], str] = MappingProxyType({})


class _Part(NamedTuple):
    """A model, and where it stands in the file: keys, ``N`` for a place in a list and ``NAME`` for any name."""

    path: str
    #: The key and value that tell it from others at the same place; empty where there is one.
    told_by: str
    model: type[BaseModel]


def scenario() -> str:
    """All keys of a scenario but those of its policy and of its roles, which have pages of their own."""
    from agentsim.settings.policy import PolicySettings
    from agentsim.simulation.role import Role
    from agentsim.simulation.scenario import Scenario

    return sections(Scenario, {PolicySettings: "policies.md#all-keys", Role: "roles.md#all-keys"})


def role() -> str:
    """All keys of a role."""
    from agentsim.simulation.role import Role

    return sections(Role)


def policy() -> str:
    """All keys of a policy."""
    from agentsim.settings.policy import PolicySettings

    return sections(PolicySettings)


def sweep() -> str:
    """All keys of a sweep."""
    from agentsim.experiments.sweep.settings import SweepSettings

    return sections(SweepSettings)


def costs() -> str:
    """All keys of a file of costs."""
    from agentsim.risk.thresholds.policy import Costs

    return sections(Costs)


def thresholds() -> str:
    """All keys of a file of thresholds."""
    from agentsim.risk.thresholds.file import ThresholdFile
    from agentsim.risk.thresholds.policy import Costs

    return sections(ThresholdFile, {Costs: "#costs"})


def suppressions() -> str:
    """All keys of a file of suppressions."""
    from agentsim.risk.suppressions import Suppressions

    return sections(Suppressions)


def sections(model: type[BaseModel], elsewhere: Mapping[type[BaseModel], str] = _NOTHING) -> str:
    """A section for a model, and one for each that stands in it; those told elsewhere are linked."""
    _, *parts = _parts(_Part("", "", model), elsewhere, {model})
    links = {each.model: _link(each, f"#{_anchor(_title(each))}") for each in parts}
    links |= {each: f"[keys]({link})" for each, link in elsewhere.items()}
    sections = [keys(model, links)]
    sections += [f"### {_title(each)}\n\n{_says(each.model)}\n\n{keys(each.model, links)}" for each in parts]
    return "\n\n".join(sections)


def _parts(
    part: _Part, elsewhere: Mapping[type[BaseModel], str], seen: set[type[BaseModel]]
) -> Iterator[_Part]:
    yield part
    for name, field in part.model.model_fields.items():
        place = f"{part.path}.{field.alias or name}".lstrip(".")
        for steps, model in _models(_written(field)):
            if model in seen or model in elsewhere:
                continue
            seen.add(model)
            told = _told_by(model) or part.told_by
            yield from _parts(_Part(place + steps, told, model), elsewhere, seen)


def _models(annotation: Any, steps: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The models in an annotation, each with the steps of a path that lead to it."""
    if isinstance(annotation, type) and not get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield steps, annotation
        return
    arguments = get_args(annotation)
    origin = getattr(annotation, "__origin__", None)
    step = {tuple: ".N", list: ".N", dict: ".NAME"}.get(origin, "")  # type: ignore[arg-type]
    for each in arguments[-1:] if origin is dict else arguments:
        yield from _models(each, steps + step)


def _written(field: FieldInfo) -> Any:
    """The type of what a file may hold; a validator that makes something else of it tells the type."""
    told = (getattr(mark, "json_schema_input_type", PydanticUndefined) for mark in field.metadata)
    return next((kind for kind in told if kind is not PydanticUndefined), field.annotation)


def _told_by(model: type[BaseModel]) -> str:
    """The key that tells a workload from others, with its value where there is one."""
    if "preset" in model.model_fields:
        return "preset"
    field = model.model_fields.get("executor")
    return f"executor: {get_args(field.annotation)[0]}" if field else ""


def _title(part: _Part) -> str:
    return code(part.path) + (f" with {code(part.told_by)}" if part.told_by else "")


def _link(part: _Part, link: str) -> str:
    return f"[{code(part.told_by or part.path)}]({link})"


def _anchor(title: str) -> str:
    kept = (letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


def _says(model: type[BaseModel]) -> str:
    return prose((inspect.getdoc(model) or "").partition("\n\n")[0])


def keys(model: type[BaseModel], links: Mapping[type[BaseModel], str] = _NOTHING) -> str:
    """A table of a model's keys; ``links`` lead to where the models among their values are told."""
    named = {each.__name__: link for each, link in links.items()}
    rows = [
        (code(field.alias or name), takes(_schema(field), named), _default(field), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return table(("key", "takes", "default", "meaning"), rows)


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    return TypeAdapter(field.rebuild_annotation())


def _schema(field: FieldInfo) -> dict[str, Any]:
    return _adapter(field).json_schema(by_alias=True)


def _default(field: FieldInfo) -> str:
    """As a file would have it; nothing for an empty one, and for a mapping, whose keys have their own."""
    if field.is_required():
        return "required"
    value, again = (field.get_default(call_default_factory=True) for _ in range(2))
    if value != again:
        return "drawn"
    if isinstance(value, BaseModel):
        return ""
    written = _adapter(field).dump_python(value, mode="json")
    if isinstance(written, str):
        return code(written)
    return "" if written in (None, [], {}, ()) and written is not False else code(json.dumps(written))
