"""Nobody gets more than what bounds them: the parent's token, the grant's first issue, the registration.

Texts repeat: what a million grants were given are a few thousand different pairs of held and asked text, and
each pair is judged once.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from agentsim.lineage.containment import surplus, surplus_of_registration
from agentsim.lineage.forest import Indices, find
from agentsim.lineage.rules.evidence import Columns, Evidence
from agentsim.lineage.rules.violation import Violation, tell

_SETS = ("scope", "granted_tools", "granted_resources")
_REGISTERED = {"granted_tools": "registered_allowed_tools", "granted_resources": "registered_allowed_res"}
_UPDATES = """
    SELECT client_id, max(log_id) AS log_id FROM audit
    WHERE event_type = 'agent_updated' AND status = 'granted' GROUP BY client_id
"""
_Judge = Callable[..., tuple[str, ...]]


def check_sets(evidence: Evidence) -> list[Violation]:
    """Scope, tools and resources: child within the parent's token, refresh within the grant's first issue."""
    tokens, found = evidence.tokens, []
    for rows, bounds, bound in _bounded(evidence):
        for column in _SETS:
            texts = tokens.words(column)
            held, asked = texts.codes[bounds], texts.codes[rows]
            excess = _judge(surplus, (texts.texts, texts.texts), (held, asked))
            found += _tell_excess(evidence, "sets", rows, excess, column, bound)
    return found


def check_registration(evidence: Evidence) -> list[Violation]:
    """Scope, tools, resources and level of each grant within the registration of its agent.

    Of a registration that was changed the Run has the last form alone: older grants are not held against it.
    """
    tokens, agents = evidence.tokens, evidence.agents
    missing = evidence.agent < 0
    found = tell("registration", missing, evidence.token, "its agent is not in the Run")
    rows = evidence.grants[~missing[evidence.grants]]
    rows = rows[tokens.ids[rows] > _last_updates(evidence)[evidence.agent[rows]]]
    bounds = evidence.agent[rows]
    for column, registered in _REGISTERED.items():
        held, asked = agents.words(registered), tokens.words(column)
        excess = _judge(surplus, (held.texts, asked.texts), (held.codes[bounds], asked.codes[rows]))
        found += _tell_excess(evidence, "registration", rows, excess, column, "the registration")
    held_columns = [agents.words(name) for name in (*_REGISTERED.values(), "registered_scope")]
    asked = tokens.words("scope")
    excess = _judge(
        surplus_of_registration,
        (*(words.texts for words in held_columns), asked.texts),
        (*(words.codes[bounds] for words in held_columns), asked.codes[rows]),
    )
    found += _tell_excess(evidence, "registration", rows, excess, "scope", "the registration")
    ranks = evidence.run.manifest.policy.get("levels", [])
    above = _rank(tokens, ranks)[rows] > _rank(agents, ranks)[bounds]
    return found + tell(
        "registration",
        rows[above],
        evidence.grant,
        "its level is above the registration's",
    )


def _last_updates(evidence: Evidence) -> Indices:
    """For each agent the audit row that changed its registration last; 0 where none did."""
    updates = evidence.run.sql(_UPDATES)
    last = np.zeros(len(evidence.agents), dtype=np.int64)
    place = find(evidence.agents.ids, updates["client_id"].to_numpy(np.int64))
    last[place[place >= 0]] = updates["log_id"].to_numpy(np.int64)[place >= 0]
    return last


def check_levels(evidence: Evidence) -> list[Violation]:
    """The level is known, and no higher than the parent's token or the grant's first issue has."""
    levels = evidence.run.manifest.policy.get("levels", [])
    rank = _rank(evidence.tokens, levels)
    found = tell("level", rank < 0, evidence.token, f"its level is none of {', '.join(levels)}")
    for rows, bounds, bound in _bounded(evidence):
        found += tell(
            "level",
            rows[rank[rows] > rank[bounds]],
            evidence.token,
            f"its level exceeds that of {bound}",
        )
    return found


def check_expiry(evidence: Evidence) -> list[Violation]:
    """No grant outlives its parent's, no token its grant, no first token the token that bounded it."""
    tokens = evidence.tokens
    expires, ends, issued = (tokens.ints(name) for name in ("expires_at", "grant_expires_at", "issued_at"))
    found = _tell_tokens(evidence, expires > ends, "it expires after its grant does")
    found += _tell_tokens(evidence, issued > expires, "it was issued after it had expired")
    rows, bounds = _children(evidence)
    for wrong, message in (
        (ends[rows] > ends[bounds], "its grant expires after the parent's"),
        (expires[rows] > expires[bounds], "it expires after the parent's token that bounded it"),
        (issued[rows] >= expires[bounds], "it was issued when the parent's token had expired"),
        (issued[rows] < issued[bounds], "it was issued before the parent's token"),
    ):
        found += _tell_tokens(evidence, rows[wrong], message)
    return found


def _tell_tokens(evidence: Evidence, wrong: npt.NDArray[np.bool_] | Indices, message: str) -> list[Violation]:
    return tell("expiry", wrong, evidence.token, message)


def _children(evidence: Evidence) -> tuple[Indices, Indices]:
    """First issues of children, and the rows of the tokens that bounded them."""
    rows = evidence.grants[evidence.parent[evidence.grants] >= 0]
    return rows, evidence.parent[rows]


def _bounded(evidence: Evidence) -> list[tuple[Indices, Indices, str]]:
    """Rows, what bounds each, and what that is called."""
    refreshed = np.flatnonzero(
        (evidence.tokens.ids != evidence.tokens.ints("grant_id")) & (evidence.first >= 0)
    )
    return [
        (*_children(evidence), "the parent's token"),
        (refreshed, evidence.first[refreshed], "the grant's first token"),
    ]


def _rank(columns: Columns, levels: Sequence[str]) -> Indices:
    words = columns.words("max_scope_level")
    return words.each([levels.index(name) if name in levels else -1 for name in words.texts], np.int64)


def _judge(
    judge: _Judge, texts: Sequence[Sequence[str]], codes: Sequence[Indices]
) -> dict[int, tuple[str, ...]]:
    """The rows with an excess, and what it is; each distinct combination of texts is judged once.

    Parameters
    ----------
    judge : takes one text of each kind and gives the members that are too much.
    texts, codes : for each kind of text the distinct texts, and their code in each row.
    """
    group = np.zeros(len(codes[0]), dtype=np.int64)
    example = group[:0]
    for distinct, code in zip(texts, codes, strict=True):
        # Made compact after every kind, so that the product of their numbers cannot overflow.
        _, example, group = np.unique(group * len(distinct) + code, return_index=True, return_inverse=True)
    verdicts = [
        judge(*(distinct[code[row]] for distinct, code in zip(texts, codes, strict=True))) for row in example
    ]
    too_much = np.array([bool(verdict) for verdict in verdicts], dtype=bool)
    return {int(row): verdicts[group[row]] for row in np.flatnonzero(too_much[group])}


def _tell_excess(
    evidence: Evidence,
    rule: str,
    rows: Indices,
    excess: dict[int, tuple[str, ...]],
    column: str,
    bound: str,
) -> list[Violation]:
    told = {int(rows[place]): members for place, members in excess.items()}
    return tell(
        rule,
        np.array(list(told), dtype=np.int64),
        evidence.token,
        lambda row: f"its {column} exceeds that of {bound}: {' '.join(told[row][:5])}",
    )
