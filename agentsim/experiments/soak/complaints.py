"""What a server has said that it should have no reason to say."""

from __future__ import annotations

import json
from collections.abc import Collection

from agentsim.experiments.soak.tally import Tally, note


def complain(tally: Tally, said: str, expected: Collection[str] = ()) -> None:
    """Count them as errors that nothing had asked for; see :func:`complaints`."""
    for sentence in complaints(said, expected):
        tally.unasked += 1
        note(tally, sentence)


def complaints(said: str, expected: Collection[str] = ()) -> list[str]:
    """Lines about errors among what a server has written, and answers with a status of 500.

    Parameters
    ----------
    said : all that it has written; what is no JSON, it said before it served.
    expected : how messages begin that what was done to it explains.
    """
    found = []
    for line in said.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if not isinstance(told, dict):
            continue
        message = str(told.get("message", ""))
        if told.get("level") in ("error", "critical") and not message.startswith(tuple(expected)):
            found.append(f"it said: {message} {str(told.get('traceback', ''))[-300:]}".strip())
        elif told.get("status") == 500:
            found.append(f"{told.get('method')} {told.get('path')} was answered 500")
    return found
