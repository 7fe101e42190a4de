"""Checkpoints beside the writer: what a fill has logged is put in its place by a thread of its own.

A commit that finds much in SQLite's log puts it in its place first, and whoever asks waits: a tenth of a second for
40 MB, and a fill logs that much several times a second.
"""

import sqlite3
import time
from contextlib import closing, suppress
from threading import Event, Lock, Thread

#: Seconds between two passes, and for which nothing has been hurried before the thread ends.
_PAUSE, _IDLE = 0.02, 1.0


class Checkpointer:
    """A thread that lives while it is asked for.

    Parameters
    ----------
    path : the database's file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._thread: Thread | None = None
        self._asked = 0.0
        self._closing = Event()

    @property
    def alive(self) -> bool:
        """Whether the log is taken care of."""
        return self._thread is not None

    def ask(self) -> None:
        """Take care of the log for a while."""
        with self._lock:
            self._asked = time.monotonic()
            if self._thread is None:
                self._closing.clear()
                self._thread = Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        thread = self._thread
        self._closing.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        # A pass that fails ends the thread, and commits look after the log themselves again.
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(self._path, isolation_level=None)) as connection,
        ):
            while not self._closing.wait(_PAUSE):
                # It never waits for writers, nor they for it.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                with self._lock:
                    if time.monotonic() - self._asked > _IDLE:
                        break
        with self._lock:
            self._thread = None
