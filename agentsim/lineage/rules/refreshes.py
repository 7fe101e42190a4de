"""A refresh token is consumed once."""

import numpy as np

from agentsim.lineage.forest import find
from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell


def check_refresh_once(evidence: Evidence) -> list[Violation]:
    """No two tokens come from one refresh token, except within the grace window; a consumed one has led to one."""
    tokens = evidence.tokens
    issued, consumed = tokens.ints("issued_at"), tokens.ints("refresh_consumed_at")
    previous = find(tokens.ids, tokens.ints("previous_token_id"))
    is_refresh = tokens.ids != tokens.ints("grant_id")
    found = _tell(
        evidence, is_refresh != (tokens.ints("previous_token_id") > 0), "a refresh names no previous token"
    )
    found += _tell(evidence, is_refresh & (previous < 0), "the token it was exchanged for is not in the Run")
    rows = np.flatnonzero(previous >= 0)
    old = previous[rows]
    grant = tokens.ints("grant_id")
    found += _tell(
        evidence, rows[grant[rows] != grant[old]], "the token it was exchanged for is of another grant"
    )
    # By age: the first exchange of each old token consumes it, later ones need the grace window.
    _, first = np.unique(old, return_index=True)
    again = np.ones(len(rows), dtype=bool)
    again[first] = False
    grace = evidence.run.manifest.most("refresh_grace_us") or 0
    too_late = again & ((issued[rows] - consumed[old] > grace) | (grace == 0))
    found += _tell(evidence, rows[too_late], "the refresh token it was exchanged for had been consumed")
    untrue = consumed[old[first]] != issued[rows[first]]
    found += _tell(evidence, old[first][untrue], "refresh_consumed_at is not the moment of its exchange")
    led_on = np.zeros(len(tokens), dtype=bool)
    led_on[old] = True
    return found + _tell(evidence, (consumed > 0) & ~led_on, "it was consumed, but no token came of it")


def _tell(evidence: Evidence, wrong: np.ndarray, message: str) -> list[Violation]:
    return tell("refresh_once", wrong, evidence.token, message)
