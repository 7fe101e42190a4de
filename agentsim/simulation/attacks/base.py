"""The contract between the engine and an attack, built in or somebody else's.

An attack is a class derived from :class:`Attacker`. A scenario names a built-in one by its ``kind``, any other by
``package.module:Class`` or by the name of an entry point in the group ``agentsim.attacks``. What the engine does with it,
in this order:

1. ``victims(agents)`` and ``moments(agents, victims, uniform)``, once per tenant and entry of the scenario: who can be
   attacked in this way, and when each attack begins. In as many trees as ``prevalence`` says one of those agents is drawn.
2. ``Attacker(stealth, rng)``, one for each victim. ``rng`` is its own: it must draw from nothing else, read no clock
   and keep nothing outside of itself, or a run could not be made again.
3. ``begin(victim)`` when it is woken first, and then each time it is woken ``act(victim)``: one operation of the token
   server, or None to give up.
4. ``observe(answer)``: the server's answer, or its refusal; whether to go on.
5. ``pause(gap)``: microseconds until it is woken again. Nobody is woken after the last honest agent has stopped.

Each operation is labelled with the ``kind``, unless the attacker says that it was an honest party's (``innocent``). How a
call went is reported by who received it; the engine sees to that. An attacker that holds a grant of its own keeps it
with :class:`Holding`.

``stealth`` goes from 0 (loud: a burst, far outside the grant, from elsewhere) to 1: the tools, names, pace and number of
calls of its victim's role, and one deviation, which the class names. Number and pace are the role's from 0.5 on (``noise``),
the rest by and by. (What it does comes on top of what its victim does, since nobody's intents change: a grant that is used
by both has more calls than others, so that such an attacker makes half as many.) All names that reach the server (tasks,
scopes, hosts) are then the organisation's own: see ``errand``, ``elsewhere`` and
:class:`~agentsim.simulation.attacks.victims.Victim`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from agentsim.server import Client, IssueChild, OAuthError, Operation, Verification, Verify
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.simulation.attacks.victims import Agents, Flags, Longs, Tools, Victim

#: Where loud attackers come from (RFC 5737).
_OUTSIDE = "203.0.113."
#: An agent is attacked in the first part of its work: there must be something left to attack.
_LATEST = 0.7
#: What a server says of a grant that is no more.
_ENDED = frozenset({"revoked", "parent_revoked", "refresh_revoked", "task_terminated", "step_up_required"})


class Attacker(ABC):
    """One attack on one victim.

    Parameters
    ----------
    stealth : 0 to 1.
    rng : draws of this attacker alone.
    """

    #: The name in scenarios and labels.
    kind: ClassVar[str]
    #: Entries of OWASP Agentic (ASI, T), OWASP NHI and MITRE ATLAS (AML.T), and sections of RFC 9700.
    tags: ClassVar[tuple[str, ...]] = ()
    #: What the token server sees of it: features, whole families of them, or some of
    #: :data:`agentsim.simulation.attacks.signals.SIGNALS`. Nothing else may give it away when it is half quiet.
    signals: ClassVar[tuple[str, ...]] = ()
    #: The one thing that it does not imitate at stealth 1.
    deviation: ClassVar[str] = ""
    #: Operations when it is loud.
    loud: ClassVar[int] = 12
    #: Operations when it is quiet, for each call that the victim's role has: who shares a grant with its victim makes do
    #: with less, since the server sees both together.
    quiet: ClassVar[float] = 0.5
    #: Whether it goes on when its victim's work is done or its tokens are gone: it has something of its own.
    stays: ClassVar[bool] = False
    #: Whether it reaches its victim's parent and children.
    kin: ClassVar[bool] = False

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        self.stealth = stealth
        self.rng = rng
        #: Set while the operation asked for is an honest party's, whose part the story needs: it gets no label.
        self.innocent = False
        self._left = 0
        self._spread = 0.0
        self._host: str | None = None
        #: The tool that was called last, as far as it knows, and how many of its victim's calls it has seen.
        self._last_tool = ""
        self._calls_seen = 0

    @property
    def noise(self) -> float:
        """How loud it is in number and pace: 1 at stealth 0, not at all from 0.5 on. What it does is imitated slower."""
        return max(0.0, 1 - 2 * self.stealth)

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Which agents can be attacked in this way; all, unless said otherwise."""
        return np.ones(len(agents.parent), dtype=bool)

    @classmethod
    def moments(cls, agents: Agents, victims: Longs, uniform: npt.NDArray[np.float64]) -> Longs:
        """When the attack on each of these begins (microseconds), from a draw in [0, 1) each."""
        begun = agents.begins[victims] + SECOND
        working = agents.ends[victims] - begun
        return np.asarray(begun + (uniform * _LATEST * working).astype(np.int64))

    def begin(self, victim: Victim) -> None:
        """Settle how many operations there will be, one at least, and how pauses vary."""
        self._spread = victim.gap_spread
        quiet = self.quiet * victim.steps
        self._left = max(1, int(self.rng.poisson(quiet + self.noise * max(0.0, self.loud - quiet))))

    @abstractmethod
    def act(self, victim: Victim) -> Operation | None:
        """The next operation; None gives up."""

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Take the answer in; whether to go on. When quiet, an attacker stops as honest agents do where a grant has ended."""
        self._left -= 1
        refusal = answer.error if isinstance(answer, Verification) else answer
        ended = isinstance(refusal, OAuthError) and refusal.reason in _ENDED and not self.stays
        return self._left > 0 and not (ended and self.quietly())

    def pause(self, gap: int) -> int:
        """Microseconds until the next operation: a burst when loud, the role's own mean ``gap`` when quiet."""
        return self.think(gap + self.noise * (SECOND - gap))

    def think(self, mean: float) -> int:
        """A time of this mean, spread as the thinking of its victim's role is (log-normal), never nothing."""
        return 100_000 + int(mean * np.exp(self._spread * self.rng.standard_normal() - self._spread**2 / 2))

    def quietly(self) -> bool:
        """Whether to imitate the victim this time: with the probability ``stealth``."""
        return bool(self.rng.random() < self.stealth)

    def choose(self, names: Sequence[str]) -> str:
        """One of these, all alike."""
        return names[int(self.rng.integers(len(names)))]

    def elsewhere(self, victim: Victim) -> str:
        """The one address that the attacker has beside its victim's: outside, or when quiet another host of the organisation."""
        if self._host is None:
            number = int(self.rng.integers(1, 255))
            others = [host for host in victim.hosts if host != victim.source_ip]
            inside = others and number <= 254 * self.stealth
            self._host = others[number % len(others)] if inside else f"{_OUTSIDE}{number}"
        return self._host

    def errand(self, victim: Victim) -> tuple[str, str]:
        """Name and description of a task; when quiet, those of a task like the victim's in the same tree."""
        if self.quietly():
            return self.choose(victim.errands), victim.task_description
        name = self.choose(["fetch", "retry", "helper", "export"])
        return f"{victim.task_id}/{name}-{int(self.rng.integers(1000))}", "Fetch additional context"

    def call(
        self,
        victim: Victim,
        tools: Tools,
        *,
        token: str | None = None,
        task_id: str | None = None,
        host: str | None = None,
    ) -> Verify:
        """A tool call that looks as the victim's own would, but for what is given.

        Parameters
        ----------
        tools : what to choose from. When quiet, as the victim's role would, after the tool that was called last.
        token, task_id : the grant to do it with; the victim's, unless given.
        host : where it comes from; the victim's host, unless given.
        """
        tool = self._next_tool(victim, sorted(tools), alone=token is not None)
        return Verify(
            token=victim.access_token if token is None else token,
            task_id=victim.task_id if task_id is None else task_id,
            required_tools=(tool,),
            required_resources=(self.choose(tools[tool]),),
            caller=victim.caller if host is None else f"host-{host}",
            source_ip=victim.source_ip if host is None else host,
            include_history=False,
        )

    def _next_tool(self, victim: Victim, tools: Sequence[str], *, alone: bool) -> str:
        """One of these tools; ``alone``: on a token that the victim itself does not use just now."""
        if not alone and victim.calls != self._calls_seen:
            self._calls_seen, self._last_tool = victim.calls, victim.last_tool
        if self.quietly():
            habits = victim.habits
            for row in (habits.get(self._last_tool, {}), habits.get("", {})):
                weights = np.array([row.get(tool, 0.0) for tool in tools])
                if weights.any():
                    place = np.searchsorted(
                        np.cumsum(weights), self.rng.random() * weights.sum(), side="right"
                    )
                    self._last_tool = tools[min(int(place), len(tools) - 1)]
                    return self._last_tool
        self._last_tool = self.choose(tools)
        return self._last_tool

    def delegate(
        self,
        victim: Victim,
        scope: Sequence[str] | None,
        *,
        by: Client | None = None,
        token: str | None = None,
        parent_task_id: str | None = None,
        level: str | None = None,
    ) -> IssueChild:
        """Ask for a grant below the victim's, or below ``token``, in the form in which honest agents ask; None: for all of it."""
        name, description = self.errand(victim)
        wanted = None if scope is None else list(dict.fromkeys(scope))
        return IssueChild(
            by=victim.client if by is None else by,
            parent_token=victim.access_token if token is None else token,
            parent_task_id=victim.task_id if parent_task_id is None else parent_task_id,
            task_id=name,
            task_description=description,
            scope=None if wanted is None else " ".join(wanted),
            required_tools=None if wanted is None else _parts(wanted, 0),
            required_resources=None if wanted is None else _parts(wanted, 1),
            scope_level=victim.level if level is None else level,
            scope_inheritance="full" if wanted is None else "restricted",
            source_ip=victim.source_ip,
        )


def _parts(scope: Sequence[str], place: int) -> tuple[str, ...]:
    """The tools (0) or resources (1) that scopes name, alphabetically."""
    return tuple(sorted({name.split(":", 1)[place] for name in scope}))
