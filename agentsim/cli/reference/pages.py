"""The places in pages that are made and not written: what stands between two comments, by name.

A page holds ``<!-- made: attacks -->`` and, further down, ``<!-- end -->``; what is between them is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agentsim.cli.reference import catalogues, commands, fields

#: What there is to be made, by the name that stands in the comment.
MADE: dict[str, Callable[[], str]] = {
    "commands": commands.commands,
    "overview": commands.overview,
    "scenario": fields.scenario,
    "role": fields.role,
    "policy": fields.policy,
    "sweep": fields.sweep,
    "costs": fields.costs,
    "thresholds": fields.thresholds,
    "suppressions": fields.suppressions,
    "features": catalogues.features,
    "refusals": catalogues.refusals,
    "attacks": catalogues.attacks,
    "signals": catalogues.other_signals,
    "unseen": catalogues.unseen,
    "roles": catalogues.roles,
    "notebooks": catalogues.notebooks,
}
_PLACE = re.compile(r"(<!-- made: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """A page with all its places filled anew.

    Raises
    ------
    KeyError
        If it has a place for something that is not made.
    """
    return _PLACE.sub(lambda place: f"{place[1]}\n{MADE[place[2]]()}\n\n{place[3]}", page)
