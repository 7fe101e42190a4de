"""Marks: what has been revoked, as sets that a lineage is held against.

A grant or task mark ends whatever carries its key, for good. A client or principal mark ends what was issued
before it: ids are time-ordered, so an older grant has the smaller id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentsim.server.lineage import Lineage, principal_key

KINDS = ("grant", "grant_only", "task", "client", "principal")
#: The reason that says a task came to its end rather than being stopped.
COMPLETED = "completed"


@dataclass(slots=True)
class MarkIndex:
    """Marks by kind and key; a value is (revocation_id, reason)."""

    by_kind: dict[str, dict[int, tuple[int, str]]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    #: The newest mark in the index.
    newest: int = 0
    #: Of marks whose rows are all filled in: how many grants each ended.
    closed: dict[int, int] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row of ``revocations`` in."""
        mark = (row["revocation_id"], row["reason"])
        marks = self.by_kind[row["kind"]]
        # The newest stands, in whatever order they come.
        marks[row["key"]] = max(mark, marks.get(row["key"], mark))
        self.newest = max(self.newest, row["revocation_id"])
        if row["closure"] == "closed":
            self.closed[row["revocation_id"]] = row["affected_grants"]

    def knows(self, row: Mapping[str, Any]) -> bool:
        """Whether this very row of ``revocations`` stands in the index."""
        standing = self.by_kind[row["kind"]].get(row["key"])
        return standing is not None and standing[0] == row["revocation_id"]

    def forget(self, kind: str, key: int, revocation_id: int) -> None:
        """A mark has gone that can end nothing any more; a newer one on the same key stands."""
        marks = self.by_kind[kind]
        if key in marks and marks[key][0] == revocation_id:
            del marks[key]
        self.closed.pop(revocation_id, None)

    def ended_by(self, lineage: Lineage, owner: str, principal: str) -> int | None:
        """The revocation that ended a grant, or None while it is active."""
        grants, tasks, clients = self.by_kind["grant"], self.by_kind["task"], self.by_kind["client"]
        for grant, client, task in lineage:
            if grant in grants:
                return grants[grant][0]
            if task in tasks:
                return tasks[task][0]
            if client in clients and clients[client][0] > grant:
                return clients[client][0]
        own = self.by_kind["grant_only"].get(lineage[-1][0])
        if own is not None:
            return own[0]
        if principals := self.by_kind["principal"]:
            mark = principals.get(principal_key(owner, principal))
            if mark is not None and mark[0] > lineage[0][0]:
                return mark[0]
        return None

    def task_status(self, key: int) -> str:
        """``active``, ``completed`` or ``terminated``."""
        mark = self.by_kind["task"].get(key)
        if mark is None:
            return "active"
        return "completed" if mark[1] == COMPLETED else "terminated"
