"""What a soak asks for, as whole HTTP requests, and how an answer is judged; pure."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlencode

import orjson

from agentsim.experiments.bench.requests import FORM, JSON, SCOPE, AgentCredentials, basic, post
from agentsim.server.http.grant_requests import ACCESS_TOKEN_TYPE
from agentsim.server.metadata import TOKEN_EXCHANGE

#: What the token endpoint, and the others, may say to a token that is not to be let in.
_REFUSALS = (400, 401)


class Door(StrEnum):
    """A way to present an access token."""

    VERIFY = "verify"
    INTROSPECT = "introspect"
    EXCHANGE = "exchange"


class Outcome(StrEnum):
    """What an answer says of the token that was presented."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    ERROR = "error"


class Answer(NamedTuple):
    """An answer; the members are empty where its body is no object of JSON."""

    status: int
    members: dict[str, object]

    @classmethod
    def of(cls, whole: bytes) -> Answer:
        """The answer that came as bytes on a connection."""
        head, _, body = whole.partition(b"\r\n\r\n")
        try:
            members = orjson.loads(body)
        except ValueError:
            members = None
        return cls(int(head[9:12]), members if isinstance(members, dict) else {})

    def text(self, name: str) -> str:
        """A member that is text; empty where it is none."""
        value = self.members.get(name)
        return value if isinstance(value, str) else ""


class Question(NamedTuple):
    """What is sent, without who sends it."""

    path: str
    content_type: str
    body: bytes


def question(door: Door, token: str, task: str) -> Question:
    """How a token is presented at a door, whatever text it is.

    Parameters
    ----------
    task : of the child that an exchange asks for.
    """
    match door:
        case Door.VERIFY:
            return Question("/verify", JSON, json.dumps({"token": token}).encode())
        case Door.INTROSPECT:
            return _form("/introspect", token=token)
        case Door.EXCHANGE:
            return _form(
                "/token",
                grant_type=TOKEN_EXCHANGE,
                subject_token=token,
                subject_token_type=ACCESS_TOKEN_TYPE,
                scope=SCOPE,
                task_id=task,
            )


def present(door: Door, token: str, by: AgentCredentials, task: str) -> bytes:
    """The whole request by which an agent presents a token."""
    return post(*question(door, token, task), basic(by))


def issue(by: AgentCredentials, task: str) -> bytes:
    """The request for a root token."""
    asked = _form("/token", grant_type="client_credentials", task_id=task, scope=SCOPE)
    return post(*asked, basic(by))


def refresh(by: AgentCredentials, refresh_token: str) -> bytes:
    """The request that uses a refresh token."""
    return post(*_form("/token", grant_type="refresh_token", refresh_token=refresh_token), basic(by))


def revoke(by: AgentCredentials, token: str) -> bytes:
    """The request that ends a token with all below it."""
    return post(*_form("/revoke", token=token), basic(by))


def outcome(door: Door, answer: Answer) -> Outcome:
    """What an answer says of the token that was presented at a door."""
    said = {
        Door.VERIFY: answer.members.get("is_valid"),
        Door.INTROSPECT: answer.members.get("active"),
        Door.EXCHANGE: bool(answer.text("access_token")) or None,
    }[door]
    if answer.status == 200 and said is True:
        return Outcome.ACCEPTED
    if answer.status == 200 and said is False:
        return Outcome.REFUSED
    if answer.status in _REFUSALS and answer.text("error"):
        return Outcome.REFUSED
    return Outcome.ERROR


def _form(path: str, **members: str) -> Question:
    return Question(path, FORM, urlencode(members, errors="surrogatepass").encode())
