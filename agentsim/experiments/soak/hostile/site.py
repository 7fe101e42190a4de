"""A served server as hostile input meets it: what was accepted, what was refused, and what was neither."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx

from agentsim.experiments.bench.requests import SCOPE, AgentCredentials, basic
from agentsim.experiments.soak.asks import Answer, Door, Outcome, outcome, question
from agentsim.experiments.soak.hostile.requests import Hostile
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note
from agentsim.server.http.endpoints import Access

#: Seconds after which something is called a hang.
_PATIENCE = 10.0


class Site:
    """A served server with two agents, one of whom holds a good token."""

    def __init__(self, served: Served, agent: AgentCredentials, other: AgentCredentials) -> None:
        self._http, self._port = served.http, served.port
        self._http.timeout = _PATIENCE
        self._agent, self._other = agent, other
        by_agent = dict([basic(agent).strip().split(": ", 1)])
        self.callers = {
            Access.PUBLIC: {},
            Access.CARRIED: {},
            Access.CLIENT: by_agent,
            Access.CLIENT_OR_ADMIN: by_agent,
            Access.MANAGER: served.as_admin,
            Access.ADMIN: served.as_admin,
        }

    def good(self) -> str:
        """A good token."""
        form = {"grant_type": "client_credentials", "scope": SCOPE, "task_id": "good"}
        return str(self._http.post("/token", auth=self._agent, data=form).json()["access_token"])

    def present(self, tally: Tally, tried: tuple[Door, str]) -> None:
        """A forged token at a door: it must be refused."""
        door, token = tried
        answer = self._answer(tally, lambda: self._present(door, token))
        if answer is not None and outcome(door, answer) is Outcome.ACCEPTED:
            tally.let_in += 1
            note(tally, f"accepted at {door}: {token[:200]}")

    def must_refuse(self, tally: Tally, tried: Hostile) -> None:
        """A request of which nothing may come."""
        answer = self.must_stand(tally, tried)
        if answer is not None and answer.status < 300:
            tally.let_in += 1
            note(tally, f"answered {answer.status}: {tried}"[:300])

    def must_stand(self, tally: Tally, tried: Hostile) -> Answer | None:
        """A request that must be answered, in whatever words."""
        return self._answer(
            tally,
            lambda: self._http.request(
                tried.method, tried.path, headers=tried.headers, content=tried.content
            ),
        )

    def must_hang_up(self, tally: Tally, tried: bytes) -> None:
        """Bytes that must be refused, or the connection closed."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), _PATIENCE) as peer:
                said = _spoken(peer, tried)
        except TimeoutError:
            tally.unasked += 1
            note(tally, f"neither answered nor closed: {tried[:100]!r}")
            return
        tally.operations += 1
        if said[9:10] == b"5":
            tally.unasked += 1
            note(tally, f"{said[:40]!r} for {tried[:100]!r}")
        elif said[9:10] == b"2":
            tally.let_in += 1
            note(tally, f"answered for {tried[:100]!r}")

    def must_work(self, tally: Tally) -> None:
        """A good token is good all the same."""
        answer = self._answer(tally, lambda: self._present(Door.VERIFY, self.good()))
        if answer is None or outcome(Door.VERIFY, answer) is not Outcome.ACCEPTED:
            tally.unasked += 1
            note(tally, "afterwards a good token is not accepted")

    def _present(self, door: Door, token: str) -> httpx.Response:
        path, kind, body = question(door, token, "below")
        by = self._other if door is Door.EXCHANGE else self._agent
        return self._http.post(path, auth=by, content=body, headers={"Content-Type": kind})

    def _answer(self, tally: Tally, ask: Callable[[], httpx.Response]) -> Answer | None:
        """An answer; None where there is none, or it is the server's fault, which is counted."""
        try:
            response = ask()
        except httpx.HTTPError as exc:
            tally.unasked += 1
            note(tally, f"no answer: {exc}"[:300])
            return None
        tally.operations += 1
        if response.status_code >= 500 or "Traceback" in response.text:
            tally.unasked += 1
            note(tally, f"{response.status_code} {response.text}: {response.request.url}"[:300])
            return None
        try:
            members = response.json()
        except ValueError:
            members = None
        return Answer(response.status_code, members if isinstance(members, dict) else {})


def _spoken(peer: socket.socket, sent: bytes) -> bytes:
    """How the answer begins; empty where the connection was closed."""
    try:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        return peer.recv(100)
    except TimeoutError:
        raise
    except OSError:
        # Closed, in whichever of the three this shows: not all of it is called a broken connection.
        return b""
