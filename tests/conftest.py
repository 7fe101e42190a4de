"""What all rooms' tests share."""

import os
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL: ``AGENTSIM_TEST_POSTGRES``, or one of the tests' own (one for each test process)."""
    if named := os.environ.get("AGENTSIM_TEST_POSTGRES"):
        yield named
        return
    # A session of its own: an interrupt from the keyboard is for the tests, and reaches it as the end of its input.
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("postgres.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    if url := server.stdout.readline().strip():
        yield url
        _, errors = server.communicate()
        assert server.returncode == 0, errors
    else:
        _, errors = server.communicate()
        pytest.skip(f"no PostgreSQL: {errors.strip()}")
