"""What there is to be known of a tenant's marks: when each was made, and when its rows were filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from agentsim.server.batch import Row
from agentsim.server.claims import Claims
from agentsim.server.store import Store

#: Later than any moment.
NEVER = 2**63 - 1


@dataclass(slots=True)
class Mark:
    """A revocation. Times are microseconds."""

    revocation_id: int
    at: int
    #: When the rows of all tokens below it had been filled in.
    filled_at: int = NEVER


class Marks:
    """The marks that have been committed so far.

    Parameters
    ----------
    read : rows of ``revocations`` that were committed since it was called last.
    """

    def __init__(self, read: Callable[[], Iterable[Row]]) -> None:
        self._read = read
        self._by_key: dict[tuple[str, int], Mark] = {}
        self._unfilled: list[Mark] = []

    def catch_up(self) -> None:
        """Take in what was committed since."""
        for row in self._read():
            # Nobody in a simulation ends a principal, or lets an agent that was disabled act again.
            assert row["kind"] in ("grant", "task", "client"), row["kind"]
            mark = Mark(row["revocation_id"], row["revoked_at"])
            self._by_key.setdefault((row["kind"], row["key"]), mark)
            self._unfilled.append(mark)

    def fill(self, moment: int) -> None:
        """All rows below all marks have been filled in, at this moment."""
        for mark in self._unfilled:
            mark.filled_at = moment
        self._unfilled.clear()

    def above(self, claims: Claims) -> Iterator[Mark]:
        """The marks that end a token: on its grant, its task, its agent, or those of an ancestor."""
        for grant, client, task in claims.lineage:
            for key in (("grant", grant), ("task", task), ("client", client)):
                if (mark := self._by_key.get(key)) is not None:
                    yield mark


def committed_marks(store: Store) -> Callable[[], Iterable[Row]]:
    """Reads a tenant's marks from its database, each once, in the order of their commits."""
    place = 0

    def read() -> Iterable[Row]:
        nonlocal place
        with store.transaction() as connection:
            rows, place = store.marks_after(connection, place)
        return rows

    return read
