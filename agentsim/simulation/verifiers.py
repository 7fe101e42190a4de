"""The resource servers of one tenant: each call arrives at one, which asks the token server or decides by itself.

What a server knows is as old as its last look: the poll of a feed, the fetch of a status list, an answer that it keeps.
A call is honoured until a mark was known by then. Whatever is let through after a mark was made is *exposure*,
noted at the earliest mark above the token. Moments are those of the simulation, to the microsecond, but what is
decided within one window can only know marks of earlier rounds: a call that a mark should have stopped by then, but
that was played before the mark, is let through and not counted. Marks are filled in at the end of their window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from agentsim.server import Introspect, Introspection, OAuthError, Operation, Revocation, Verification, Verify
from agentsim.server.answers import Answer
from agentsim.server.claims import Claims
from agentsim.server.errors import InvalidToken
from agentsim.server.tokens import TokenCodec
from agentsim.server.verification import check_audience, check_task, check_use
from agentsim.simulation.exposures import Exposures
from agentsim.simulation.knowledge import NEVER, Mark, Marks
from agentsim.simulation.resourceservers import ResourceServer, ResourceServers
from agentsim.simulation.rounds import Answered, Step


@dataclass(slots=True)
class _Server:
    """One resource server."""

    name: str
    settings: ResourceServer
    #: Moment of its first poll or fetch.
    begins: int
    #: By token: when it was introspected, and whether it was active. The oldest first.
    kept: dict[int, tuple[int, bool]] = field(default_factory=dict)

    def last_look(self, moment: int) -> int:
        """When it polled or fetched last; at its beginning, what there was then."""
        period = self.settings.period
        return self.begins + max(0, (moment - self.begins) // period) * period

    def looks(self, end: int) -> int:
        """How often it polls or fetches until ``end``."""
        polls = self.settings.verification in ("feed", "status-list")
        return max(0, (end - self.begins) // self.settings.period + 1) if polls else 0

    def known_from(self, mark: Mark) -> int:
        """The moment from which on a look shows a mark."""
        match self.settings.verification:
            case "offline":
                return NEVER
            case "status-list":
                return mark.filled_at
        return mark.at


@dataclass(frozen=True, slots=True)
class _Honoured:
    """A call that was let through without asking."""

    time: int
    claims: Claims
    server: _Server
    look: int


class Verifiers:
    """Takes every call of a tenant, and what the token server answered about it.

    Parameters
    ----------
    resources : names of the resources that agents use: each is one server.
    codec : reads tokens with the token server's public keys.
    marks : what has been committed.
    salt : what the servers' phases are made from.
    start : beginning of the simulation, microseconds.
    """

    def __init__(
        self,
        settings: ResourceServers,
        resources: Iterable[str],
        codec: TokenCodec,
        marks: Marks,
        *,
        salt: bytes,
        start: int,
    ) -> None:
        self._settings, self._salt, self._start = settings, salt, start
        self._servers = {name: self._new_server(name) for name in resources}
        self._codec = codec
        self._marks = marks
        self._stale = False
        #: Calls whose token is being introspected, by the order of their step.
        self._introspected: dict[int, Verify] = {}
        self._honoured: list[_Honoured] = []
        self.exposures = Exposures()
        #: Calls so far, and those of them for which the token server was asked.
        self.calls = self.asked = 0

    def receive(self, step: Step, call: Verify) -> Operation | Answered:
        """What becomes of a call: the question to the token server, or the answer that needs none."""
        self.calls += 1
        server = self._server(call)
        if server.settings.verification == "online":
            return self._ask(call)
        try:
            claims = self._codec.decode(call.token)
        except InvalidToken as error:
            return Answered(call, _refusal(error))
        if claims.budget is not None:
            return self._ask(call)
        if server.settings.verification != "introspection":
            return Answered(call, self._decide(step.time, call, claims, server))
        asked_at, active = server.kept.get(claims.token_id, (-NEVER, False))
        if step.time >= asked_at + server.settings.cache:
            self._introspected[step.order] = call
            return self._ask(Introspect(token=call.token, caller=server.name, source_ip=call.source_ip))
        answer = _judge(step.time, call, claims, active=active)
        return Answered(call, self._note(step.time, claims, server, asked_at, answer))

    def settle(
        self, step: Step, operation: Operation, answer: Answer | OAuthError
    ) -> tuple[Operation, Answer | OAuthError]:
        """Heed an answer of the token server; the answer to a call where a token was introspected for it."""
        if isinstance(answer, Revocation) or getattr(answer, "reason", None) == "refresh_reused":
            self._stale = True
        call = self._introspected.pop(step.order, None)
        if call is None or not isinstance(answer, Introspection):
            return call or operation, answer
        claims = self._codec.decode(call.token)
        kept = self._server(call).kept
        # Again at the end, where the youngest are.
        kept.pop(claims.token_id, None)
        kept[claims.token_id] = step.time, answer.active
        told = _judge(step.time, call, claims, active=answer.active)
        told.log_id = answer.log_id
        return call, told

    def expect_marks(self) -> None:
        """Marks have been made by nobody's operation in the play."""
        self._stale = True

    def close_window(self, end: int) -> None:
        """A window is over: its marks are filled in, and what was let through can be held against them."""
        self._catch_up()
        self._marks.fill(end)
        for call in self._honoured:
            missed = [
                mark
                for mark in self._marks.above(call.claims)
                if mark.at <= call.time and call.server.known_from(mark) > call.look
            ]
            if missed:
                first = min(missed, key=lambda mark: (mark.at, mark.revocation_id))
                server = call.server
                self.exposures.note(
                    first.revocation_id,
                    server.name,
                    server.settings.verification,
                    call.claims.token_id,
                    call.time - first.at,
                )
        self._honoured.clear()
        for server in self._servers.values():
            _forget(server.kept, end - server.settings.cache)

    def looks(self, end: int) -> int:
        """Polls and fetches of all servers until ``end``."""
        return sum(server.looks(end) for server in self._servers.values())

    def _server(self, call: Verify) -> _Server:
        """Where a call arrives; attackers know of resources that nobody else uses."""
        name = call.required_resources[0]
        if name not in self._servers:
            self._servers[name] = self._new_server(name)
        return self._servers[name]

    def _new_server(self, name: str) -> _Server:
        settings = self._settings.of(name)
        return _Server(name, settings, self._start + _phase(self._salt, name, settings.period))

    def _ask(self, operation: Operation) -> Operation:
        self.asked += 1
        return operation

    def _decide(self, now: int, call: Verify, claims: Claims, server: _Server) -> Verification:
        """By what the server knew when it looked last."""
        self._catch_up()
        look = server.last_look(now)
        active = all(server.known_from(mark) > look for mark in self._marks.above(claims))
        return self._note(now, claims, server, look, _judge(now, call, claims, active=active))

    def _catch_up(self) -> None:
        """Read new marks, where an answer has told that there are some."""
        if self._stale:
            self._marks.catch_up()
            self._stale = False

    def _note(
        self, now: int, claims: Claims, server: _Server, look: int, answer: Verification
    ) -> Verification:
        if answer.is_valid:
            self._honoured.append(_Honoured(now, claims, server, look))
        return answer


def _judge(now: int, call: Verify, claims: Claims, *, active: bool) -> Verification:
    """What the token server would answer, but for marks: those are told by ``active``."""
    try:
        if not active:
            raise InvalidToken("revoked", "the token, or a grant above it, has been revoked")
        if now >= claims.expires_at:
            raise InvalidToken("expired", "the token has expired", hint="refresh it")
        check_audience(call, claims)
        check_task(call, claims)
        check_use(call, claims, tuple(call.required_tools), tuple(call.required_resources))
    except OAuthError as error:
        return _refusal(error)
    return Verification(log_id=0, is_valid=True, scope=claims.scope, grant_id=claims.grant_id)


def _refusal(error: OAuthError) -> Verification:
    return Verification(log_id=0, is_valid=False, error=error.with_traceback(None))


def _phase(salt: bytes, name: str, period: int) -> int:
    """How long after the beginning a server polls first: its own, whichever others there are."""
    drawn = hashlib.blake2b(name.encode(), key=salt, digest_size=8).digest()
    return int.from_bytes(drawn) * period >> 64


def _forget(kept: dict[int, tuple[int, bool]], before: int) -> None:
    """Drop the oldest answers, kept since ``before`` or longer."""
    for token_id, (asked_at, _) in list(kept.items()):
        if asked_at > before:
            break
        del kept[token_id]
