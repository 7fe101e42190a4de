"""Watches each request from outside: metrics, and an access log of JSON lines without tokens or secrets.

A line holds the path without its query, the client, the address, the status, the reason of a refusal and the
duration. Nothing of a body or a header is ever written.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import IO, Any
from urllib.parse import quote

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentsim.server.credentials import writable_name
from agentsim.server.http.metrics import METERS

#: Lines that are kept back at most; they are written twice a second, and at the end.
_MOST_LINES = 5_000
#: Names and ids in paths are shorter, secrets and tokens longer.
_LONGEST_SEGMENT = 32


class AccessLog:
    """Collects lines and writes them together."""

    def __init__(self, clock: Callable[[], int], stream: IO[str] | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._lines: list[bytes] = []

    def add(self, line: dict[str, Any]) -> None:
        """Take a line in."""
        self._lines.append(orjson.dumps({"time": self._clock() // 1000, **line}))
        if len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected."""
        if self._lines:
            lines, self._lines = self._lines, []
            # A full disk or a reader who went away must cost lines, and not requests.
            with suppress(OSError):
                self._stream.write((b"\n".join(lines) + b"\n").decode())
                self._stream.flush()


class Observer:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, log: AccessLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._note(scope, status, perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        METERS[scope.get("agentsim.endpoint", "other")].observe(status, seconds)
        self._log.add(
            {
                "method": scope["method"],
                "path": _on_one_line(_without_secrets(scope["path"]))[:256],
                "status": status,
                "ms": round(seconds * 1000, 2),
                "ip": scope["client"][0] if scope.get("client") else None,
                "client_id": writable_name(scope.get("agentsim.client", "")),
                "reason": scope.get("agentsim.error"),
            }
        )


def _without_secrets(path: str) -> str:
    """A path in which nobody has put a token where a name should be."""
    return "/".join(part if len(part) <= _LONGEST_SEGMENT else "..." for part in path.split("/"))


def _on_one_line(path: str) -> str:
    """A path in which what a terminal would obey is spelt as it came: anybody may send it, and people read the log."""
    if path.isprintable():
        return path
    return "".join(letter if letter.isprintable() else quote(letter) for letter in path)
