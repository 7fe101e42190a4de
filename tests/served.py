"""``agentsim serve`` as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.callers import ADMIN_TOKEN, Caller

ROOT = Path(__file__).parents[1]


class Served(Caller):
    """``agentsim serve`` as a process of its own in a folder of its own.

    ``variables`` are of the environment; None takes one away.
    """

    def __init__(self, folder: Path, *arguments: object, **variables: str | None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._out, self._err = folder / "out", folder / "err"
        wanted = {"AGENTSIM_ADMIN_TOKEN": ADMIN_TOKEN, "PYTHONPATH": str(ROOT), **variables}
        environment = {name: value for name, value in (os.environ | wanted).items() if value is not None}
        command = [sys.executable, "-m", "agentsim.cli", "serve", "--port", "0", *map(str, arguments)]
        with self._out.open("w") as out, self._err.open("w") as err:
            # A session of its own: its signals come from the tests, not from the keyboard.
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=out, stderr=err, start_new_session=True
            )
        told = self._told()
        self.issuer = told["Serving"]
        self.http = httpx.Client(base_url=told.get("Address", self.issuer), timeout=30, trust_env=False)

    def _told(self) -> dict[str, str]:
        """What it says once it serves: a word and its value on each line."""
        for _ in range(1_200):
            told = dict(line.split(maxsplit=1) for line in self.out.splitlines() if line[:1].isupper())
            if "Keys" in told:
                return told
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"it does not serve: {self.err}")

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The access log: all that it writes to standard error."""
        # Not by splitlines: a path may hold what Unicode takes for the end of a line.
        return [json.loads(line) for line in self.err.split("\n") if line]

    def stop(self, by: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(60)

    def close(self) -> None:
        """End it, whatever state it is in."""
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
