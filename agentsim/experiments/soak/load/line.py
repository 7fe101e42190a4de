"""A connection that is asked one thing after the other, and opened again where the server has closed it."""

from __future__ import annotations

import asyncio

from agentsim.experiments.bench.framing import Framing, Unreadable
from agentsim.experiments.soak.asks import Answer

#: Seconds after which an answer is not waited for any more.
PATIENCE = 30.0
_PIECE = 65_536


class NoAnswerError(Exception):
    """None came, or none that can be read; the message says which."""


class Line:
    """One connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._framing = Framing()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer.

        Raises
        ------
        NoAnswerError
            If none comes in time, or the connection fails.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(request)
        except (OSError, TimeoutError, Unreadable, ValueError) as exc:
            self.close()
            raise NoAnswerError(f"no answer: {exc or type(exc).__name__}") from exc

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _ask(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            self._framing = Framing()
        reader, writer = self._streams
        writer.write(request)
        while True:
            data = await reader.read(_PIECE)
            if not data:
                raise ConnectionResetError("closed before the answer")
            whole = self._framing.feed(data)
            if whole is not None:
                break
        if self._framing.closing:
            self.close()
        return Answer.of(whole)
