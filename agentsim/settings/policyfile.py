"""A policy of its own in a YAML file: the same words as under ``policy:`` in a scenario."""

from pathlib import Path

from agentsim.server.policy import Policy
from agentsim.settings.faults import Fault, SettingsError
from agentsim.settings.mending import validate
from agentsim.settings.policy import PolicySettings
from agentsim.settings.yamlfile import read_yaml


def load_policy(path: Path) -> Policy:
    """Read a policy.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    """
    data = read_yaml(path)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SettingsError(path, [Fault("", "a policy is a mapping of names to values")])
    settings, faults = validate(PolicySettings, data)
    if settings is None:
        raise SettingsError(path, faults)
    return settings.server_policy()
