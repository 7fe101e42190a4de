"""Simulations under watch: what is found strange is acted upon, the same for any number of processes and any batch size."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentsim.lineage import check
from agentsim.run import Run
from agentsim.server import Action, Assessment
from agentsim.server.audit import COLUMNS
from agentsim.simulation import simulate
from agentsim.simulation.fork import ForkError, fork

pytestmark = pytest.mark.usefixtures("found_by_workers")

ATTACKS = [
    {"kind": "confused_deputy", "prevalence": 0.1, "stealth": 0.2},
    {"kind": "token_theft", "prevalence": 0.1, "stealth": 0.2},
]
_EVENT, _CLIENT, _IP = (COLUMNS.index(name) for name in ("event_type", "client_id", "source_ip"))


@dataclass(frozen=True)
class Habits:
    """Acts on a tool, or a caller, that a role has never had; follows who uses a token from outside."""

    usual: dict[str, frozenset[str]]
    action: str = "step_up"
    follows: bool = True
    digest: str = "habits"

    def for_tenant(self, tenant: int) -> tuple[Any, Any]:
        return self, Outsiders() if self.follows else None

    def assess(self, use: Any, state: Any) -> Assessment:
        tools = set(use.event.details["tools"] if use.event else state.tools)
        strange = sorted(tools - self.usual.get(use.role, frozenset()))
        if not strange:
            return Assessment(True, "normal", "low")
        return Assessment(False, "unusual", "high", 3.0, (f"no {use.role} uses {strange[0]}",), self.action)


@dataclass
class Outsiders:
    """Wants agents disabled whose token was used from outside the organisation."""

    found: list[int] = field(default_factory=list)
    told: int = 0

    def take(self, rows: Any) -> None:
        self.told += len(rows)
        self.found += [
            row[_CLIENT] for row in rows if (row[_IP] or "").startswith("203.0.113.") and row[_CLIENT]
        ]

    def due(self, now: int) -> list[Action]:
        found, self.found = sorted(set(self.found)), []
        return [
            Action(kind="disable_agent", subject=client, score=4.0, reasons=("from outside",))
            for client in found
        ]


def habits_of(run: Run, **others: Any) -> Habits:
    """What each role uses in a Run."""
    tokens = run.frame("tokens", ["grant_id", "role"]).drop_duplicates("grant_id")
    rows = run.frame("audit", ["event_type", "grant_id", "details"])
    usual = defaultdict(set)
    for row in rows[rows["event_type"] == "token_verified"].merge(tokens, on="grant_id").itertuples():
        usual[row.role].update(json.loads(row.details)["tools"])
    return Habits({role: frozenset(tools) for role, tools in usual.items()}, **others)


@pytest.fixture(scope="module")
def reference(scenario: Any, tmp_path_factory: Any) -> Run:
    return simulate(scenario(seed=7), tmp_path_factory.mktemp("reference") / "run")


@pytest.fixture(scope="module")
def attacked(scenario: Any) -> Any:
    """Two organisations with attackers among them."""
    made = scenario(attacks=ATTACKS, tenants=[{"name": "a", "share": 1}, {"name": "b", "share": 1}])
    return made.with_agents(240)


@pytest.fixture(scope="module")
def watched(attacked: Any, reference: Run, tmp_path_factory: Any) -> Run:
    return simulate(attacked, tmp_path_factory.mktemp("watched") / "run", watch=habits_of(reference))


def events(run: Run) -> Any:
    frame = run.frame("audit", ["log_id", "event_type", "status", "reason", "details"])
    frame["details"] = [json.loads(text) for text in frame["details"]]
    return frame


def test_strange_uses_are_acted_upon_and_the_trail_says_why(watched: Run) -> None:
    rows = events(watched)
    held = rows[(rows["event_type"] == "token_verified") & (rows["reason"] == "step_up_required")]
    told = [details["risk"] for details in held["details"] if "risk" in details]
    assert {risk["action"] for risk in told} == {"step_up"}
    assert all("uses" in risk["reasons"][0] for risk in told)
    disabled = rows[(rows["event_type"] == "agent_disabled") & (rows["status"] == "granted")]
    assert len(disabled) > 3
    assert {details["by"] for details in disabled["details"]} == {"risk"}
    assert set(disabled["reason"]) == {"risk"}


def test_what_is_done_keeps_the_invariants(watched: Run) -> None:
    assert check(watched) == []


def test_neither_processes_nor_batches_change_a_byte(
    attacked: Any, reference: Run, watched: Run, tmp_path: Path
) -> None:
    for name, options in {"jobs": {"jobs": 2}, "batches": {"batch_size": 7}}.items():
        other = simulate(attacked, tmp_path / name, watch=habits_of(reference), **options)
        assert other.manifest.digests() == watched.manifest.digests()


def test_harder_actions_end_what_was_held_at_the_end_of_the_window(
    attacked: Any, reference: Run, tmp_path: Path
) -> None:
    watch = habits_of(reference, action="revoke_tree", follows=False)
    run = simulate(attacked, tmp_path / "run", watch=watch)
    marks = run.frame("revocations", ["kind", "key", "reason", "revoked_by", "revoked_at"])
    marks = marks[marks["reason"] == "risk"]
    assert len(marks) > 3
    assert set(marks["kind"]) == {"grant"}
    assert set(marks["revoked_by"]) == {"risk"}
    roots = run.frame("tokens", ["grant_id", "root_grant_id"])
    assert set(marks["key"]) <= set(roots["root_grant_id"])
    span = attacked.span
    assert {int(at - attacked.start_us) % span for at in marks["revoked_at"]} == {0}
    assert check(run) == []


def test_under_watch_honest_agents_intend_what_they_did_before(
    attacked: Any, reference: Run, watched: Run, tmp_path: Path
) -> None:
    unwatched = simulate(attacked, tmp_path / "run")
    agents = [
        run.frame("agents", ["client_id", "agent_name", "role"]).sort_values("client_id").to_numpy().tolist()
        for run in (watched, unwatched)
    ]
    assert agents[0] == agents[1]


def test_a_run_is_gone_on_with_only_under_the_same_thresholds(
    attacked: Any, reference: Run, tmp_path: Path
) -> None:
    small, watch = attacked.with_agents(60), habits_of(reference)
    first = simulate(small, tmp_path / "run", watch=watch, thresholds_file=Path("t.yaml"))
    assert first.manifest.thresholds == "habits"
    assert "--thresholds t.yaml" in first.manifest.reproduce
    assert simulate(small, tmp_path / "run", watch=watch).manifest.reused == 2
    other = habits_of(reference, digest="others")
    assert simulate(small, tmp_path / "run", watch=other).manifest.reused == 0
    assert simulate(small, tmp_path / "run").manifest.reused == 0


def test_a_run_under_watch_is_not_forked(watched: Run, tmp_path: Path) -> None:
    with pytest.raises(ForkError, match="under thresholds"):
        fork(watched.path, tmp_path / "fork", at=60_000_000, changes={"policy.max_depth": 2})
