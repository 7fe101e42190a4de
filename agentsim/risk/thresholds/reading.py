"""Reading a file of thresholds: all its faults at once, and none that has expired is worked with."""

from __future__ import annotations

import datetime
from pathlib import Path

from agentsim.risk.thresholds.file import ThresholdFile
from agentsim.settings.faults import Fault, SettingsError
from agentsim.settings.mending import validate
from agentsim.settings.yamlfile import read_yaml


def read_thresholds(path: Path) -> ThresholdFile:
    """Read a file of thresholds, expired or not.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    """
    data = read_yaml(path)
    if not isinstance(data, dict) or "thresholds" not in data:
        raise SettingsError(path, [Fault("", "not a file of thresholds; 'agentsim tune' makes one")])
    if isinstance(written := data.get("schema"), int) and written > 1:
        raise SettingsError(
            path, [Fault("schema", f"written in format {written}, this version reads 1; update agentsim")]
        )
    file, faults = validate(ThresholdFile, data)
    if file is None:
        raise SettingsError(path, faults)
    return file


def load_thresholds(path: Path, today: datetime.date | None = None) -> ThresholdFile:
    """Read a file of thresholds to work with.

    Parameters
    ----------
    today : the day; that of the clock when None.

    Raises
    ------
    SettingsError
        With everything that is wrong, each fault with its path.
    ThresholdError
        If it has expired.
    """
    file = read_thresholds(path)
    file.require_valid(path, today or datetime.date.today())
    return file
