"""The door: agents whose share is used up are refused here, before they cost a place in a batch and a row each.

It goes by the name that a request gives and charges nobody, so a wrong name gains nothing and costs its owner nothing.
Decisions alone charge; they are asked again for whoever is let in. What has been let in and is not decided yet counts
beside the buckets, where the caller is known to be who it says: else a whole flood would be let in between two batches.

Even so a refusal takes an eighth of the time of a grant, and a flood of them would keep people waiting for the event loop.
So refusals leave at a pace. Those beyond it are held for up to two seconds, and a client that waits for its answer asks
nothing else on that connection.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from agentsim.server.acquaintances import PEOPLE
from agentsim.server.core import Server
from agentsim.server.credentials import parse_client_name
from agentsim.server.errors import TooManyRequests
from agentsim.server.http.metrics import count_limited
from agentsim.server.limits import Key, keys_of
from agentsim.server.parties import Admin, Credentials

#: Refusals a second that leave as they come, and the longest that those beyond are held, in seconds.
PACE = 100
LONGEST_HOLD = 2.0
#: Multiples of it lie evenly between whole numbers, however many there are.
_GOLDEN = 0.6180339887


class Visit(NamedTuple):
    """Somebody at the door: refused, or let in and counted under these keys until it is over."""

    refusal: TooManyRequests | None = None
    keys: tuple[Key, ...] = ()
    #: Whether a person's client waits for the answer.
    first: bool = False


class Door:
    """Looks at who comes before anything is done for them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._inside: Counter[Key] = Counter()
        #: When the next refusal may leave, by the event loop's clock in seconds.
        self._next = 0.0
        self._turn = 0.0

    def client(self, by: Credentials) -> Visit:
        """A client that asks for a grant."""
        client_id = parse_client_name(by.client_id)
        return Visit() if client_id is None else self._visit(by, client_id)

    def token(self, by: Admin | Credentials, token: str) -> Visit:
        """A token that is to be verified, whoever asks."""
        claims = self._server.claims_of(token)
        return Visit() if claims is None else self._visit(by, claims.client_id, claims.root_grant_id)

    @asynccontextmanager
    async def open(self, visit: Visit) -> AsyncIterator[None]:
        """Let somebody in for the length of a block.

        Raises
        ------
        TooManyRequests
            Or else turn it away, when its refusal may leave.
        """
        if visit.refusal is not None:
            await self._hold(1)
            raise visit.refusal
        try:
            yield
        finally:
            self._leave(visit)

    async def open_for_each(
        self, visits: Sequence[Visit], ask: Callable[[list[int]], Awaitable[Sequence[Any]]]
    ) -> list[Any]:
        """The same for many that came in one request: a refusal for each, or its answer.

        Parameters
        ----------
        ask : given the places of those who are let in, asks what they want and returns an answer to each.
        """
        admitted = [place for place, visit in enumerate(visits) if visit.refusal is None]
        try:
            answers = iter(await ask(admitted) if admitted else ())
        finally:
            for visit in visits:
                self._leave(visit)
        if len(admitted) < len(visits):
            await self._hold(len(visits) - len(admitted))
        return [visit.refusal or next(answers) for visit in visits]

    def _leave(self, visit: Visit) -> None:
        for key in visit.keys:
            self._inside[key] -= 1
            if not self._inside[key]:
                del self._inside[key]

    async def _hold(self, count: int) -> None:
        """Wait until so many refusals may leave together."""
        now = asyncio.get_running_loop().time()
        leave_at = max(self._next, now)
        if leave_at > now + LONGEST_HOLD:
            # Those who came together leave one after the other, or they would come together again.
            self._turn = (self._turn + _GOLDEN) % 1
            leave_at = now + LONGEST_HOLD * (1 + self._turn) / 2
        else:
            self._next = leave_at + count / PACE
        await asyncio.sleep(leave_at - now)

    def _visit(self, by: Admin | Credentials, client_id: int, tree: int | None = None) -> Visit:
        acquaintances = self._server.acquaintances
        actor_class = acquaintances.actor_class(client_id)
        if not self._server.policy.limits.any:
            return Visit(first=actor_class == PEOPLE)
        refusal = self._server.peek(client_id, tree, self._inside)
        if refusal is not None:
            count_limited(refusal)
            return Visit(refusal)
        keys: tuple[Key, ...] = ()
        if isinstance(by, Admin) or acquaintances.recognises(by):
            keys = keys_of(client_id, actor_class, tree)
            self._inside.update(keys)
        return Visit(keys=keys, first=actor_class == PEOPLE)
