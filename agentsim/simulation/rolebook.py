"""All roles that there are without a scenario, built in or installed, and how they are told to people."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from agentsim.settings import faults
from agentsim.settings.durations import UNITS, format_duration
from agentsim.settings.faults import Fault, SettingsError
from agentsim.settings.plugins import installed, is_path
from agentsim.settings.yamlfile import format_yaml
from agentsim.simulation.role import Role
from agentsim.simulation.roleclass import GROUP
from agentsim.simulation.roles import ROLES


def known_roles() -> dict[str, Role]:
    """Every built-in role, then every installed one, by name.

    Raises
    ------
    SettingsError
        If a class that is installed as a role cannot be used.
    """
    return {name: find_role(name) for name in (*ROLES, *installed(GROUP))}


def find_role(name: str) -> Role:
    """A role by the name of a built-in one, of an entry point, or of a class ``package.module:Class``.

    Raises
    ------
    SettingsError
        If there is none, or the class cannot be used.
    """
    if name not in ROLES and not is_path(name) and name not in installed(GROUP):
        text = f"no such role: {name!r}; {faults.suggestion(name, (*ROLES, *installed(GROUP)))}"
        raise SettingsError("roles", [Fault("", text)])
    try:
        return Role.model_validate(ROLES.get(name, {"class": name}))
    except ValidationError as error:
        raise SettingsError(name, faults.describe(Role, error)) from error


def role_data(name: str) -> dict[str, Any]:
    """A role as plain data, without what is as it is by default."""
    return find_role(name).model_dump(mode="json", exclude_defaults=True)


def role_yaml(name: str) -> str:
    """A role as a scenario holds it; a class is named after itself."""
    own = name.rpartition(":")[2].rpartition(".")[2]
    return format_yaml({"roles": {own: role_data(name)}})


def describe(name: str, role: Role) -> dict[str, Any]:
    """One line about a role, for people and for programs."""
    lasts = round(role.steps * (role.gap + role.call))
    return {
        "name": name,
        "does": role.summary,
        "tools": len(role.tools),
        "calls": role.steps,
        "lasts": format_duration(_rounded(lasts)),
        "fanout": role.fanout,
        "children": ", ".join(role.child_roles) if role.fanout else "",
        "level": role.level,
        "starts": f"every {format_duration(role.every)}" if role.every else "at any time",
    }


def _rounded(time: int) -> int:
    """A time in whole seconds, and in whole minutes where it is long."""
    unit = UNITS["m"] if time > UNITS["h"] / 6 else UNITS["s"]
    return round(time / unit) * unit
