"""What can be asked while a token is verified is what the whole Run would say, whatever was asked before."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.risk import growing
from agentsim.risk.features import features
from agentsim.risk.growing import GROWING, Growing
from agentsim.risk.peers import Peers
from agentsim.risk.states import collect
from agentsim.server.audit import Entry
from agentsim.server.history import MOST_PAIRS, MOST_RESOURCES, MOST_TOOLS, GrantState

ROLES, TASKS = ["clerk", "coder"], ["file letters", "case 7"]


def verified(tools, where, reason=None):
    status = "granted" if reason is None else "refused"
    details = {"tools": tools, "resources": [where], "caller": where}
    return Entry(event_type="token_verified", timestamp=9, status=status, reason=reason, details=details)


def state_of(events):
    state = GrantState()
    for event in events:
        state.note(event)
    return state


events = st.builds(
    verified,
    st.lists(st.sampled_from([f"tool_{n}" for n in range(40)]), max_size=3),
    st.sampled_from([f"disk_{n}" for n in range(80)]),
    st.sampled_from([None, None, None, "expired", "odd"]),
)
states = st.lists(events, max_size=30).map(state_of)
#: Someone of a role for a task; both may be unknown to the peers.
asked = st.lists(
    st.tuples(states, st.sampled_from([*ROLES, "guard"]), st.sampled_from([*TASKS, "case 8", "other"])),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def peers():
    random = np.random.default_rng(1)
    made = [
        state_of(
            verified([f"tool_{random.integers(1 + n % 30)}"], f"disk_{random.integers(1 + n % 60)}")
            for _ in range(6)
        )
        for n in range(400)
    ]
    return Peers.of(
        collect(made), [ROLES[n % 2] for n in range(400)], [TASKS[n % 3 // 2] for n in range(400)]
    )


def agrees(peers, asker, some):
    made, roles, tasks = zip(*some, strict=True)
    whole = features(collect(made), "grant", roles, tasks, peers)[list(GROWING)].to_numpy()
    assert np.array_equal(np.array([asker.of(*each) for each in some], float), whole)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=asked)
def test_one_at_a_time_they_are_those_of_all_together(peers, some):
    agrees(peers, Growing(peers), some)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=asked)
def test_whoever_has_no_room_to_remember_says_the_same(peers, some):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_MOST_TASKS", "_MOST_CONTEXTS", "_MOST_THINGS"):
            patch.setattr(growing, name, 2)
        asker = Growing(peers)
        agrees(peers, asker, [*some, *reversed(some)])
        for role in ROLES:
            kept = asker._oddities(asker._contexts(role, TASKS[0]))
            assert max(map(len, kept)) <= 2


def test_sets_that_are_full_of_new_things_are_counted_whole(peers):
    full = state_of(verified([f"new_{n}", f"new_{n * 7 % 50}"], f"hole_{n}") for n in range(100))
    assert (len(full.tools), len(full.resources), len(full.pairs)) == (
        MOST_TOOLS + 1,
        MOST_RESOURCES,
        MOST_PAIRS,
    )
    agrees(peers, Growing(peers), [(full, "clerk", TASKS[0])])
    told = dict(zip(GROWING, Growing(peers).of(full, "clerk", TASKS[0]), strict=True))
    assert (told["tools_new_role"], told["resources_rare_task"]) == (MOST_TOOLS, MOST_RESOURCES)


def test_tasks_that_nobody_knows_take_no_room(peers):
    asker = Growing(peers)
    for number in range(5_000):
        asker.of(
            GrantState(tools={"tool_1": 1}), "clerk", f"a{'b' * (number % 70)} whim {chr(97 + number % 26)}"
        )
    assert asker._oddities.cache_info().currsize == 1
