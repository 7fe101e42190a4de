"""``agentsim`` by a clock of its own: this file instead of ``-m agentsim.cli``, a file, and the words of the command.

Not by its name: the package around it would be imported, which takes longer than to serve.
The file says by how many microseconds the clock differs from the machine's, and is looked at whenever the time is told.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

from agentsim.server.clock import SystemClock


def set_clock(file: Path, microseconds: int) -> None:
    """Let whoever runs by this file's clock be so far ahead of the machine's."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(str(microseconds), encoding="utf-8")
    # Whole: a clock that is half written would be another jump.
    os.replace(fresh, file)


def run_by(file: Path) -> None:
    """Let every system clock of this process be shifted as the file says."""

    def now(self: SystemClock) -> int:
        return time.time_ns() // 1000 + int(file.read_text(encoding="utf-8"))

    SystemClock.now = now  # type: ignore[method-assign]


if __name__ == "__main__":
    run_by(Path(sys.argv.pop(1)))
    runpy.run_module("agentsim.cli", run_name="__main__", alter_sys=True)
