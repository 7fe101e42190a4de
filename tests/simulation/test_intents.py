from collections.abc import Callable

import numpy as np
import pytest

from agentsim.server.scopes import canonical_resources, canonical_tools
from agentsim.simulation.catalogue import Choices
from agentsim.simulation.intents import Intents, Kind, make_intents
from agentsim.simulation.plans import Ask
from agentsim.simulation.scenario import Scenario

Make = Callable[..., Scenario]
ATTACKS = [{"kind": "task_hijack", "prevalence": 0.5}]


@pytest.fixture
def intents(scenario: Make) -> Intents:
    return make_intents(scenario(), 0)


def columns(intents: Intents) -> list[np.ndarray]:
    return [intents.time, intents.agent, intents.ordinal, intents.kind, intents.call]


def when(intents: Intents, kind: Kind) -> np.ndarray:
    """Time of each agent's event of a kind that everybody has once."""
    chosen = intents.kind == kind
    times = np.zeros(len(intents.population), np.int64)
    times[intents.agent[chosen]] = intents.time[chosen]
    return times


def test_events_are_sorted_and_each_has_its_own_name(intents: Intents) -> None:
    keys = list(zip(intents.time.tolist(), intents.agent.tolist(), intents.ordinal.tolist(), strict=True))
    assert keys == sorted(keys)
    assert len({(agent, ordinal) for _, agent, ordinal in keys}) == len(keys)


def test_every_agent_registers_confirms_and_asks_once_in_that_order(intents: Intents) -> None:
    size = len(intents.population)
    issue = np.isin(intents.kind, [Kind.ISSUE, Kind.ISSUE_CHILD])
    for chosen in (intents.kind == Kind.REGISTER, intents.kind == Kind.CONFIRM, issue):
        assert np.bincount(intents.agent[chosen], minlength=size).tolist() == [1] * size
    registered, confirmed = when(intents, Kind.REGISTER), when(intents, Kind.CONFIRM)
    assert (registered < confirmed).all()
    assert (confirmed < intents.plans.issued).all()
    assert (intents.plans.issued - registered < 60_000_000).all()


def test_nothing_happens_before_the_beginning(scenario: Make) -> None:
    story = scenario(start="2030-05-05T00:00:00Z")
    assert story.start_us == 1_904_169_600_000_000
    assert make_intents(story, 0).time[0] >= story.start_us


def test_roots_ask_alone_and_children_below_a_parent_that_has_asked(intents: Intents) -> None:
    population, issued = intents.population, intents.plans.issued
    child = np.flatnonzero(population.parent >= 0)
    assert (issued[child] > issued[population.parent[child]]).all()
    asking = intents.agent[intents.kind == Kind.ISSUE_CHILD]
    assert sorted(asking.tolist()) == child.tolist()


def test_calls_follow_the_grant_one_after_the_other(intents: Intents) -> None:
    verify, outcome = intents.kind == Kind.VERIFY, intents.kind == Kind.EXECUTION
    calls = intents.calls
    asked = np.zeros(len(calls), np.int64)
    done = np.zeros(len(calls), np.int64)
    asked[intents.call[verify]] = intents.time[verify]
    done[intents.call[outcome]] = intents.time[outcome]
    assert (done - asked == calls.duration).all()
    assert (asked > intents.plans.issued[calls.agent]).all()
    same = calls.agent[1:] == calls.agent[:-1]
    assert (asked[1:][same] > done[:-1][same]).all()
    looked_up = intents.kind == Kind.INTROSPECT
    about = intents.call[looked_up]
    assert (calls.introspected[about]).all()
    assert ((intents.time[looked_up] >= asked[about]) & (intents.time[looked_up] <= done[about])).all()
    assert looked_up.sum() == calls.introspected.sum() > 0


def test_tasks_end_after_the_last_call_and_mostly_after_their_children(intents: Intents) -> None:
    plans, population = intents.plans, intents.population
    ended = intents.kind == Kind.REVOKE
    assert (intents.time[ended] == plans.ended[intents.agent[ended]]).all()
    assert 0.1 < ended.sum() / len(population) < 0.35
    child = population.parent >= 0
    waited = plans.ended[population.parent[child]] >= plans.ended[child]
    assert 0.85 < waited.mean() < 1


def test_owners_cancel_some_root_tasks_midway(scenario: Make) -> None:
    roles = {
        name: {"cancelled": 0.5}
        for name in ("orchestrator", "code_reviewer", "data_analyst", "support_agent")
    }
    intents = make_intents(scenario(roles=roles), 0)
    stopped = intents.agent[intents.kind == Kind.CANCEL]
    plans = intents.plans
    assert (intents.population.depth[stopped] == 0).all()
    assert len(stopped) / len(intents.population.roots) == pytest.approx(0.5, abs=0.12)
    assert (plans.cancelled[stopped] > plans.issued[stopped]).all()
    assert (plans.cancelled[stopped] < plans.ended[stopped]).all()


def test_no_plan_is_wider_than_the_parents(scenario: Make) -> None:
    intents = make_intents(scenario(population={"agents": 5_000}), 0)
    plans, parent = intents.plans, intents.population.parent
    child = np.flatnonzero(parent >= 0)
    for held, needed in ((plans.tools, plans.need_tools), (plans.resources, plans.need_resources)):
        assert not (held[child] & ~held[parent[child]]).any()
        assert not (needed[child] & ~needed[parent[child]]).any()
        assert not (needed & ~held).any()
    assert (plans.level[child] <= plans.level[parent[child]]).all()
    assert set(plans.ask.tolist()) == set(Ask)
    assert (plans.ask[parent < 0] != Ask.TOO_MUCH).all()


def test_calls_keep_to_the_task_but_for_slips(scenario: Make) -> None:
    careful = {
        name: {"slips": 0.0} for name in ("orchestrator", "code_reviewer", "data_analyst", "support_agent")
    }
    intents = make_intents(scenario(roles=careful, population={"agents": 300}), 0)
    catalogue, calls = intents.population.catalogue, intents.calls
    for call, agent in enumerate(calls.agent.tolist()):
        tool, resource = catalogue.tools[calls.tool[call]], catalogue.resources[calls.resource[call]]
        assert resource in intents.own_work(agent)[tool]
        assert resource in intents.granted_work(agent)[tool]


def test_some_calls_slip_outside_the_task(scenario: Make) -> None:
    sloppy = {
        name: {"slips": 0.2} for name in ("orchestrator", "code_reviewer", "data_analyst", "support_agent")
    }
    intents = make_intents(scenario(roles=sloppy), 0)
    catalogue, calls, kind = intents.population.catalogue, intents.calls, intents.plans.kind
    outside = [
        catalogue.resources[resource] not in catalogue.works_on(int(kind[agent]), int(tool))
        for agent, tool, resource in zip(calls.agent, calls.tool, calls.resource, strict=True)
    ]
    assert 0.05 < np.mean(outside) < 0.2
    assert all(
        catalogue.tools[tool] in catalogue.settings[intents.population.role[agent]].tools
        for agent, tool in zip(calls.agent, calls.tool, strict=True)
    )


def test_the_chain_is_walked_as_the_role_says(scenario: Make) -> None:
    role = {
        "summary": "goes round and round",
        "tools": {"a": ["x"], "b": ["x", "y"], "c": ["y"]},
        "start": {"a": 1},
        "chain": {"a": {"b": 1}, "b": {"a": 1, "c": 3}, "c": {"a": 1}},
        "tasks": [{"text": "Go round {n}"}],
        "steps": 12,
        "slips": 0,
        "errors": 0,
    }
    intents = make_intents(
        scenario(roles={"rounder": role}, population={"agents": 2_000, "roots": {"rounder": 1}}), 0
    )
    calls = intents.calls
    assert (calls.tool[calls.first[:-1]] == 0).all()
    assert np.diff(calls.first).mean() == pytest.approx(12, rel=0.06)
    same = calls.agent[1:] == calls.agent[:-1]
    steps = np.zeros((3, 3), int)
    np.add.at(steps, (calls.tool[:-1][same], calls.tool[1:][same]), 1)
    shares = steps / steps.sum(axis=1, keepdims=True)
    assert shares == pytest.approx(np.array([[0, 1, 0], [0.25, 0, 0.75], [1, 0, 0]]), abs=0.02)
    assert (calls.resource[calls.tool == 1]).mean() == pytest.approx(0.5, abs=0.03)


def test_a_failed_call_is_often_repeated_word_for_word(scenario: Make) -> None:
    calls = make_intents(scenario(population={"agents": 3_000}), 0).calls
    same = calls.agent[1:] == calls.agent[:-1]
    repeated = (calls.arguments[1:] == calls.arguments[:-1]) & same
    failed = calls.error[:-1] & same
    assert (failed[repeated]).all()
    assert repeated.sum() / failed.sum() == pytest.approx(0.5, abs=0.06)
    first = np.flatnonzero(repeated)
    # A slip changes what is named, not what was meant.
    assert (calls.tool[first] == calls.tool[first + 1]).mean() > 0.95
    assert calls.args_digest(int(first[0])) == calls.args_digest(int(first[0]) + 1)
    assert len(calls.args_digest(0)) == 12
    assert calls.error.mean() == pytest.approx(0.08, abs=0.01)
    assert calls.result_chars[calls.error].mean() < calls.result_chars[~calls.error].mean() / 3


def test_attacks_and_policy_leave_every_intent_as_it_was(scenario: Make) -> None:
    plain = make_intents(scenario(), 0)
    attacked = make_intents(
        scenario(attacks=ATTACKS, policy={"access_ttl": "1m", "max_depth": 1}, window="1m"), 0
    )
    for before, after in zip(columns(plain), columns(attacked), strict=True):
        assert (before == after).all()


def test_the_same_seed_gives_the_same_intents_and_another_others(scenario: Make) -> None:
    first, again, other = (make_intents(scenario(seed=seed), 0) for seed in (5, 5, 6))
    assert all((a == b).all() for a, b in zip(columns(first), columns(again), strict=True))
    assert len(first) != len(other) or (first.time != other.time).any()


def test_windows_cover_every_event_once(scenario: Make) -> None:
    story = scenario()
    intents = make_intents(story, 0)
    seen = 0
    for number, part in enumerate(intents.windows(story.start_us, story.window)):
        assert part.start == seen
        seen = part.stop
        times = intents.time[part] - story.start_us
        assert (times // story.window == number).all()
    assert seen == len(intents)


def test_what_agents_ask_for_and_are_called_is_text_that_the_server_takes(intents: Intents) -> None:
    names = {intents.agent_name(agent) for agent in range(len(intents.population))}
    tasks = {intents.task_id(agent) for agent in range(len(intents.population))}
    assert len(names) == len(tasks) == len(intents.population)
    for agent in range(100):
        assert intents.role(agent) in intents.agent_name(agent)
        assert "{" not in intents.task_description(agent)
        assert intents.level(agent) in intents.population.catalogue.levels
        registered = [set(names) for names in intents.registered(agent)]
        for asked in (intents.asked(agent), intents.needed(agent)):
            assert canonical_tools(asked[0])
            assert canonical_resources(asked[1])
            assert all(set(part) <= whole for part, whole in zip(asked, registered, strict=True))
        assert intents.host(agent).startswith("10.0.")
        assert not set(intents.unusual_work(agent)) - set(intents.granted_work(agent))


def test_agents_of_one_tree_work_on_the_same_case(intents: Intents) -> None:
    population = intents.population
    case = [intents.task_description(agent).split()[-1] for agent in range(len(population))]
    child = np.flatnonzero(population.parent >= 0)
    assert all(case[agent] == case[population.parent[agent]] for agent in child)
    assert len(set(case)) > len(population.roots) * 0.9


def test_some_agents_go_on_from_another_host(scenario: Make) -> None:
    story = scenario(
        roles={"support_agent": {"moves": 1.0}}, population={"agents": 200, "roots": {"support_agent": 1}}
    )
    intents = make_intents(story, 0)
    hosts = [(intents.host(a), intents.host(a, int(intents.calls.first[a + 1]) - 1)) for a in range(200)]
    # Four hosts: one move in four leads to where one was.
    assert np.mean([first != last for first, last in hosts]) == pytest.approx(0.75, abs=0.12)
    still = make_intents(
        scenario(roles={"support_agent": {"moves": 0.0}}, population=story.population.model_dump()), 0
    )
    assert all(still.host(a) == still.host(a, int(still.calls.first[a + 1]) - 1) for a in range(200))


def test_one_lonely_agent_is_enough(scenario: Make) -> None:
    intents = make_intents(scenario(population={"agents": 1}), 0)
    assert set(intents.agent.tolist()) == {0}
    assert len(intents) >= 5


def test_weighted_choices_follow_the_weights_and_never_take_what_has_none() -> None:
    choices = Choices(np.array([[0.0, 1.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.1]]))
    rows = np.repeat([0, 1, 2], 10_000)
    drawn = choices.draw(rows, np.random.default_rng(3).random(30_000)).reshape(3, -1)
    assert np.bincount(drawn[0], minlength=4) / 10_000 == pytest.approx([0, 0.25, 0.75, 0], abs=0.02)
    assert set(drawn[1].tolist()) == {0}
    assert set(drawn[2].tolist()) == {3}
    edges = choices.draw(np.array([0, 0, 1, 2]), np.array([0.0, np.nextafter(1, 0), np.nextafter(1, 0), 0.0]))
    assert edges.tolist() == [1, 2, 0, 3]
