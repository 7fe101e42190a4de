"""Servers in processes of their own: started, waited for until they answer, and stopped whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agentsim.experiments.bench.errors import BenchError

#: Seconds that a server may take to come up, and to finish what it has begun.
_START, _STOP = 60, 30
_TAIL = 2000
#: Loopback is reached without the proxy that the environment may name.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Child:
    """A server that runs in a process of its own."""

    name: str
    port: int
    _process: subprocess.Popen[bytes]
    _log: IO[bytes]

    @property
    def pid(self) -> int:
        """The process that was started; where several serve, the one above them."""
        return self._process.pid

    def require(self) -> None:
        """Go on only while it runs.

        Raises
        ------
        BenchError
            With the end of what it has said.
        """
        if self._process.poll() is not None:
            raise BenchError(f"{self.name} ended with status {self._process.returncode}{self._told()}")

    def get(self, path: str) -> bytes | None:
        """The body of a page, whatever its status; None while nobody listens."""
        try:
            with _direct.open(f"http://127.0.0.1:{self.port}{path}", timeout=_START) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.read()
        except (urllib.error.URLError, ConnectionError):
            return None

    def wait(self) -> None:
        """Wait until it answers.

        Raises
        ------
        BenchError
            If it ends before, or takes too long.
        """
        deadline = time.monotonic() + _START
        while self.get("/") is None:
            self.require()
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} does not answer after {_START} seconds{self._told()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Let it finish what it has begun, and no longer than it may take."""
        self._process.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP)
        finally:
            # Also where Ctrl-C ends the waiting.
            self.kill()

    def kill(self) -> None:
        """End it and all that it has started at once, as ``kill -9`` does: it finishes nothing."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Forget what it has said, once it has ended."""
        self._log.close()

    def said(self) -> str:
        """All that it has written to its outputs."""
        # By place: the file's position is the child's, too.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def _told(self) -> str:
        said = self.said()[-_TAIL:].strip()
        return f"; its last words:\n{said}" if said else ""


def start(name: str, *words: str, port: int, variables: Mapping[str, str] | None = None) -> Child:
    """Start a Python program that serves on the port that its last word names; whoever starts it waits and ends it.

    Parameters
    ----------
    name : what messages call it.
    words : what Python is called with; the port is put after them.
    variables : of its environment, beside those that it inherits.
    """
    log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
    # A session of its own: Ctrl-C is ours, and we stop it in order.
    process = subprocess.Popen(
        [sys.executable, *words, str(port)],
        env={**os.environ, **(variables or {})},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    return Child(name, port, process, log)


@contextmanager
def running(name: str, *words: str) -> Iterator[Child]:
    """A Python program that serves on the port that its last word names, until the block ends.

    Parameters
    ----------
    name : what messages call it.
    words : what Python is called with; the port is put after them.

    Raises
    ------
    BenchError
        If it does not come up.
    """
    child = start(name, *words, port=free_port())
    try:
        child.wait()
        yield child
    finally:
        child.stop()
        child.close()


def serve_words(
    folder: Path,
    database: str,
    *more: str,
    policy: str = "{}\n",
    program: Sequence[str] = ("-m", "agentsim.cli"),
) -> tuple[str, ...]:
    """The words after Python that serve a database, for :func:`start`.

    Parameters
    ----------
    folder : holds the keys, and the policy, which is written there: not the one that lies where the command is called.
    database : URL.
    more : of the command, beside those that say where everything is.
    policy : the policy file's text; by default nothing is limited or forbidden.
    program : the words after Python that stand for ``agentsim``.
    """
    rules = folder / "policy.yaml"
    rules.write_text(policy, encoding="utf-8")
    where = ("--db", database, "--keys", str(folder / "keys.json"), "--policy", str(rules))
    return (*program, "serve", *where, *more, "--port")


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
