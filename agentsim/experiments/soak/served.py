"""``agentsim serve`` in a process of its own, on a database and keys that outlive it: killed, ended, served again."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from agentsim.experiments.bench.children import Child, free_port, serve_words, start

#: Seconds that one answer may take: a database that is locked is waited for half a minute.
_PATIENCE = 60


class Served:
    """A served token server; inside a ``with`` block it serves.

    It comes back on the same port, so under the same name: tokens that it signed before are its own afterwards.

    Parameters
    ----------
    folder : holds the keys, the policy, and the database where none is named.
    database : URL; None: an SQLite file in the folder.
    words : of the command, beside those that say where everything is.
    policy : the policy file's text; by default nothing is limited or forbidden.
    program : the words after Python that stand for ``agentsim``.
    """

    def __init__(
        self,
        folder: Path,
        database: str | None = None,
        *words: str,
        policy: str = "{}\n",
        program: tuple[str, ...] = ("-m", "agentsim.cli"),
    ) -> None:
        self.database = database or f"sqlite:///{folder / 'agentsim.sqlite'}"
        self.keys = folder / "keys.json"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        token = secrets.token_urlsafe(32)
        #: Headers of the administrator.
        self.as_admin = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(
            base_url=self.url,
            timeout=_PATIENCE,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        )
        self._command = serve_words(folder, self.database, *words, policy=policy, program=program)
        self._variables = {"AGENTSIM_ADMIN_TOKEN": token}
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self.stop()
        self.http.close()

    @property
    def pid(self) -> int:
        """The process that serves; where several do, the one above them."""
        return self._running.pid

    def start(self) -> None:
        """Serve, for the first time or again, and wait until it answers.

        Raises
        ------
        BenchError
            If it does not come up, with its last words.
        """
        child = start("agentsim serve", *self._command, port=self.port, variables=self._variables)
        try:
            child.wait()
        except BaseException:
            child.kill()
            child.close()
            raise
        self._child = child

    def kill(self) -> str:
        """``kill -9``: it finishes nothing. Returns what it had written to its outputs."""
        child, self._child = self._running, None
        child.kill()
        return _last_words(child)

    def stop(self) -> str:
        """End it in good order. Returns what it has written to its outputs."""
        child, self._child = self._running, None
        child.stop()
        return _last_words(child)

    def said(self) -> str:
        """What it has written to its outputs since it was started."""
        return self._running.said()

    @property
    def _running(self) -> Child:
        assert self._child is not None, "it does not run"
        return self._child


def _last_words(child: Child) -> str:
    said = child.said()
    child.close()
    return said
