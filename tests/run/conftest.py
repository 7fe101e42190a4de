import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentsim.run import Manifest, Run, RunWriter, TenantEntry
from agentsim.tables import make_table

BEGAN = 1_780_000_000_000_000


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Makes small Runs: two agents and a person, two grants of which one was refreshed, a fill among three audit rows."""

    def make(path: Path, *, finished: bool = True, **told: Any) -> Run:
        about = {
            "kind": "simulation",
            "name": "story",
            "source": {},
            "policy": {},
            "reproduce": "agentsim simulate story.yaml",
            "created_at": "2026-01-01T00:00:00+00:00",
        }
        with RunWriter(path, Manifest(**(about | told)), fresh=True) as writer:
            classes = {"tenant": [0] * 3, "client_id": [1, 2, 3], "actor_class": ["agent", "agent", "human"]}
            writer.write("agents", 0, make_table("agents", 3, classes))
            tokens = {"tenant": [0] * 3, "token_id": [7, 8, 9], "grant_id": [7, 8, 8]}
            writer.write("tokens", 0, make_table("tokens", 3, tokens))
            events = ["token_issued", "token_verified", "token_ended"]
            audit = {"tenant": [0] * 3, "log_id": [1, 2, 3], "event_type": events, "status": ["granted"] * 3}
            writer.write("audit", 0, make_table("audit", 3, audit))
            writer.finish_tenant(0, TenantEntry(audit_head="", audit_rows=3, end=BEGAN + 5_000_000))
            if finished:
                return writer.finish(start=BEGAN, wall_seconds=2.5)
        return Run(path)

    return make


@pytest.fixture
def rewrite_manifest() -> Callable[..., None]:
    """Change what a manifest says, as another version would have written it."""

    def change(run: Run, **told: Any) -> None:
        file = run.path / "manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"sha256": None} | told))

    return change
