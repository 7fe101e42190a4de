"""What was honoured after revocations: the ``exposures`` table of a Run while it comes about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from agentsim.tables import make_table


@dataclass(slots=True)
class _Exposure:
    """What one resource server let through after one revocation. Times are microseconds after the mark."""

    verification: str
    first: int
    last: int
    honoured: int = 0
    tokens: set[int] = field(default_factory=set)


class Exposures:
    """Collects the exposure of one tenant, by revocation and resource server."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], _Exposure] = {}

    def note(self, revocation_id: int, resource: str, verification: str, token_id: int, after: int) -> None:
        """A call was honoured ``after`` microseconds after the mark that had ended its token."""
        found = self._found.setdefault((revocation_id, resource), _Exposure(verification, after, after))
        found.honoured += 1
        found.tokens.add(token_id)
        found.first, found.last = min(found.first, after), max(found.last, after)

    def table(self, tenant: int) -> pa.Table:
        """One row per revocation and resource server, in that order."""
        rows = [(*key, self._found[key]) for key in sorted(self._found)]
        columns: dict[str, Sequence[Any]] = {
            "tenant": [tenant] * len(rows),
            "revocation_id": [revocation_id for revocation_id, _, _ in rows],
            "resource": [resource for _, resource, _ in rows],
            "verification": [found.verification for _, _, found in rows],
            "honoured": [found.honoured for _, _, found in rows],
            "tokens": [len(found.tokens) for _, _, found in rows],
            "first_us": [found.first for _, _, found in rows],
            "last_us": [found.last for _, _, found in rows],
        }
        return make_table("exposures", len(rows), columns)
