"""What came of a command."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """Its exit status, what it printed and what it complained about."""

    status: int
    out: str
    err: str
