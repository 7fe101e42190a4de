"""Token requests, encoded once: a benchmark's generator only puts a number in before it sends one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

import orjson

#: Whom a benchmark's agents belong to, and what each of them may do and asks for.
OWNER = "bench"
TOOLS = ("file_read",)
RESOURCES = ("github",)
SCOPE = "file_read:github"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
#: Where a request's number goes: in a form, in JSON and beside base64 nothing else is written like this.
_TICKET = b"~" * 9


class AgentCredentials(NamedTuple):
    """What an agent authenticates itself with."""

    client_id: str
    client_secret: str


class Requests:
    """An endless row of requests; each has the next agent and a task of its own.

    Parameters
    ----------
    templates : whole HTTP requests with a mark where the number goes.
    grants : how many grants each of them asks for.
    """

    def __init__(self, templates: Sequence[bytes], grants: int) -> None:
        self.grants = grants
        self._templates = templates
        self._count = 0

    def next(self) -> bytes:
        """The next one."""
        number = self._count
        self._count += 1
        template = self._templates[number % len(self._templates)]
        return template.replace(_TICKET, b"%09d" % number)


def single_requests(agents: Sequence[AgentCredentials], path: str) -> Requests:
    """One grant a request: a form, the client authenticated with HTTP Basic (RFC 6749 section 2.3.1)."""
    return Requests([_form(agent, path) for agent in agents], 1)


def batch_requests(agents: Sequence[AgentCredentials], path: str, size: int) -> Requests:
    """The batch form: ``size`` agents in one request of JSON. Needs as many agents; a rest is left out."""
    starts = range(0, len(agents) - size + 1, size)
    return Requests([_batch(agents[start : start + size], path) for start in starts], size)


def _form(agent: AgentCredentials, path: str) -> bytes:
    task = f"task-{_TICKET.decode()}-00"
    body = f"grant_type=client_credentials&task_id={task}&scope={SCOPE.replace(':', '%3A')}"
    return post(path, FORM, body.encode(), basic(agent))


def _batch(agents: Sequence[AgentCredentials], path: str) -> bytes:
    asked = [
        {
            **agent._asdict(),
            "grant_type": "client_credentials",
            "task_id": f"task-{_TICKET.decode()}-{place:02}",
            "scope": SCOPE,
        }
        for place, agent in enumerate(agents)
    ]
    return post(path, JSON, orjson.dumps({"owner": OWNER, "requests": asked}))


def basic(agent: AgentCredentials) -> str:
    """The header by which an agent authenticates itself (RFC 6749 section 2.3.1)."""
    return f"Authorization: Basic {base64.b64encode(':'.join(agent).encode()).decode()}\r\n"


def post(path: str, content_type: str, body: bytes, headers: str = "") -> bytes:
    """A whole request; further headers end with a line break each."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
