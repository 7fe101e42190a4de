"""States of grants, trees and agents as audit rows come: the online twin of :func:`agentsim.risk.folding.fold`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from agentsim.risk.identities import plain_name
from agentsim.risk.states import KINDS, EntityKind
from agentsim.server.history import DOINGS, GrantState

#: What else is read, beside what grants do.
_OTHERS = frozenset({"token_issued", "agent_registered", "agent_updated", "token_revoked"})


@dataclass(slots=True)
class Row:
    """An audit row as far as it is read here."""

    event_type: str
    timestamp: int
    status: str
    reason: str | None
    source_ip: str | None
    client_id: int | None
    grant_id: int | None
    parent_grant_id: int | None
    root_grant_id: int | None
    details: dict[str, Any]

    @classmethod
    def of(cls, values: dict[str, Any]) -> Row:
        """From a row of the table ``audit``, by column name."""
        return cls(**{name: values[name] for name in _COLUMNS}, details=orjson.loads(values["details"]))


_COLUMNS = tuple(name for name in Row.__dataclass_fields__ if name != "details")


@dataclass(slots=True)
class Known:
    """What is known of an entity beside its state."""

    role: str = ""
    task: str = ""
    #: Of a grant.
    client: int | None = None
    tree: int | None = None


@dataclass(slots=True)
class Live:
    """The states of one tenant's entities, by kind and id.

    Attributes
    ----------
    states, known : by kind, then by grant_id, root_grant_id or client_id.
    changed : entities whose state has changed since :meth:`take_changed`.
    """

    states: dict[EntityKind, dict[int, GrantState]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    known: dict[EntityKind, dict[int, Known]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    changed: dict[EntityKind, dict[int, None]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    _names: Counter[str] = field(default_factory=Counter)
    #: Tools of agents whose registration has changed.
    _allowed: dict[int, set[str]] = field(default_factory=dict)

    def take(self, rows: Iterable[Row]) -> None:
        """Take in rows in the order of their ids."""
        for row in rows:
            if row.event_type in DOINGS or row.event_type in _OTHERS:
                self._take(row)

    def take_changed(self, kind: EntityKind) -> list[int]:
        """Entities of a kind that have changed, in the order in which they first did; the next call begins anew."""
        changed, self.changed[kind] = self.changed[kind], {}
        return list(changed)

    def forget(self, before: int) -> None:
        """Forget grants and trees that nothing was heard of since ``before``; agents are few and stay."""
        for kind in ("grant", "tree"):
            states, known = self.states[kind], self.known[kind]
            for entity in [
                each for each, state in states.items() if max(state.last_at, state.issued_at) < before
            ]:
                del states[entity]
                known.pop(entity, None)

    def _take(self, row: Row) -> None:
        granted = row.status == "granted"
        match row.event_type:
            case "agent_registered":
                if granted and row.client_id is not None:
                    self._register(row.client_id, row)
            case "agent_updated":
                if granted and "tools" in row.details and row.client_id is not None:
                    self._allowed[row.client_id] = set(row.details["tools"])
            case "token_revoked":
                self._end(row)
            case "token_issued" | "child_token_issued" if granted:
                self._begin(row)
            case _:
                self._note(row)

    def _state(self, kind: EntityKind, entity: int) -> GrantState:
        self.changed[kind][entity] = None
        return self.states[kind].setdefault(entity, GrantState())

    def _agent(self, row: Row) -> GrantState | None:
        client = row.client_id
        return self._state("agent", client) if client is not None and client in self.known["agent"] else None

    def _register(self, client: int, row: Row) -> None:
        self.known["agent"][client] = Known(role=row.details.get("role", ""))
        name = plain_name(row.details["agent_name"])
        self._state("agent", client).namesakes = self._names[name]
        self._names[name] += 1

    def _begin(self, row: Row) -> None:
        """A grant's issue: its own state begins, and for its parent it is a doing."""
        assert row.grant_id is not None
        tree = row.root_grant_id or row.grant_id
        agent = self._agent(row)
        role = self.known["agent"][row.client_id].role if agent and row.client_id is not None else ""
        task = row.details.get("task", "")
        parent = None if row.parent_grant_id is None else self.states["grant"].get(row.parent_grant_id)
        self._state("grant", row.grant_id).begin(row, parent)
        self.known["grant"][row.grant_id] = Known(role, task, row.client_id, tree)
        self.known["tree"].setdefault(tree, Known(role, task))
        self._state("tree", tree).grants += 1
        if agent is not None:
            agent.grants += 1
        if parent is not None and row.parent_grant_id is not None:
            above = self.known["grant"][row.parent_grant_id]
            self._state("grant", row.parent_grant_id).note(row)
            self._state("tree", tree).note(row)
            if above.client is not None and above.client in self.known["agent"]:
                self._state("agent", above.client).note(row)

    def _note(self, row: Row) -> None:
        """A doing about a grant that is known, or a refusal that is about none."""
        agent = self._agent(row)
        if row.grant_id is not None and row.grant_id in self.states["grant"]:
            self._state("grant", row.grant_id).note(row)
            tree = self.known["grant"][row.grant_id].tree
            assert tree is not None
            self._state("tree", tree).note(row)
            if agent is not None:
                agent.note(row)
                self._note_withdrawn(row, agent)
        elif row.grant_id is None and row.status == "refused" and agent is not None:
            agent.note_refused(row)

    def _note_withdrawn(self, row: Row, agent: GrantState) -> None:
        if row.event_type == "token_verified" and row.status == "granted" and row.client_id in self._allowed:
            allowed = self._allowed[row.client_id]
            agent.withdrawn_uses += sum(tool not in allowed for tool in row.details["tools"])

    def _end(self, row: Row) -> None:
        agent = self._agent(row)
        if agent is None or row.details.get("by") != f"agent_{row.client_id}":
            return
        if row.grant_id in self.known["grant"] and self.known["grant"][row.grant_id].client != row.client_id:
            agent.ended_others += 1
