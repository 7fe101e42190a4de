"""Heads of requests are bounded: the parser collects a line, headers and trailers for as long as they go on."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes that may come before what they belong to is whole; what one read brings comes on top.
LONGEST_HEAD = 64 * 1024
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's connection, which ends where a head, or what follows a body, does not."""

    #: Bytes since a head, a part of a body or a request was whole the last time.
    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body is whole."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._unfinished = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        # While another request of the connection is being answered, the refusal would stand in the midst of that.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_REFUSAL)
        self.transport.close()
