"""Every command with its arguments and options, as its help has them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from typer.core import TyperGroup
from typer.main import get_command

from agentsim.cli.app import app
from agentsim.cli.reference.markdown import code, codes, prose, table

_NUMBERS = {int: "whole number", float: "number"}


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and all below it, each with its full name, groups before what is in them."""
    yield name, command
    if isinstance(command, TyperGroup):
        for below, each in command.commands.items():
            yield from _walk(each, f"{name} {below}")


def commands() -> str:
    """A section for each command of agentsim."""
    return sections(get_command(app))


def overview() -> str:
    """A row for each command of agentsim."""
    return overview_of(get_command(app))


def sections(program: Any) -> str:
    """A section for each command, groups before what is in them."""
    _, *below = _walk(program, "agentsim")
    return "\n\n".join(_section(name, each) for name, each in below)


def overview_of(program: Any) -> str:
    """A row for each command that is no group, with the first paragraph of its help."""
    rows = [
        (_link(name, name.removeprefix("agentsim ")), prose(each.help).partition("\n\n")[0])
        for name, each in _walk(program, "agentsim")
        if not isinstance(each, TyperGroup)
    ]
    return table(("command", "does"), rows)


def _section(name: str, command: Any) -> str:
    parts = [f"## {name}", prose(command.help)]
    if isinstance(command, TyperGroup):
        parts.append(f"Commands: {', '.join(_link(f'{name} {below}', below) for below in command.commands)}.")
    else:
        parts.append(f"    {_usage(name, command)}")
        if command.params:
            rows = [(_names(each), _takes(each), _default(each), each.help) for each in command.params]
            parts.append(table(("argument or option", "takes", "default", "meaning"), rows))
        parts += [prose(command.epilog)] if command.epilog else []
    return "\n\n".join(parts)


def _link(name: str, shown: str) -> str:
    return f"[{shown}](#{name.replace(' ', '-')})"


def _usage(name: str, command: Any) -> str:
    places = [_place(each) for each in command.params if each.param_type_name == "argument"]
    options = len(places) < len(command.params)
    return " ".join([name, *(["[OPTIONS]"] if options else []), *places])


def _place(argument: Any) -> str:
    text = (argument.metavar or argument.name.upper()).strip("[]")
    return text if argument.required else f"[{text}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code(_place(parameter))
    names = codes(sorted([*parameter.opts, *parameter.secondary_opts]))
    return f"{names}, required" if parameter.required else names


def _takes(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    kinds = _kinds(parameter.type_descriptor.annotation)
    chosen = [choice for kind in kinds for choice in _choices(kind)]
    number = next((_NUMBERS[kind] for kind in kinds if kind in _NUMBERS), "")
    bounds = [f"at least {parameter.min}"] if parameter.min is not None else []
    bounds += [f"at most {parameter.max}"] if parameter.max is not None else []
    several = ["several times"] if getattr(parameter, "multiple", False) else []
    named = parameter.metavar if parameter.param_type_name == "option" else None
    return ", ".join([*filter(None, [codes(chosen), code(named or ""), number]), *bounds, *several])


def _kinds(annotation: Any) -> list[Any]:
    """The plain types of an annotation, those in lists and unions too."""
    if get_origin(annotation) in (Union, UnionType, list, tuple):
        return [kind for each in get_args(annotation) for kind in _kinds(each)]
    return [] if annotation in (NoneType, Ellipsis) else [annotation]


def _choices(kind: Any) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [each.value for each in kind]
    return list(get_args(kind)) if get_origin(kind) is Literal else []


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if value is None or value is False or value == () or value == [] or not parameter.show_default:
        return ""
    if value is True:
        return code(parameter.opts[0])
    return codes(value) if isinstance(value, list | tuple) else code(value)
