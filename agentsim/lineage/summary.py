"""What a Run holds, in figures: for ``agentsim inspect`` and for whoever opens a Run for the first time."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agentsim.lineage.blast import Reach, agents_of
from agentsim.lineage.forest import Forest
from agentsim.lineage.latencies import Latency, latencies
from agentsim.run import Run


@dataclass(frozen=True, slots=True)
class AttackCount:
    """What one kind of attack did, and what came of it.

    Attributes
    ----------
    instances : attacks of this kind.
    operations : operations that they made.
    honoured : operations among them that the server granted.
    """

    instances: int
    operations: int
    honoured: int


@dataclass(frozen=True, slots=True)
class LabelCount:
    """The labels of a replayed Run, one per grant.

    Attributes
    ----------
    grants : labelled grants.
    attempted : grants in which an attack was tried.
    attacked, benign, unknown : grants by label 1, 0 and -1.
    """

    grants: int
    attempted: int
    attacked: int
    benign: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A Run in figures.

    Attributes
    ----------
    kind, status : as in the manifest.
    tenants, agents, people, grants, tokens, trees : how many there are; people are clients of the class ``human``.
    max_depth, mean_depth : of all grants; a root has depth 0.
    largest_tree : grants of the largest tree.
    trees_dropped, trees_not_begun : what an open load had no room for, and what no user of a closed load came to.
    largest_blast_radius : most grants that one agent has or has below one of its own.
    operations : decisions, each with its audit row; rows of the fill after a mark are none.
    refusals : decisions that refused.
    marks : revocations that took effect.
    exposed_calls : calls that resource servers which did not ask honoured after a mark.
    events, refused_events : audit rows and refusals by event type.
    refusals_by_reason, marks_by_kind : the same figures in parts.
    attacks : by kind; empty for a Run without labelled operations.
    latencies : how long answers took, by operation.
    labels : the grants' labels of a replay; None for a simulation.
    digests : SHA-256 of each table that the same scenario and seed reproduce.
    """

    kind: str
    status: str
    tenants: int
    agents: int
    people: int
    grants: int
    tokens: int
    trees: int
    max_depth: int
    mean_depth: float
    largest_tree: int
    trees_dropped: int
    trees_not_begun: int
    largest_blast_radius: int
    operations: int
    refusals: int
    marks: int
    exposed_calls: int
    events: dict[str, int]
    refused_events: dict[str, int]
    refusals_by_reason: dict[str, int]
    marks_by_kind: dict[str, int]
    attacks: dict[str, AttackCount]
    latencies: dict[str, Latency]
    labels: LabelCount | None
    digests: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries of numbers and texts, ready for JSON."""
        return asdict(self)


def summarise(run: Run) -> Summary:
    """Count what a Run holds.

    Raises
    ------
    RunError
        If a table cannot be read.
    """
    forest = Forest.from_run(run)
    events = _counts(run, "SELECT event_type, count(*) FROM audit GROUP BY ALL")
    refused = _counts(run, "SELECT event_type, count(*) FROM audit WHERE status = 'refused' GROUP BY ALL")
    reasons = _counts(run, "SELECT reason, count(*) FROM audit WHERE status = 'refused' GROUP BY ALL")
    marks = _counts(run, "SELECT kind, count(*) FROM revocations GROUP BY ALL")
    return Summary(
        kind=run.manifest.kind,
        status=run.manifest.status,
        tenants=len(run.manifest.tenants),
        agents=_number(run, "SELECT count(*) FROM agents WHERE actor_class <> 'human'"),
        people=_number(run, "SELECT count(*) FROM agents WHERE actor_class = 'human'"),
        grants=len(forest),
        tokens=_number(run, "SELECT count(*) FROM tokens"),
        trees=len(forest.roots()),
        max_depth=int(forest.depth.max(initial=0)),
        mean_depth=float(np.mean(forest.depth)) if len(forest) else 0.0,
        largest_tree=int(forest.size.max(initial=0)),
        trees_dropped=_counted(run, "dropped"),
        trees_not_begun=_counted(run, "not_begun"),
        largest_blast_radius=int(Reach.of(forest, agents_of(run)).count().max(initial=0)),
        operations=sum(events.values()) - events.get("token_ended", 0),
        refusals=sum(refused.values()),
        marks=sum(marks.values()),
        exposed_calls=_number(run, "SELECT coalesce(sum(honoured), 0) FROM exposures"),
        events=events,
        refused_events=refused,
        refusals_by_reason=reasons,
        marks_by_kind=marks,
        attacks=_attacks(run),
        latencies=latencies(run),
        labels=_labels(run) if run.manifest.kind == "replay" else None,
        digests=run.manifest.digests(),
    )


def _number(run: Run, query: str) -> int:
    return int(run.sql(query).iloc[:, 0].sum())


def _counts(run: Run, query: str) -> dict[str, int]:
    """A query's (name, count) rows, the largest count first."""
    rows = [(str(name), int(count)) for name, count in run.sql(query).itertuples(index=False)]
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))


def _counted(run: Run, name: str) -> int:
    """What the tenants of a simulation counted under a name."""
    return sum(entry.counts.get(name, 0) for entry in run.manifest.tenants.values())


def _attacks(run: Run) -> dict[str, AttackCount]:
    rows = run.sql("""
        SELECT l.attack::VARCHAR, count(DISTINCT (l.tenant, l.attack_id)), count(*),
               count(*) FILTER (WHERE a.status = 'granted')
        FROM labels AS l LEFT JOIN audit AS a ON a.log_id = l.log_id AND a.tenant = l.tenant
        WHERE l.attack IS NOT NULL GROUP BY 1 ORDER BY 1
    """)
    return {
        str(name): AttackCount(int(instances), int(operations), int(honoured))
        for name, instances, operations, honoured in rows.itertuples(index=False)
    }


def _labels(run: Run) -> LabelCount:
    row = run.sql("""
        SELECT count(*), count(*) FILTER (WHERE attempted), count(*) FILTER (WHERE label = 1),
               count(*) FILTER (WHERE label = 0), count(*) FILTER (WHERE label = -1)
        FROM labels
    """)
    return LabelCount(*(int(value) for value in row.iloc[0]))
