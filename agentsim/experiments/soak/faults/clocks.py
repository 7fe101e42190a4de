"""A clock that goes backwards: under a server that runs, and between its end and its next start.

Ids go on upwards, so what was issued before a mark is still older than the mark; audit rows keep their order; a token is
good until the clock says that it has expired.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from agentsim.experiments.soak.complaints import complain
from agentsim.experiments.soak.faults import shifted
from agentsim.experiments.soak.faults.shifted import set_clock
from agentsim.experiments.soak.kills.crashes import drive
from agentsim.experiments.soak.kills.kept import are_valid, look
from agentsim.experiments.soak.kills.mixed import POLICY, Caller
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note
from agentsim.server.clock import SECOND

_HOUR = 3600 * SECOND
_CALLERS, _BEFORE = 4, 0.8
#: Longer than any token of :data:`POLICY` lives, after the latest moment at which one was issued.
_LATER = 7 * _HOUR


def set_back(folder: Path, database: str | None) -> Tally:
    """The clock is set back by an hour while the server is asked, and by another one while it does not run."""
    tally = Tally(part="faults", name="clock set back, and back again before a start", tried=2)
    clock = folder / "clock"
    set_clock(clock, 2 * _HOUR)
    program = ("-P", shifted.__file__, str(clock))
    served = Served(folder, database, policy=POLICY, program=program)
    draws = np.random.default_rng(0).spawn(_CALLERS)
    callers = [Caller(served, number, draw) for number, draw in enumerate(draws)]

    def turn() -> str:
        set_clock(clock, _HOUR)
        time.sleep(_BEFORE)
        return served.kill()

    with served:
        complain(tally, drive(callers, _BEFORE, turn))
        set_clock(clock, 0)
        served.start()
        look(served, callers, tally)
        for caller in callers:
            caller.ask_each()
        look(served, callers, tally)
        _expire(served, callers, clock, tally)
        complain(tally, served.stop())
    return tally


def _expire(served: Served, callers: list[Caller], clock: Path, tally: Tally) -> None:
    """Whenever they were issued, by the clock all of them have expired."""
    set_clock(clock, _LATER)
    tokens = [token for caller in callers for grant in caller.grants for token in grant.tokens]
    honoured = sum(are_valid(served, tokens))
    if honoured:
        tally.let_in += honoured
        note(tally, f"{honoured} of {len(tokens)} tokens are honoured after their expiry")
