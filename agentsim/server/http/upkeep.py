"""Upkeep beside requests: heads of audit chains are signed, and what is long over is removed."""

import asyncio
import logging
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from agentsim.server.checkpoints import Notary
from agentsim.server.core import Server
from agentsim.server.http.gather import Gatherer
from agentsim.server.store import ConflictError

#: Seconds between two looks at what is to be signed, and two clean-ups.
_SIGN, _CLEAN = 5.0, 60.0

_log = logging.getLogger("agentsim.serve")


class Upkeep:
    """What a serving process does for its database.

    Parameters
    ----------
    keep_us : how long trees are kept after their end; None: for ever, and so is all else that is over.
    """

    def __init__(self, server: Server, notary: Notary, gatherer: Gatherer, keep_us: int | None) -> None:
        self._server = server
        self._notary = notary
        self._gatherer = gatherer
        self._keep_us = keep_us
        self._sign_at = self._clean_at = monotonic()

    async def look(self) -> None:
        """Do what is due."""
        if monotonic() >= self._sign_at:
            self._sign_at = monotonic() + _SIGN
            await asyncio.to_thread(self._sign, closing=False)
        if self._keep_us is not None and monotonic() >= self._clean_at:
            self._clean_at = monotonic() + _CLEAN
            self._gatherer.clean(self._keep_us)

    async def close(self) -> None:
        """Sign where the chain ends, after the last request has been answered."""
        await asyncio.to_thread(self._sign, closing=True)

    def _sign(self, *, closing: bool) -> None:
        try:
            self._notary.step(self._server.head(), closing=closing)
        except (SQLAlchemyError, ConflictError) as exc:
            _log.error("no head was signed: %s", str(exc).partition("\n")[0])
