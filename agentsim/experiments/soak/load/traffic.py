"""Mixed traffic on several connections: a request begins when it is meant to, and every answer is judged.

A latency is measured from the moment at which its request was meant to begin, so what a busy server keeps waiting is not
left out (k6 calls such a load ``constant-arrival-rate``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from time import perf_counter, time

from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.experiments.soak.asks import Answer, Door, Outcome, outcome, present
from agentsim.experiments.soak.load.line import Line, NoAnswerError
from agentsim.experiments.soak.load.seconds import Seconds
from agentsim.experiments.soak.load.stock import Held, Stock
from agentsim.experiments.soak.tally import Tally, note

#: Requests a second, and connections that carry them.
RATE, CONNECTIONS = 250.0, 8
#: Seconds after its moment until which a request waits for its connection; then it is dropped, and counted.
_LATEST = 1.0
#: What is asked, in parts of all. What must be refused is presented at every door in turn.
MIX = {
    "verified": 0.28,
    "introspected": 0.28,
    "exchanged": 0.14,
    "expired": 0.10,
    "badly signed": 0.10,
    "revoked": 0.10,
}
_DOORS = {"verified": Door.VERIFY, "introspected": Door.INTROSPECT, "exchanged": Door.EXCHANGE}
_NAMES = {
    "verified": "living tokens verified",
    "introspected": "living tokens introspected",
    "exchanged": "living tokens exchanged",
    "expired": "expired tokens presented",
    "badly signed": "badly signed tokens presented",
    "revoked": "revoked tokens presented",
}


class Traffic:
    """What all connections share.

    Attributes
    ----------
    tallies : by kind of request.
    answered : access tokens that exchanges were answered with.
    """

    def __init__(
        self, port: int, agents: Sequence[AgentCredentials], stock: Stock, draw: random.Random
    ) -> None:
        self.tallies = {kind: Tally(part="load", name=_NAMES[kind]) for kind in MIX}
        self.answered: list[str] = []
        self.seconds = Seconds(tuple(MIX))
        self._port = port
        self._agents = agents
        self._stock = stock
        self._draw = draw
        self._picks: dict[str, Callable[[], Held | None]] = {
            **dict.fromkeys(_DOORS, stock.living),
            "expired": stock.expired,
            "badly signed": stock.forged,
            "revoked": stock.revoked,
        }

    async def send(self, seconds: float) -> None:
        """Ask for so many seconds."""
        begin = perf_counter()
        await asyncio.gather(*(self._connection(number, begin, seconds) for number in range(CONNECTIONS)))

    async def _connection(self, number: int, begin: float, seconds: float) -> None:
        line = Line(self._port)
        try:
            for meant in range(number, round(seconds * RATE), CONNECTIONS):
                due = meant / RATE
                late = perf_counter() - begin - due
                if late > _LATEST:
                    self.seconds.drop(int(due))
                    continue
                await asyncio.sleep(max(0.0, -late))
                (kind,) = self._draw.choices(list(MIX), list(MIX.values()))
                held = self._picks[kind]()
                if held is None:
                    # All that were answered have run out while the machine did something else.
                    self.seconds.drop(int(due))
                    continue
                error = await self._ask(line, kind, held)
                self.seconds.add(int(due), kind, 1e3 * (perf_counter() - begin - due), error=error)
        finally:
            line.close()

    async def _ask(self, line: Line, kind: str, held: Held) -> bool:
        """Present a token; whether the answer was not the one that was asked for."""
        tally, door = self.tallies[kind], _DOORS.get(kind) or self._draw.choice(list(Door))
        by = self._draw.choice(self._agents) if door is Door.EXCHANGE else held.by
        tally.tried += 1
        held.tree.uses += 1
        try:
            answer = await line.ask(present(door, held.token, by, f"child-{self._draw.getrandbits(48)}"))
            tally.operations += 1
            return self._judge(tally, door, held, answer, must_live=kind in _DOORS, by=by)
        except NoAnswerError as exc:
            tally.unasked += 1
            note(tally, str(exc))
            return True
        finally:
            held.tree.uses -= 1

    def _judge(
        self, tally: Tally, door: Door, held: Held, answer: Answer, *, must_live: bool, by: AgentCredentials
    ) -> bool:
        said = outcome(door, answer)
        if said is Outcome.ACCEPTED and door is Door.EXCHANGE:
            self.answered.append(answer.text("access_token"))
        if said is Outcome.ACCEPTED and not must_live:
            tally.let_in += 1
            note(tally, f"accepted at {door}: token {held.number}")
            return True
        # An answer that waited beyond the token's end may rightly be a refusal.
        wrong = said is Outcome.ERROR or (must_live and said is Outcome.REFUSED and time() < held.expires_at)
        if wrong:
            tally.unasked += 1
            note(tally, f"{door} answered {answer.status} {answer.members} for {tally.name}"[:300])
        elif said is Outcome.ACCEPTED and door is Door.EXCHANGE:
            child = Held.of(answer.text("access_token"), by, held.tree, held.depth + 1)
            self._stock.add(child)
        return wrong
