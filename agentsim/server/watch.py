"""The seam to whoever judges what agents do: two Protocols, and what they may ask for. The server knows nobody who does.

A :class:`PatternMatcher` is asked while a token is verified, before the answer, so it must be quick. A :class:`Watcher`
is told of audit rows that were committed, beside the writer, and asks for actions that take effect from the next
batch on. What both ask for beyond a refusal is carried out as operations like any other, by a party of the server's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agentsim.server.credentials import client_name
from agentsim.server.history import Event, GrantState
from agentsim.server.operations import Operation
from agentsim.server.operations.agents import Disable
from agentsim.server.operations.ends import Grounds, Hold, Revoke
from agentsim.server.parties import Admin

ActionKind = Literal["none", "log", "step_up", "revoke_task", "revoke_tree", "disable_agent"]
#: From the mildest to the hardest. From ``step_up`` on a use is refused at once and its grant held.
ACTIONS: tuple[ActionKind, ...] = ("none", "log", "step_up", "revoke_task", "revoke_tree", "disable_agent")
HOLDING: frozenset[ActionKind] = frozenset(ACTIONS[2:])
#: Those of which a refusal is only the beginning.
ENDING: frozenset[ActionKind] = frozenset(ACTIONS[3:])
#: Who carries actions out, and the reason that rows of marks and the audit trail have for it.
WATCH = Admin("risk", everywhere=True)
REASON = "risk"


@dataclass(slots=True, kw_only=True)
class Use:
    """What a grant is about to be used for. ``now`` in microseconds.

    Attributes
    ----------
    role : of the grant's agent, as it was registered.
    task_id : that the token is bound to; what it is for in words, the grant's state says.
    depth : of the grant in its tree; 0 for a root.
    event : the audit row of what is asked as it stands: refused where it will be whatever is made of it, else granted.
        None where the grant is only looked at (introspection).
    """

    role: str
    task_id: str
    depth: int
    now: int
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a matcher says of a use: the document's three members, and what is to be done about it.

    Attributes
    ----------
    historical_pattern_match : whether the use is like what such grants do.
    execution_pattern : ``normal``, or a word for how it is not.
    risk_assessment : ``low``, ``medium`` or ``high``.
    score : on the scale of the thresholds; larger is stranger.
    reasons : why, in words, the most important first.
    """

    historical_pattern_match: bool
    execution_pattern: str
    risk_assessment: str
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    action: ActionKind = "none"


class PatternMatcher(Protocol):
    """Judges a use of a grant. It is called for each verification, one after the other, and keeps nothing of it."""

    def assess(self, use: Use, state: GrantState) -> Assessment:
        """Judge a use, given what the grant had done before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that is to be done about an agent or a grant.

    Attributes
    ----------
    kind : one of :data:`ACTIONS` from ``step_up`` on.
    subject : of ``step_up`` and ``revoke_task`` the grant's id, of ``revoke_tree`` that of the tree's root, of
        ``disable_agent`` the agent's number.
    """

    kind: ActionKind
    subject: int
    score: float = 0.0
    reasons: tuple[str, ...] = ()

    def operation(self) -> Operation:
        """The operation that carries it out.

        Raises
        ------
        ValueError
            If nothing is to be carried out: ``none`` and ``log``.
        """
        grounds = Grounds(self.kind, self.score, self.reasons)
        match self.kind:
            case "step_up":
                return Hold(by=WATCH, grant_id=self.subject, grounds=grounds)
            case "revoke_task" | "revoke_tree":
                return Revoke(by=WATCH, grant_id=self.subject, reason=REASON, grounds=grounds)
            case "disable_agent":
                return Disable(by=WATCH, client_id=client_name(self.subject), reason=REASON, grounds=grounds)
        raise ValueError(f"there is nothing to carry out: {self.kind}")


class Watcher(Protocol):
    """Follows what has been decided, and asks for actions."""

    def take(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take in audit rows that have been committed: :data:`agentsim.server.audit.COLUMNS`, each chain in its order."""

    def due(self, now: int) -> Sequence[Action]:
        """What is to be done now (microseconds), each told once."""


class Watch(Protocol):
    """Makes what watches each tenant. It can be sent to another process.

    Attributes
    ----------
    digest : tells one way to watch from another: a Run made under it has it in its manifest.
    """

    @property
    def digest(self) -> str: ...

    def for_tenant(self, tenant: int) -> tuple[PatternMatcher | None, Watcher | None]:
        """What judges uses, and what follows, in one tenant; a served database is tenant 0."""
