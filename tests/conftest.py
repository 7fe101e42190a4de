"""What all rooms' tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def traces_folder() -> Path:
    """The folder of real agent traces: ``AGENTSIM_TRACES``, or beside the repository."""
    folder = Path(os.environ.get("AGENTSIM_TRACES", ROOT / "../shared/data/agent-traces"))
    if not folder.is_dir():
        pytest.skip(f"no real traces at {folder}; set AGENTSIM_TRACES")
    return folder
