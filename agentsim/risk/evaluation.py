"""How good a detector is. Here, and in experiments, labels are read; nowhere else.

Simulated attacks have a label per attacker operation, recorded traces one per run. Both become a truth per
grant: attacked, not, or unknown (then not scored); and per attack what it touched: grants, the parents of children that
it asked for, their trees, and the agents of its operations. What else is in those trees is a neighbour: what an attack
does to it is neither found nor a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentsim.errors import UserError
from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.metrics import (
    Estimate,
    pr_auc,
    recall_at,
    roc_auc,
    within_base_rate,
    within_pr_auc,
    within_roc_auc,
)
from agentsim.run import Run


class EvaluationError(UserError):
    """These labels cannot judge a detector; the message says what is missing."""


@dataclass(frozen=True)
class Truth:
    """What is known about each grant.

    Attributes
    ----------
    label : per grant: 1 attacked, 0 not, -1 unknown.
    attempted : per grant: whether an attack was tried at all.
    attack : per grant: the kind of its (first) attack, "" for none.
    attacks : one row per attack and grant that it touched: ``attack``, ``instance``, ``place`` (position of the
        grant; -1 where an operation of the attack was about no grant).
    """

    label: Ints
    attempted: Flags
    attack: pd.Series
    attacks: pd.DataFrame

    @property
    def attacked(self) -> Flags:
        """Where the label is 1."""
        return np.asarray(self.label == 1)

    @property
    def known(self) -> Flags:
        """Where the label is not in dispute."""
        return np.asarray(self.label >= 0)


def has_labels(run: Run) -> bool:
    """Whether anything is said of who was attacked."""
    return bool(run.sql("SELECT count(*) AS rows FROM labels")["rows"].iloc[0])


def read_truth(run: Run, grants: pd.Index) -> Truth:
    """The truth about ``grants`` (ids, in the order of the evidence), from the Run's labels."""
    columns = ["tenant", "grant_id", "label", "attack", "attack_id", "attempted"]
    rows = run.frame("labels", columns)
    rows["place"] = grants.get_indexer(pd.Index(rows["grant_id"].fillna(-1).astype(np.int64)))
    label = np.zeros(len(grants), np.int64)
    attempted = np.zeros(len(grants), bool)
    kind = np.full(len(grants), "", dtype=object)
    placed = rows[rows["place"] >= 0]
    # A grant is attacked if any operation on it was; unknown only if nothing else is said of it.
    for value in (-1, 1):
        label[placed["place"][(placed["label"] == value).to_numpy(bool)]] = value
    tried = placed["attempted"].fillna(placed["label"] == 1).to_numpy(bool)
    attempted[placed["place"][tried]] = True
    attacks = rows[(rows["label"] == 1).to_numpy(bool) & rows["attack"].notna().to_numpy(bool)]
    named = attacks[attacks["place"] >= 0].drop_duplicates("place")
    kind[named["place"]] = named["attack"].astype(object)
    instance = attacks["tenant"].astype(str) + "/" + attacks["attack_id"].astype(str)
    touched = pd.DataFrame(
        {"attack": attacks["attack"].astype(str), "instance": instance, "place": attacks["place"]}
    )
    return Truth(label, attempted, pd.Series(kind, index=grants), touched.drop_duplicates(ignore_index=True))


# A recorded trace names no attack, no operation and no agent: each grant that is labelled is an attack of its own.
_OPERATIONS = """
    SELECT l.tenant, coalesce(l.attack, 'recorded') AS attack, l.label,
           l.tenant || '/' || coalesce(l.attack_id, l.grant_id) AS instance,
           l.grant_id AS "grant", coalesce(l.root_grant_id, l.grant_id) AS tree,
           CASE WHEN a.event_type = 'child_token_issued' AND a.status = 'granted' THEN a.parent_grant_id END AS above,
           CASE WHEN l.log_id IS NULL THEN t.client_id ELSE a.client_id END AS agent,
           a.timestamp AS at, coalesce(a.status = 'granted', false) AS honoured
    FROM labels l
    LEFT JOIN audit a USING (tenant, log_id)
    LEFT JOIN tokens t ON l.log_id IS NULL AND t.tenant = l.tenant AND t.token_id = l.grant_id
    WHERE l.label <> 0
"""

# A child that was refused names the grant under which it was asked for; one that was granted names itself.
_NEAR = """
    WITH touched AS (
        SELECT DISTINCT tenant, coalesce(root_grant_id, grant_id) AS tree FROM labels
        WHERE label = 1 AND grant_id IS NOT NULL
    ), near AS (
        SELECT t.tenant, t.grant_id, touched.tree, t.client_id
        FROM tokens t JOIN touched ON t.tenant = touched.tenant AND coalesce(t.root_grant_id, t.grant_id) = touched.tree
    )
    SELECT tenant, 'grant' AS kind, grant_id AS entity FROM near
    UNION SELECT tenant, 'tree', tree FROM touched
    UNION SELECT tenant, 'agent', client_id FROM near WHERE client_id IS NOT NULL
"""

_BELOW = """
    WITH RECURSIVE grants AS (
        SELECT tenant, grant_id, parent_grant_id, issued_at FROM tokens WHERE token_id = grant_id
    ), below AS (
        SELECT DISTINCT tenant, attack_id, grant_id, NULL::BIGINT AS issued_at FROM labels
        WHERE label = 1 AND attack_id IS NOT NULL AND grant_id IS NOT NULL
        UNION
        SELECT g.tenant, b.attack_id, g.grant_id, g.issued_at
        FROM below b JOIN grants g ON g.tenant = b.tenant AND g.parent_grant_id = b.grant_id
    )
    SELECT DISTINCT tenant || '/' || attack_id AS instance, grant_id, issued_at FROM below WHERE issued_at IS NOT NULL
"""


@dataclass(frozen=True)
class Attacks:
    """What the attackers of a Run did, and what they touched.

    Attributes
    ----------
    operations : one row per operation of an attacker, index a range: ``attack`` (kind), ``instance``, ``at``
        (microseconds; missing in recorded traces), ``honoured`` (whether the server granted it).
    touched : one row per attack and entity that it touched: ``attack``, ``instance``, ``tenant``, ``kind`` (``grant``,
        ``tree`` or ``agent``), ``entity`` (the id of the grant, of the root grant, of the client).
    below : one row per attack and grant below one that it touched: ``instance``, ``grant_id``, ``issued_at``.
    near : all that is in trees that an attack touched, itself touched or not, and the agents that have a grant there:
        ``tenant``, ``kind``, ``entity``.
    disputed : grants and trees that may have been attacked, nobody knows: ``tenant``, ``kind``, ``entity``.
    """

    operations: pd.DataFrame
    touched: pd.DataFrame
    below: pd.DataFrame
    near: pd.DataFrame
    disputed: pd.DataFrame


def read_attacks(run: Run) -> Attacks:
    """The attacks of a Run, from its labels, the audit rows that they name, and the tree of grants."""
    rows = run.sql(_OPERATIONS)
    sure = rows["label"].to_numpy() == 1
    touched, disputed = _entities(rows[sure]), _entities(rows[~sure])
    return Attacks(
        operations=rows.loc[sure, ["attack", "instance", "at", "honoured"]].reset_index(drop=True),
        touched=touched,
        below=run.sql(_BELOW),
        near=run.sql(_NEAR).astype({"kind": object}),
        # An agent is not in dispute because one of its grants is.
        disputed=disputed.loc[disputed["kind"] != "agent", ["tenant", "kind", "entity"]],
    )


def _entities(rows: pd.DataFrame) -> pd.DataFrame:
    """Which entities of each kind the rows are about."""
    parts = [
        rows[["attack", "instance", "tenant"]].assign(kind=kind, entity=rows[column]).dropna()
        for kind, column in (("grant", "grant"), ("grant", "above"), ("tree", "tree"), ("agent", "agent"))
    ]
    return pd.concat(parts).astype({"entity": np.int64}).drop_duplicates(ignore_index=True)


def figures(score: Floats, attacked: Flags, group: Ints, within: Ints | None = None) -> dict[str, float]:
    """Figures of one detector on one set of grants.

    Parameters
    ----------
    score, attacked : per grant.
    group : a code per grant; intervals resample these (trees, or tasks).
    within : a code per grant for the areas inside each (agents); none when None.

    Returns
    -------
    ``scored``, ``attacks``, ``base_rate``, and ``pr_auc``, ``roc_auc``, ``recall_at_1``, ``recall_at_5``
    (share of attacks found at 1 % and 5 % false alarms), each also with ``_low`` and ``_high`` (95 %). Where
    ``within`` is given also ``within_base_rate``, ``within_roc_auc`` and ``within_pr_auc``.
    """
    estimates: dict[str, Estimate] = {
        "pr_auc": pr_auc(attacked, score, group),
        "roc_auc": roc_auc(attacked, score, group),
        "recall_at_1": recall_at(attacked, score, 0.01, group),
        "recall_at_5": recall_at(attacked, score, 0.05, group),
    }
    if within is not None:
        estimates |= {
            "within_roc_auc": within_roc_auc(attacked, score, within, group),
            "within_pr_auc": within_pr_auc(attacked, score, within, group),
        }
    result: dict[str, float] = {
        "scored": len(score),
        "attacks": int(attacked.sum()),
        "base_rate": float(attacked.mean()) if len(attacked) else np.nan,
    }
    if within is not None:
        result["within_base_rate"] = within_base_rate(attacked, within)
    for name, estimate in estimates.items():
        result |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return result
