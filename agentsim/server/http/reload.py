"""The policy's file, looked at now and then: what has changed in it stands from then on, without a restart."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentsim.server.core import Server
from agentsim.server.http.callers import ADMINISTRATOR
from agentsim.server.http.metrics import RELOADS
from agentsim.server.policy import Policy

_log = logging.getLogger("agentsim.serve")
#: Moment of the last change and size: what tells that a file may say something else now.
_Seen = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A file and how to read it; it travels between processes.

    ``load`` raises ValueError with all that is wrong where the file cannot be used.
    """

    path: Path
    load: Callable[[], Policy]


class PolicyWatch:
    """Reads a policy's file again when it has changed. A file that cannot be used changes nothing.

    Parameters
    ----------
    source : the file.
    server : whose rules it holds.
    """

    def __init__(self, source: PolicySource, server: Server) -> None:
        self._source = source
        self._server = server
        # What was read before this began may have been written over since.
        self._seen: _Seen = None

    async def look(self) -> None:
        """Take in what the file says now."""
        seen = _state_of(self._source.path)
        if seen == self._seen:
            return
        self._seen = seen
        await asyncio.to_thread(self._reload)

    def _reload(self) -> None:
        before = self._server.policy.digest
        try:
            rules = self._server.change_policy(self._source.load(), ADMINISTRATOR)
        except ValueError as fault:
            RELOADS.labels("refused").inc()
            _log.error("the policy was not changed: %s", fault)
            return
        if rules.digest != before:
            RELOADS.labels("changed").inc()
            _log.warning("the policy has changed: %s", rules.digest[:16])


def _state_of(path: Path) -> _Seen:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
