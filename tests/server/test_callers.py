"""Callers: whose tokens may be asked about, by whom, and how much is told."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from agentsim.server import Admin, Client, Introspect, Introspection, TokenGrant, Verification, Verify
from agentsim.server.answers import AgentRecord
from agentsim.server.operations.agents import Disable
from agentsim.server.schema import GrantStateRow

GLOBEX = Admin("globex")
EVERYWHERE = Admin("root", everywhere=True)
#: What a refused or inactive token is answered with, and nothing else.
SILENCE = {
    "is_valid": False,
    "scope": "",
    "task_context_valid": False,
    "historical_pattern_match": None,
    "execution_pattern": None,
    "risk_assessment": None,
    "risk_reasons": [],
    "cost": None,
    "budget_left": None,
    "previous_tasks": [],
    "execution_patterns": {},
    "grant_id": None,
}


def introspect(world: Any, token: str, by: Any) -> Introspection:
    answer: Introspection = world.ask(
        Introspect(token=token, by=by, include_task_history=True), Introspection
    )
    return answer


def verified(answer: Verification) -> dict[str, Any]:
    """What a verification tells beside the error."""
    return {name: value for name, value in asdict(answer).items() if name not in ("log_id", "error")}


class Delegation:
    """Acme's lead lets globex's helper work below its grant; an acme agent works below the helper."""

    def __init__(self, world: Any) -> None:
        self.lead, self.colleague = world.agent(), world.agent()
        self.helper, self.stranger = world.agent(GLOBEX), world.agent(GLOBEX)
        self.root = world.root(self.lead, "root", may_act=self.helper.client_id)
        self.child = world.child(self.helper, self.root, "child")
        self.leaf = world.child(self.colleague, self.child, "leaf")


@pytest.fixture
def tree(world: Any) -> Delegation:
    return Delegation(world)


@pytest.mark.parametrize(
    ("who", "concerned"),
    [
        ("lead", {"root", "child", "leaf"}),
        ("colleague", {"root", "child", "leaf"}),
        ("helper", {"child", "leaf"}),
        ("stranger", set()),
        ("acme", {"root", "child", "leaf"}),
        ("globex", set()),
        ("everywhere", {"root", "child", "leaf"}),
        ("the server's own process", {"root", "child", "leaf"}),
    ],
)
def test_who_may_ask_about_which_token(world: Any, tree: Delegation, who: str, concerned: set[str]) -> None:
    others = {
        "acme": world.admin,
        "globex": GLOBEX,
        "everywhere": EVERYWHERE,
        "the server's own process": None,
    }
    by = others[who] if who in others else getattr(tree, who)
    for name in ("root", "child", "leaf"):
        token = getattr(tree, name).access_token
        assert introspect(world, token, by).active is (name in concerned)
        assert world.why_not(token, by=by) == (None if name in concerned else "not_entitled")


@pytest.mark.parametrize(
    ("who", "entitled"),
    [
        ("lead", {"root", "child", "leaf"}),
        ("colleague", {"leaf"}),
        ("helper", {"child", "leaf"}),
        ("acme", {"root", "child", "leaf"}),
        ("the server's own process", {"root", "child", "leaf"}),
    ],
)
def test_the_history_is_for_those_in_the_lineage_and_administrators(
    world: Any, tree: Delegation, who: str, entitled: set[str]
) -> None:
    others = {"acme": world.admin, "the server's own process": None}
    by = others[who] if who in others else getattr(tree, who)
    for name in ("root", "child", "leaf"):
        history = introspect(world, getattr(tree, name).access_token, by).task_history
        assert (history is not None) is (name in entitled)


def test_strangers_learn_nothing_of_a_token(world: Any, tree: Delegation, matcher: Any) -> None:
    world.reopen(matcher=matcher)
    earlier = world.root(tree.lead, "earlier")
    answer = world.verify(tree.root, by=tree.stranger)
    assert answer.error.reason == "not_entitled"
    assert verified(answer) == SILENCE
    told = introspect(world, earlier.access_token, tree.stranger)
    assert {name for name, value in asdict(told).items() if value} == {"log_id"}
    row = world.audit(event_type="token_introspected")[-1]
    assert (row["status"], row["reason"], row["client_id"]) == (
        "refused",
        "not_entitled",
        int(tree.lead.client_id.removeprefix("agent_")),
    )
    assert json.loads(row["details"]) == {"caller": None, "by": tree.stranger.client_id}


def test_an_unknown_token_and_a_strangers_are_answered_alike(world: Any, tree: Delegation) -> None:
    unknown = introspect(world, "x", tree.stranger)
    foreign = introspect(world, tree.root.access_token, tree.stranger)
    unknown.log_id = foreign.log_id
    assert unknown == foreign


@pytest.mark.parametrize("fault", ["wrong secret", "unknown", "pending", "disabled"])
def test_a_caller_that_cannot_be_authenticated_is_refused(world: Any, tree: Delegation, fault: str) -> None:
    if fault == "pending":
        pending = world.register()
        by = Client(pending.client_id, pending.client_secret)
    elif fault == "disabled":
        by = tree.colleague
        world.ask(Disable(by=world.admin, client_id=by.client_id), AgentRecord)
    else:
        by = Client(tree.lead.client_id if fault == "wrong secret" else "agent_1", "guess")
    reason = "agent_inactive" if fault in ("pending", "disabled") else "invalid_client"
    states = world.rows(GrantStateRow)
    for operation in (
        Verify(token=tree.root.access_token, by=by),
        Introspect(token=tree.root.access_token, by=by),
    ):
        assert world.refusal(operation).reason == reason
        row = world.audit()[-1]
        # Nothing is said of the token before it is known who asks.
        assert (row["status"], row["reason"], row["grant_id"]) == ("refused", reason, None)
        assert json.loads(row["details"])["by"] == by.client_id
    assert world.rows(GrantStateRow) == states


def test_the_row_is_about_the_tokens_agent_and_names_who_asked(world: Any, tree: Delegation) -> None:
    lead = int(tree.lead.client_id.removeprefix("agent_"))
    for by, name in ((tree.colleague, tree.colleague.client_id), (world.admin, "acme")):
        world.verify(tree.root, by=by)
        introspect(world, tree.root.access_token, by)
        for row in world.audit()[-2:]:
            assert (row["client_id"], row["grant_id"]) == (lead, tree.root.grant_id)
            assert json.loads(row["details"])["by"] == name


def test_previous_tasks_are_those_for_the_same_owner(world: Any, tree: Delegation) -> None:
    """What the helper does at home is no affair of acme's, and the other way round."""
    first = world.root(tree.helper, "secret project")
    second = world.root(tree.helper, "another secret")
    again = world.child(tree.helper, tree.root, "child again")
    assert world.verify(again, by=world.admin).previous_tasks == ["child"]
    assert world.verify(second, by=tree.stranger).previous_tasks == ["secret project"]
    world.reopen()
    assert world.verify(again).previous_tasks == ["child"]
    assert world.verify(first).previous_tasks == ["another secret"]


def refresh_token(grant: TokenGrant) -> str:
    assert grant.refresh_token is not None
    return grant.refresh_token


@pytest.mark.parametrize(
    ("who", "active"),
    [
        ("helper", True),
        ("lead", False),
        ("colleague", False),
        ("stranger", False),
        ("acme", True),
        ("globex", False),
        ("everywhere", True),
    ],
)
def test_a_refresh_token_concerns_its_client_and_administrators(
    world: Any, tree: Delegation, who: str, active: bool
) -> None:
    others = {"acme": world.admin, "globex": GLOBEX, "everywhere": EVERYWHERE}
    by = others[who] if who in others else getattr(tree, who)
    answer = introspect(world, refresh_token(tree.child), by)
    assert answer.active is active
    assert (answer.token_type, answer.task_id) == (("refresh_token", "child") if active else (None, None))
    assert answer.task_history is None
