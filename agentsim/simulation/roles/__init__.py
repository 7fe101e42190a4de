"""The built-in roles, one YAML file each, written as a scenario writes them under ``roles``.

The figures are plausible, not measured: calls take about a second, thinking ten times that, where the role itself
does not say why it should be otherwise; a tool call fails about once in twelve, as in public traces of agents
(5 to 11 %). ``agentsim calibrate`` makes roles whose figures are measured.
"""

from importlib.resources import files
from typing import Any

import yaml

# The fast loader is not in every build of PyYAML; both are safe and read the same.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read() -> dict[str, dict[str, Any]]:
    found = sorted(
        (entry.name.removesuffix(".yaml"), entry)
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".yaml")
    )
    return {name: yaml.load(entry.read_bytes(), Loader=_LOADER) for name, entry in found}  # noqa: S506


ROLES = _read()
"""Role name to the fields of :class:`agentsim.simulation.role.Role`."""
