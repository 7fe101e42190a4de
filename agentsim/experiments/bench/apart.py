"""Work in a process of its own, so that what it takes is told of it alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import TypeVar

from agentsim.errors import UserError
from agentsim.experiments.bench.errors import BenchError

_Value = TypeVar("_Value")
#: Seconds that work may take to clear up when it is given up.
_PATIENCE = 20


def apart(work: Callable[[], _Value]) -> _Value:
    """Do something in a new process and wait for it. The process is gone when this returns or raises.

    Parameters
    ----------
    work : can be pickled, and so can what it returns.

    Raises
    ------
    BenchError
        With what it has to say where it raised an error of the user's, or where the process was killed.
    RuntimeError
        With the traceback of any other error.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, work), daemon=True)
    process.start()
    sender.close()
    try:
        succeeded, mistaken, value = receiver.recv()
        process.join()
    except EOFError:
        process.join()
        raise BenchError(
            f"the process ended with status {process.exitcode} (killed? out of memory?)"
        ) from None
    finally:
        # Ctrl-C ends the waiting, and with it the work: first so that it can clear up.
        process.terminate()
        process.join(_PATIENCE)
        process.kill()
        process.join()
        receiver.close()
    if mistaken:
        raise BenchError(value)
    if not succeeded:
        raise RuntimeError(value)
    result: _Value = value
    return result


def _work(sender: Connection, work: Callable[[], object]) -> None:
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        outcome = (True, False, work())
    except UserError as error:
        outcome = (False, True, str(error))
    except Exception:
        outcome = (False, False, traceback.format_exc())
    sender.send(outcome)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
