"""A policy in a YAML file of its own: read alone by the server, or extended by a scenario."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentsim.server.policy import Policy
from agentsim.settings.faults import Fault, SettingsError
from agentsim.settings.mending import validate
from agentsim.settings.policy import PolicySettings
from agentsim.settings.yamlfile import read_yaml

#: Under ``policy:`` of a scenario: the policy file that the other keys there are laid upon.
EXTENDS = "extends"


def load_policy(path: Path) -> Policy:
    """Read a policy.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    """
    return load_settings(path).server_policy()


def load_settings(path: Path) -> PolicySettings:
    """Read a policy as it is written.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    """
    settings, faults = validate(PolicySettings, _read(path))
    if settings is None:
        raise SettingsError(path, faults)
    return settings


def extended(policy: Any, folder: Path) -> Any:
    """What stands under ``policy:`` in a scenario, laid upon the file that it extends.

    Parameters
    ----------
    policy : as YAML has it; what extends nothing comes back as it is. Mappings are merged, all else replaces.
    folder : where the scenario is: the file is named from there.

    Raises
    ------
    SettingsError
        If the file cannot be used, with everything that is wrong with it.
    """
    if not isinstance(policy, Mapping) or EXTENDS not in policy:
        return policy
    name = policy[EXTENDS]
    if not isinstance(name, str):
        raise SettingsError("scenario", [Fault(f"policy.{EXTENDS}", "must name a policy file")])
    path = folder / name
    load_settings(path)
    own = {key: value for key, value in policy.items() if key != EXTENDS}
    return _merged(_read(path), own)


def schema() -> dict[str, Any]:
    """The JSON Schema of policy files (draft 2020-12)."""
    made = PolicySettings.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "agentsim policy"}


def _read(path: Path) -> dict[str, Any]:
    data = read_yaml(path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(path, [Fault("", "a policy is a mapping of names to values")])
    return data


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}
