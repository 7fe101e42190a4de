"""A relay before a PostgreSQL: cut, it takes the database away from a server, which sees what a lost one looks like."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread

from sqlalchemy import URL, make_url

_CHUNK = 65_536
_USUAL_PORT = 5432


class Relay:
    """Hands bytes on between a port of loopback and the database, until it is cut.

    Parameters
    ----------
    database : URL of the PostgreSQL.
    """

    def __init__(self, database: str) -> None:
        self._target = make_url(database)
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._listener = _listen(0)
        self._port = int(self._listener.getsockname()[1])
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def url(self) -> str:
        """The database's URL, by way of the relay."""
        others = {name: value for name, value in self._target.query.items() if name not in ("host", "port")}
        through = self._target.set(host="127.0.0.1", port=self._port, query=others)
        return through.render_as_string(hide_password=False)

    def cut(self) -> None:
        """Break every connection, and let nobody in."""
        _end(self._listener)
        with self._lock:
            for each in self._open:
                _end(each)
            self._open.clear()

    def mend(self) -> None:
        """Let new connections through again, at the same place."""
        self._listener = _listen(self._port)
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                outer, _ = listener.accept()
                inner = _connect(self._target)
                with self._lock:
                    self._open |= {outer, inner}
                for source, sink in ((outer, inner), (inner, outer)):
                    Thread(target=_hand_on, args=(source, sink), daemon=True).start()


def _hand_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def _connect(target: URL) -> socket.socket:
    """As libpq does: a host that is a path is the folder of a socket."""
    host = str(target.query.get("host") or target.host or "localhost")
    port = int(str(target.query.get("port") or target.port or _USUAL_PORT))
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(Path(host) / f".s.PGSQL.{port}"))
    return connection


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
