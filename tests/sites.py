"""Token servers served by a thread of the tests, on clocks that stand still."""

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from agentsim.server import ManualClock, Policy, Server, SigningKey, Store
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest
from agentsim.server.http.app import make_app
from agentsim.server.http.observer import AccessLog
from agentsim.server.http.serving import bind
from agentsim.server.keyring import KeyRing
from tests.callers import ADMIN_TOKEN, Caller

NOW = 1_790_000_000 * SECOND


class Site(Caller):
    """One served token server and a client that talks to it."""

    def __init__(
        self,
        folder: Path,
        *,
        path: str = "",
        database: str | None = None,
        matcher: Any = None,
        watcher: Any = None,
        **policy: Any,
    ) -> None:
        self._matcher = matcher
        self.clock = ManualClock(NOW)
        self.bound = bind("127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self.bound.getsockname()[1]}"
        self.issuer = self.origin + path
        self.policy = Policy(issuer=self.issuer, **policy)
        self.log_file = folder / "access.log"
        self.database = database or f"sqlite:///{folder / 'site.sqlite'}"
        self._log = self.log_file.open("w")
        self.server: Server | None = None
        app = make_app(
            self.issuer,
            self._open,
            digest(ADMIN_TOKEN),
            watcher=watcher,
            clock=self.clock,
            log=AccessLog(self.clock.now, self._log),
        )
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")
        )
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self.bound]})
        self._thread.start()
        for _ in range(1_000):
            if self._uvicorn.started or not self._thread.is_alive():
                break
            time.sleep(0.01)
        assert self._uvicorn.started, "the server did not come up"
        self.http = httpx.Client(base_url=self.issuer, timeout=30)

    def _open(self) -> Server:
        store = Store(self.database, synchronous="OFF")
        keyring = KeyRing(SigningKey.generate())
        self.server = Server(
            store, policy=self.policy, clock=self.clock, keyring=keyring, matcher=self._matcher
        )
        return self.server

    def close(self) -> None:
        self.http.close()
        self._uvicorn.should_exit = True
        self._thread.join()
        self.bound.close()
        self._log.close()
