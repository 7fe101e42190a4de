"""Answers on a connection: where one of them ends, and no more of HTTP than that takes."""

from __future__ import annotations

import re

_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LONGEST_HEAD = 65_536


class Unreadable(Exception):
    """No answer of HTTP/1.1 that tells its length; ``received`` is what came."""

    def __init__(self, received: bytes) -> None:
        super().__init__("unreadable")
        self.received = received


class Framing:
    """Puts together what comes on one connection, one answer at a time.

    Attributes
    ----------
    closing : whether the server will close the connection after this answer.
    """

    def __init__(self) -> None:
        self.closing = False
        self._received = bytearray()
        #: How long the answer is; 0 before its head is here.
        self._length = 0

    def feed(self, data: bytes) -> bytes | None:
        """The whole answer, once it is here.

        Raises
        ------
        Unreadable
            If it is none, or more comes than it says.
        """
        self._received += data
        if not self._length:
            self._length = self._find_length()
        if not self._length or len(self._received) < self._length:
            return None
        answer, self._received = bytes(self._received), bytearray()
        if len(answer) > self._length:
            raise Unreadable(answer)
        self._length = 0
        return answer

    def _find_length(self) -> int:
        end = self._received.find(b"\r\n\r\n")
        if end < 0 and len(self._received) < _LONGEST_HEAD:
            return 0
        found = _LENGTH.search(self._received, 0, end + 2)
        if end < 0 or found is None:
            raise Unreadable(bytes(self._received[:300]))
        self.closing = _CLOSE.search(self._received, 0, end) is not None
        return end + 4 + int(found[1])
