"""The state of an entity is the same whether it is made of a whole Run or as events come."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.risk import gather, learn_peers, read_behaviour
from agentsim.risk.agreement import check_agreement
from agentsim.risk.folding import fold
from agentsim.server.history import MOST_PAIRS, MOST_PARTIES, MOST_RESOURCES, MOST_TOOLS, GrantState
from agentsim.simulation import load_scenario, simulate

TOOLS = [f"tool_{n}" for n in range(40)]


def drawn(world, random):
    """Anything that may stand in an audit trail, in any order, as far as a server could have written it."""
    agents = [world.agent(str(random.choice(["clerk", "coder"])), f"agent {n}") for n in range(4)]
    for client in agents:
        name = str(random.choice(["Helper 1", "helper-1", "other"]))
        world.event(
            "agent_registered", None, {"agent_name": name, "role": world.role_of[client]}, client_id=client
        )
    grants = []
    for _ in range(int(random.integers(1, 120))):
        kind = int(random.integers(9))
        tool, at = str(random.choice(TOOLS)), int(random.integers(1, 10**11))
        if kind == 0 or not grants:
            parent = grants[random.integers(len(grants))] if grants and random.random() < 0.6 else None
            grants.append(
                world.grant(
                    parent=parent, client=agents[random.integers(4)], task=str(random.choice(["", "job"]))
                )
            )
            continue
        grant = grants[random.integers(len(grants))]
        refused = (
            {"reason": str(random.choice(["expired", "insufficient_scope", "odd"]))}
            if random.random() < 0.3
            else {}
        )
        who = {"caller": f"host-{random.integers(20)}", "source_ip": f"10.0.0.{random.integers(20)}"}
        match kind:
            case 1 | 2 | 3:
                tools = [tool] if random.random() < 0.8 else [tool, str(random.choice(TOOLS))]
                world.verify(
                    grant, *tools, resource=str(random.choice(["mail", "disk"])), at=at, **who, **refused
                )
            case 4:
                world.execute(grant, tool, str(random.choice(["success", "error"])))
            case 5:
                world.event("token_refreshed", grant, at=at, **refused)
            case 6:
                world.event(
                    "child_token_issued", grant, {"excess": ["a", "b"], "by_parent": True}, reason="odd"
                )
            case 7:
                by = agents[random.integers(4)]
                world.event("token_revoked", grant, {"by": f"agent_{by}"}, client_id=by)
            case 8:
                client = agents[random.integers(4)]
                if random.random() < 0.5:
                    world.event("agent_updated", None, {"tools": TOOLS[:20]}, client_id=client)
                else:
                    world.event("token_issued", None, reason="invalid_client", client_id=client)
    return world


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_happens_both_paths_make_the_same_features(new_world, tmp_path, seed):
    run = drawn(new_world(), np.random.default_rng(seed)).write(tmp_path / "run")
    assert [each.differing for each in check_agreement(run)] == [{}, {}, {}]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    scenario = load_scenario("data/scenarios/attacks.yaml").with_agents(300)
    return simulate(scenario, tmp_path_factory.mktemp("attacked") / "run", jobs=1)


def test_a_run_under_every_attack_has_the_same_features_on_both_paths(attacked):
    found = check_agreement(attacked)
    assert [each.differing for each in found] == [{}, {}, {}]
    assert found[0].entities == len(attacked.frame("tokens", ["grant_id"])["grant_id"].unique())


def test_sets_are_capped_alike(world, tmp_path):
    client = world.agent("clerk")
    world.event("agent_registered", None, {"agent_name": "a", "role": "clerk"}, client_id=client)
    grant = world.grant(client=client)
    for number in range(100):
        world.verify(
            grant,
            f"tool_{number}",
            resource=f"disk_{number}",
            caller=f"c{number}",
            source_ip=f"10.0.0.{number}",
        )
        world.execute(grant, f"tool_{number}", "error")
    # Back to the first, who is remembered, and to the last, who is not.
    for number in (0, 99):
        world.event("token_refreshed", grant, {"caller": f"c{number}"}, source_ip=f"10.0.0.{number}")
    run = world.write(tmp_path / "run")
    assert [each.differing for each in check_agreement(run)] == [{}, {}, {}]
    row = gather(run).features.loc[grant]
    assert row["tools"] == MOST_TOOLS + 1
    assert (row["resources"], row["transitions"]) == (MOST_RESOURCES, MOST_TOOLS + 2)
    assert (row["callers"], row["source_ips"]) == (MOST_PARTIES, MOST_PARTIES)
    assert (row["caller_returns"], row["address_returns"]) == (1, 1)
    assert row["most_repeats"] == 100 - MOST_TOOLS
    assert MOST_PAIRS > MOST_TOOLS + 2


def test_failures_are_kept_by_tool(world, tmp_path):
    grant = world.grant()
    for tool, outcome in (("read", "error"), ("send", "success"), ("read", "error")):
        world.verify(grant, tool)
        world.execute(grant, tool, outcome)
    world.execute(grant, "never verified", "error")
    failures = fold(read_behaviour(world.write(tmp_path / "run"))).failures
    names = {"read": 2, "other tools": 1}
    assert sorted(failures.times.tolist()) == sorted(names.values())


def test_a_state_survives_being_stored():
    state = GrantState(verifications=3, tools={"read": 3}, callers=[1, 2], refused={"expired": 1})
    assert GrantState.from_json(state.to_json()) == state
    assert "depth" not in state.to_json()


def test_an_agent_is_known_by_what_it_did_beside_its_grants(world, tmp_path):
    first, second, thief = (world.agent("clerk", name) for name in ("Mail Clerk", "mail_clerk", "thief"))
    for client, name in ((first, "Mail Clerk"), (second, "mail_clerk"), (thief, "thief")):
        world.event("agent_registered", None, {"agent_name": name, "role": "clerk"}, client_id=client)
    grant = world.grant(client=first)
    world.event("agent_updated", None, {"tools": ["read"]}, client_id=first)
    world.verify(grant, "send")
    world.event("token_revoked", grant, {"by": f"agent_{thief}"}, client_id=thief)
    for _ in range(3):
        world.event("token_issued", None, reason="invalid_client", client_id=thief)
    table = gather(
        world.write(tmp_path / "run"), "agent", learn_peers(world.write(tmp_path / "again"))
    ).features
    assert table["namesakes"].to_dict() == {first: 0, second: 1, thief: 0}
    assert table["withdrawn_uses"].to_dict() == {first: 1, second: 0, thief: 0}
    assert table["ended_others"].to_dict() == {first: 0, second: 0, thief: 1}
    assert table["refused_credential"].to_dict() == {first: 0, second: 0, thief: 3}


def test_a_tree_has_what_all_of_its_grants_did(world, tmp_path):
    root = world.grant()
    child = world.grant(parent=root)
    other = world.grant()
    for grant in (root, child, other):
        world.verify(grant, "read")
    table = gather(world.write(tmp_path / "run"), "tree").features
    assert table["grants"].to_dict() == {root: 2, other: 1}
    assert table["verifies"].to_dict() == {root: 2, other: 1}
