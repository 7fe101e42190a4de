"""Trees that come and go while a soak runs: each is issued, then refreshed, revoked, or left to expire."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from time import time

from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.experiments.soak import asks
from agentsim.experiments.soak.asks import Answer
from agentsim.experiments.soak.load.line import Line, NoAnswerError
from agentsim.experiments.soak.load.stock import MARGIN, Held, Stock, Tree
from agentsim.experiments.soak.tally import Tally, note

#: Seconds between two new trees, from a tree's first token to its refresh or revocation, and that an access token lives.
EVERY, TURN, LIFETIME = 0.2, 2.0, 6
_LINES = 4
_LOOK = 0.005


class Trees:
    """Keeps a stock filled.

    Attributes
    ----------
    tally : of the requests that this takes.
    answered : access tokens that were answered.
    """

    def __init__(self, port: int, agents: Sequence[AgentCredentials], stock: Stock) -> None:
        self.tally = Tally(part="load", name="trees issued, refreshed and revoked beside it")
        self.answered: list[str] = []
        self._agents = agents
        self._stock = stock
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        for _ in range(_LINES):
            self._lines.put_nowait(Line(port))

    async def tend(self) -> None:
        """Begin one tree after the other, until this is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in itertools.count():
                    group.create_task(self._live(number))
                    await asyncio.sleep(EVERY)
        finally:
            while not self._lines.empty():
                self._lines.get_nowait().close()

    async def _live(self, number: int) -> None:
        by, tree = self._agents[number % len(self._agents)], Tree()
        root = await self._ask(asks.issue(by, f"tree-{number}"))
        if root is None:
            return
        held = self._answered(root, by, tree)
        await asyncio.sleep(TURN)
        match number % 3:
            case 0:
                await self._revoke(held)
                return
            case 1:
                again = await self._ask(asks.refresh(by, root.text("refresh_token")))
                if again is not None:
                    held = self._answered(again, by, tree)
        await asyncio.sleep(held.expires_at - time() + MARGIN)
        self._stock.expire(tree)

    async def _revoke(self, held: Held) -> None:
        held.tree.closing = True
        while held.tree.uses:
            await asyncio.sleep(_LOOK)
        if await self._ask(asks.revoke(held.by, held.token)) is not None:
            self._stock.revoke(held.tree)

    def _answered(self, answer: Answer, by: AgentCredentials, tree: Tree) -> Held:
        held = Held.of(answer.text("access_token"), by, tree, 0)
        self.answered.append(held.token)
        self._stock.add(held)
        return held

    async def _ask(self, request: bytes) -> Answer | None:
        """The answer, where it is the one that was asked for."""
        line = await self._lines.get()
        self.tally.tried += 1
        try:
            answer = await line.ask(request)
        except NoAnswerError as exc:
            self.tally.unasked += 1
            note(self.tally, str(exc))
            return None
        finally:
            self._lines.put_nowait(line)
        self.tally.operations += 1
        if answer.status == 200:
            return answer
        self.tally.unasked += 1
        note(
            self.tally, f"status {answer.status} for a request of a tree: {answer.text('error_description')}"
        )
        return None
