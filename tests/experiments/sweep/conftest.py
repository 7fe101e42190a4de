from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

SCENARIO = {
    "schema": 1,
    "name": "small",
    "seed": 5,
    "population": {"agents": 30},
    "workload": {"executor": "constant-arrival-rate", "duration": "3m"},
    "attacks": [{"kind": "token_theft", "prevalence": 0.3, "stealth": 0}],
}


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """The scenario that is swept."""
    return SCENARIO


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sweep of a small scenario; keyword arguments are its parts."""

    def make(name: str = "story.yaml", **parts: Any) -> Path:
        path = tmp_path / name
        text = yaml.safe_dump({"schema": 1, "name": "story", "scenario": SCENARIO, **parts}, sort_keys=False)
        path.write_text(text)
        return path

    return make
