"""Mixed operations over HTTP: a caller with agents and trees of its own, who remembers what was answered.

Callers share nothing but the server. So each knows, after each answer, what every token of its own is worth, and of all
that it has asked only the last question can be in doubt when the server goes away.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from threading import Event
from typing import Any, TypeVar

import httpx
import numpy as np

from agentsim.experiments.soak.kills.holdings import Agent, Doubt, Grant
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note
from agentsim.server.http.grant_requests import ACCESS_TOKEN_TYPE
from agentsim.server.metadata import TOKEN_EXCHANGE

_SCOPE = "file_read:github"
#: How often each is asked, in shares.
_SHARES = {
    "issue": 25,
    "exchange": 25,
    "refresh": 15,
    "verify": 12,
    "introspect": 8,
    "register": 3,
    "revoke_token": 5,
    "revoke_task": 3,
    "revoke_agent": 1,
    "replay": 2,
    "rotate_key": 1,
}
_NAMES = tuple(_SHARES)
_CHANCES = np.array([*_SHARES.values()]) / sum(_SHARES.values())
_DEEPEST = 5
#: No token expires while its server is killed again and again.
POLICY = "{access_ttl: 4h, grant_ttl: 8h}\n"
#: Looks for a grant that serves before one goes without.
_LOOKS = 20


_Thing = TypeVar("_Thing")


class GoneError(RuntimeError):
    """The server went away, or said that its database had, before it answered."""


class Caller:
    """Asks one thing after the other.

    Parameters
    ----------
    number : tells it from others.
    rng : draws what it asks.
    """

    def __init__(self, served: Served, number: int, rng: np.random.Generator) -> None:
        self._served = served
        self._rng = rng
        #: What it was answered, until somebody adds it up.
        self._tally = Tally(part="kills", name="")
        #: Of its own in every database: a task that was ended once is ended for good.
        self.owner = f"soak-{secrets.token_hex(4)}-{number}"
        self.agents: list[Agent] = []
        self.grants: list[Grant] = []
        #: Marks, and ids of signing keys, that were answered.
        self.marks: list[int] = []
        self.keys: list[str] = []
        #: How often the server said that it can do nothing at present.
        self.refused = 0
        #: What was asked and never answered.
        self.doubts: list[Doubt] = []
        self._tasks = 0

    def ask_on(self, stop: Event) -> None:
        """Ask until the server goes away, or until it is told to stop."""
        with suppress(GoneError):
            while not stop.is_set():
                self._step()

    def ask_each(self) -> None:
        """Ask everything once."""
        for name in _NAMES:
            with suppress(GoneError):
                getattr(self, f"_{name}")()

    def take(self) -> Tally:
        """What it was answered, and what was wrong with it, since the last call."""
        taken, self._tally = self._tally, Tally(part="kills", name="")
        return taken

    def _step(self) -> None:
        if not self.agents:
            self._register()
            return
        name = _NAMES[self._rng.choice(len(_NAMES), p=_CHANCES)]
        getattr(self, f"_{name}")()

    def _register(self) -> None:
        profile = {
            "client_name": "soak",
            "allowed_tools": ["file_read"],
            "resource_access": ["github"],
            "owner": self.owner,
        }
        made = self._post(201, "/register", headers=self._served.as_admin, json=profile)
        confirmation = {"registration_token": made.get("registration_token")}
        if made and self._post(200, "/register/confirm", json=confirmation):
            self.agents.append(Agent(made["client_id"], made["client_secret"]))

    def _issue(self) -> None:
        agent, task = self._any(self.agents), self._new_task()
        form = {"grant_type": "client_credentials", "scope": _SCOPE, "task_id": task}
        self._granted(self._post(200, "/token", auth=agent, data=form), agent, task, None)

    def _exchange(self) -> None:
        parent = self._find(deep=False)
        if parent is None:
            return
        agent, task = self._any(self.agents), self._new_task()
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": parent.tokens[-1],
            "subject_token_type": ACCESS_TOKEN_TYPE,
            "scope": _SCOPE,
            "task_id": task,
        }
        self._granted(self._post(200, "/token", auth=agent, data=form), agent, task, parent)

    def _granted(self, answer: dict[str, Any], agent: Agent, task: str, parent: Grant | None) -> None:
        if not answer:
            return
        grant = Grant(
            agent=agent,
            task=task,
            parent=parent,
            tokens=[answer["access_token"]],
            refresh=answer["refresh_token"],
        )
        self.grants.append(grant)
        if parent is not None:
            parent.children.append(grant)

    def _refresh(self) -> None:
        grant = self._find()
        if grant is not None and grant.refresh is not None:
            self.refresh(grant)

    def refresh(self, grant: Grant) -> bool:
        """Take the next tokens of a grant that is alive; whether that was granted."""
        assert grant.refresh is not None
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh}
        answer = self._post(200, "/token", Doubt(refreshing=grant), auth=grant.agent, data=form)
        if answer:
            grant.used.append(grant.refresh)
            grant.refresh = answer["refresh_token"]
            grant.tokens.append(answer["access_token"])
        return bool(answer)

    def _replay(self) -> None:
        grant = self._find()
        if grant is not None and grant.used:
            self.replay(grant)

    def replay(self, grant: Grant) -> bool:
        """Present a refresh token that was used: it is refused, and the grant is ended. Whether it was refused."""
        form = {"grant_type": "refresh_token", "refresh_token": self._any(grant.used)}
        answer = self._post(400, "/token", Doubt(ending=[grant]), auth=grant.agent, data=form)
        grant.ended = bool(answer)
        return bool(answer)

    def _verify(self) -> None:
        if self.grants:
            grant = self._any(self.grants)
            body = {"token": self._any(grant.tokens)}
            answer = self._post(200, "/verify", headers=self._served.as_admin, json=body)
            self._judge(grant, answer.get("is_valid"))

    def _introspect(self) -> None:
        if self.grants:
            grant = self._any(self.grants)
            form = {"token": self._any(grant.tokens)}
            answer = self._post(200, "/introspect", headers=self._served.as_admin, data=form)
            self._judge(grant, answer.get("active"))

    def _judge(self, grant: Grant, told: bool | None) -> None:
        """Hold what is said of a token against what its holder knows."""
        if told is None or told == grant.alive:
            return
        if told:
            self._tally.let_in += 1
            note(self._tally, "a token was honoured after an answered revocation")
        else:
            self._tally.lost += 1
            note(self._tally, "a token was refused that nothing has ended")

    def _revoke_token(self) -> None:
        grant = self._find()
        if grant is not None:
            form = {"token": self._any(grant.tokens)}
            answer = self._post(200, "/revoke", Doubt(ending=[grant]), auth=grant.agent, data=form)
            self._ended(answer, [grant])

    def _revoke_task(self) -> None:
        grant = self._find()
        if grant is not None:
            self._revoke_by_name([grant], task_id=grant.task, owner=self.owner)

    def _revoke_agent(self) -> None:
        agent = self._any(self.agents)
        theirs = [grant for grant in self.grants if grant.agent == agent]
        self._revoke_by_name(theirs, client_id=agent.client_id)

    def _revoke_by_name(self, ending: list[Grant], **named: str) -> None:
        answer = self._post(
            200,
            "/admin/revocations",
            Doubt(ending=ending),
            headers=self._served.as_admin,
            json={"reason": "soak", **named},
        )
        self._ended(answer, ending)

    def _ended(self, answer: dict[str, Any], grants: list[Grant]) -> None:
        if "revocation_id" in answer:
            self.marks.append(int(answer["revocation_id"]))
        for grant in grants if answer else ():
            grant.ended = True

    def _rotate_key(self) -> None:
        answer = self._post(201, "/admin/keys", headers=self._served.as_admin, json={"alg": "EdDSA"})
        if answer:
            self.keys.append(answer["kid"])

    def _new_task(self) -> str:
        self._tasks += 1
        return f"{self.owner} task {self._tasks}"

    def _find(self, *, deep: bool = True) -> Grant | None:
        """A grant that is alive; not ``deep``: one that may have children."""
        for _ in range(_LOOKS if self.grants else 0):
            grant = self._any(self.grants)
            if grant.alive and (deep or grant.depth < _DEEPEST):
                return grant
        return None

    def _any(self, things: list[_Thing]) -> _Thing:
        return things[self._rng.integers(len(things))]

    def _post(self, expected: int, path: str, doubt: Doubt | None = None, **options: Any) -> dict[str, Any]:
        """The answer to a request; nothing where it is another than must be, which is counted.

        Raises
        ------
        GoneError
            If there is none, or a 503: then ``doubt`` says what may have been done.
        """
        try:
            answer = self._served.http.post(path, **options)
        except httpx.TransportError as exc:
            self.doubts += filter(None, [doubt])
            raise GoneError(str(exc)) from exc
        if answer.status_code == 503:
            self.doubts += filter(None, [doubt])
            self.refused += 1
            self._check_refusal(path, answer)
            raise GoneError(answer.text)
        self._tally.operations += 1
        if answer.status_code != expected:
            self._tally.unasked += 1
            note(self._tally, f"{path} answered {answer.status_code}, not {expected}: {answer.text[:200]}")
            return {}
        return dict(answer.json())

    def _check_refusal(self, path: str, answer: httpx.Response) -> None:
        """A server that can do nothing at present says when to come again (RFC 9110 section 15.6.4)."""
        if not answer.headers.get("Retry-After", "").isdecimal():
            self._tally.unasked += 1
            note(self._tally, f"{path} answered 503 without saying when to ask again")
