"""Purposes: what grants are for, in words, for matchers. They never change, so they are remembered from batch to batch."""

from collections.abc import Mapping

#: Grants that are remembered; of more, those that were learned first are forgotten, and asked for again.
MOST = 65_536


class Purposes:
    """The descriptions of grants' tasks that one server has met lately."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def unknown(self, grants: set[int]) -> set[int]:
        """Those of these grants that are not remembered."""
        return grants - self._known.keys()

    def learn(self, found: Mapping[int, str]) -> None:
        """Remember these."""
        self._known.update(found)
        for grant in list(self._known)[: max(0, len(self._known) - MOST)]:
            del self._known[grant]

    def get(self, grant_id: int) -> str | None:
        """The description of a grant's task, if it is remembered."""
        return self._known.get(grant_id)
