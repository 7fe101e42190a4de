"""A world small enough to see through: grants, what was done with them, and who was attacked."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agentsim.run import Manifest, Run, RunWriter, TenantEntry
from agentsim.tables import SCHEMAS


class World:
    """Collects audit rows by hand, one second apart, and writes them as a Run."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in SCHEMAS}
        self._ids = itertools.count(1000)
        self._clock = itertools.count(1_000_000, 1_000_000)
        self.owner_of: dict[int, int] = {}
        self.root_of: dict[int, int] = {}
        self.role_of: dict[int, str] = {}

    def agent(self, role: str, name: str = "someone") -> int:
        client = next(self._ids)
        self.role_of[client] = role
        self.rows["agents"].append({"tenant": 0, "client_id": client, "role": role, "agent_name": name})
        return client

    def grant(
        self,
        role: str = "worker",
        *,
        task: str = "",
        tools: tuple[str, ...] = ("read", "send"),
        resources: tuple[str, ...] = ("mail",),
        parent: int | None = None,
        client: int | None = None,
        at: int | None = None,
    ) -> int:
        owner = self.agent(role) if client is None else client
        grant = next(self._ids)
        self.owner_of[grant] = owner
        self.root_of[grant] = grant if parent is None else self.root_of[parent]
        self.rows["tokens"].append(
            {
                "tenant": 0,
                "token_id": grant,
                "grant_id": grant,
                "parent_grant_id": parent,
                "root_grant_id": self.root_of[grant],
                "client_id": owner,
                "task_description": task,
            }
        )
        self._audit(
            "token_issued" if parent is None else "child_token_issued",
            grant,
            {"tools": list(tools), "resources": list(resources), "task": task},
            parent_grant_id=parent,
            at=at,
        )
        return grant

    def verify(
        self, grant: int, *tools: str, resource: str = "mail", at: int | None = None, **more: Any
    ) -> None:
        details = {"tools": list(tools), "resources": [resource], "caller": more.pop("caller", None)}
        self._audit("token_verified", grant, details, at=at, **more)

    def execute(self, grant: int, tool: str, outcome: str = "success") -> None:
        self._audit("task_execution", grant, {"tool": tool, "outcome": outcome})

    def event(self, kind: str, grant: int | None, details: dict[str, Any] | None = None, **more: Any) -> None:
        self._audit(kind, grant, details or {}, **more)

    def label(self, grant: int | None, label: int = 1, **more: Any) -> None:
        self.rows["labels"].append({"tenant": 0, "grant_id": grant, "label": label, **more})

    def write(self, path: Path, *, timing: bool = True, kind: str = "simulation") -> Run:
        manifest = Manifest(
            kind=kind,
            name="world",
            source={"timing": timing},
            policy={},
            reproduce="by hand",
            created_at="now",
        )
        with RunWriter(path, manifest) as writer:
            for table, rows in self.rows.items():
                writer.write(table, 0, pa.Table.from_pylist(rows, schema=SCHEMAS[table]))
            writer.finish_tenant(0, TenantEntry(audit_head="", audit_rows=0, end=next(self._clock)))
            return writer.finish(start=0, wall_seconds=0.0)

    def _audit(
        self, kind: str, grant: int | None, details: dict[str, Any], *, at: int | None = None, **more: Any
    ) -> None:
        reason = more.pop("reason", None)
        row = {
            "tenant": 0,
            "log_id": next(self._ids),
            "chain": 0,
            "client_id": None if grant is None else self.owner_of.get(grant),
            "grant_id": grant,
            "root_grant_id": None if grant is None else self.root_of.get(grant),
            "event_type": kind,
            "timestamp": next(self._clock) if at is None else at,
            "status": "granted" if reason is None else "refused",
            "reason": reason,
            "details": json.dumps(details),
        }
        self.rows["audit"].append(row | more)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def new_world() -> Callable[[], World]:
    return World
