"""Rate limits: what the buckets promise for any schedule, and what that means for clients, trees and classes."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.server import Admin, Issue, IssueChild, OAuthError, Policy, Refresh, TokenGrant, Verify, limits
from agentsim.server.clock import SECOND
from agentsim.server.errors import TooManyRequests
from agentsim.server.limits import SET_BACK_US, Buckets
from agentsim.server.policy import Limits, RateLimit
from agentsim.server.schema import Base
from agentsim.server.store import ConflictError

SCOPE = "file_read:github"
#: Microseconds between one request and the next; clocks are corrected now and then.
STEPS = st.lists(st.sampled_from([0, 0, 1, 999, 40_000, SECOND, 7 * SECOND, -1, -30_000, -2 * SECOND]))
RATES = st.sampled_from([0.2, 1.0, 3.0, 7.5, 300.0])
USUAL = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def limit(per_second: float = 1.0, burst: int = 1) -> RateLimit:
    return RateLimit(per_second=per_second, burst=burst)


def granted(buckets: Buckets, rules: Limits, times: list[int], size: int = 1, client: int = 7) -> list[bool]:
    """Whether each request of a client has room, in batches of this size."""
    answers: list[bool] = []
    for first in range(0, len(times), size):
        draft = buckets.draft(rules)
        answers += [draft.charge(now, client, None) is None for now in times[first : first + size]]
        buckets.take(draft)
    return answers


# What a bucket promises


@USUAL
@given(steps=STEPS, rate=RATES, burst=st.integers(1, 6), size=st.integers(1, 9))
def test_no_time_sees_more_than_burst_and_rate(steps: list[int], rate: float, burst: int, size: int) -> None:
    times = list(accumulate(steps, initial=10**15))
    answers = granted(Buckets(), Limits(client=limit(rate, burst)), times, size)
    let_in = [now for now, answer in zip(times, answers, strict=True) if answer]
    for begin in let_in:
        for end in let_in:
            within = sum(begin <= now <= end for now in let_in)
            assert end < begin or within <= burst + rate * (end - begin) / SECOND


@USUAL
@given(steps=STEPS, burst=st.integers(1, 6), size=st.integers(1, 9))
def test_batches_change_nothing(steps: list[int], burst: int, size: int) -> None:
    times = list(accumulate(steps, initial=10**15))
    rules = Limits(client=limit(2.0, burst))
    assert granted(Buckets(), rules, times, size) == granted(Buckets(), rules, times)


@USUAL
@given(rate=RATES, burst=st.integers(1, 20))
def test_what_is_refused_has_room_after_the_wait_and_not_before(rate: float, burst: int) -> None:
    rules, now = Limits(client=limit(rate, burst)), 10**15
    buckets = Buckets()
    assert granted(buckets, rules, [now] * (burst + 1)) == [True] * burst + [False]
    short = buckets.draft(rules).shortage(now, 7, None)
    assert short is not None
    assert (short.bucket, short.limit) == ("client", rules.client)
    assert buckets.draft(rules).shortage(now + short.wait_us - 1, 7, None) is not None
    assert granted(buckets, rules, [now + short.wait_us]) == [True]


@USUAL
@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 1), st.integers(0, 300_000)), max_size=60))
def test_refused_requests_charge_no_bucket(asked: list[tuple[int, int, int]]) -> None:
    """Whatever is refused, the rest is answered as if it had never been asked."""
    rules = Limits(client=limit(2, 2), tree=limit(3, 2), classes={"agent": limit(4, 3)})
    now, answers = 10**15, []
    draft, kept = (Buckets().draft(rules) for _ in range(2))
    for client, tree, step in asked:
        now += step
        answers.append(draft.charge(now, client, "agent", tree) is None)
        if answers[-1]:
            assert kept.charge(now, client, "agent", tree) is None
    assert draft.changed == kept.changed


def test_all_buckets_must_have_room_and_the_one_that_lasts_longest_is_named() -> None:
    rules = Limits(client=limit(1, 1), tree=limit(0.1, 1), classes={"agent": limit(5, 1)})
    draft = Buckets().draft(rules)
    assert draft.charge(0, 1, "agent", 100) is None
    short = draft.charge(0, 1, "agent", 100)
    assert short is not None
    assert (short.bucket, short.wait_us) == ("tree", 10 * SECOND)
    # Each by itself: another's tree, another client, another class.
    assert draft.charge(SECOND, 1, "agent", 200) is None
    assert [draft.charge(SECOND, 1, "human", None), draft.charge(SECOND, 2, "agent", None)] != [None, None]
    assert draft.charge(SECOND, 2, "human", None) is None


def test_each_of_several_servers_has_its_part() -> None:
    times = [10**15] * 50
    for sharers, let_in in ((1, 20), (4, 5), (40, 1)):
        assert sum(granted(Buckets(sharers), Limits(client=limit(8, 20)), times)) == let_in
    after = [10**15, *(10**15 + second * SECOND // 10 for second in range(1, 101))]
    assert sum(granted(Buckets(4), Limits(client=limit(8, 4)), after)) == 1 + 20


def test_other_limits_begin_with_full_buckets_and_the_same_go_on() -> None:
    buckets, day = Buckets(), Limits(client=limit(1 / 86_400, 1))
    assert granted(buckets, day, [0, 0]) == [True, False]
    assert granted(buckets, Limits(client=limit(1 / 86_400, 1)), [0]) == [False]
    assert granted(buckets, Limits(client=limit(1, 1)), [0, 0]) == [True, False]


def test_a_clock_that_is_set_back_far_locks_nobody_out() -> None:
    rules, later = Limits(client=limit(1, 1)), 10**15
    for back, let_in in ((SET_BACK_US, False), (SET_BACK_US + 1, True)):
        buckets = Buckets()
        assert granted(buckets, rules, [later]) == [True]
        assert (buckets.draft(rules).shortage(later - back, 7, None) is None) is let_in
        assert granted(buckets, rules, [later - back]) == [let_in]
    assert granted(buckets, rules, [later - SET_BACK_US + SECOND]) == [True]


class Patient(Buckets):
    """Forgets nothing."""

    def _forget(self) -> None:
        pass


def test_full_buckets_are_forgotten_and_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_FEW", 1)
    rules, now = Limits(client=limit(1, 2)), 10**15
    patient, forgetful = Patient(), Buckets()
    for number in range(500):
        old = [now - SET_BACK_US, now - 3 * SECOND, now] * 2
        assert granted(forgetful, rules, old, client=number) == granted(patient, rules, old, client=number)
        now += 5 * SECOND
    # Those of the last ten minutes, and no more of them the longer it runs.
    assert len(patient) == 500
    assert len(forgetful) <= 2 * SET_BACK_US / (5 * SECOND) + 2


# What they mean for those who ask


def why(answer: Any) -> str | None:
    error = answer if isinstance(answer, OAuthError) else getattr(answer, "error", None)
    return None if error is None else error.reason


def test_a_client_that_asks_too_often_is_told_when_to_come_again(make_world: Callable[..., Any]) -> None:
    world = make_world(limits=Limits(client=limit(0.5, 2)))
    busy, other = world.agent(), world.agent()
    world.root(busy)
    world.root(busy)
    refused = world.refusal(Issue(by=busy, scope=SCOPE))
    assert isinstance(refused, TooManyRequests)
    assert refused.as_dict() == {
        "error": "too_many_requests",
        "error_description": "the client may not ask as often as this",
        "reason": "rate_limited",
        "allowed": {"bucket": "client", "per_second": 0.5, "burst": 2},
        "hint": "come again after 2 s",
        "retry_after": 2,
    }
    row = world.audit()[-1]
    assert (row["status"], row["reason"], row["client_id"]) == (
        "refused",
        "rate_limited",
        int(busy.client_id.removeprefix("agent_")),
    )
    assert '"bucket":"client"' in row["details"]
    world.root(other)
    world.clock.advance(2 * SECOND)
    world.root(busy)


def test_a_tree_is_one_whoever_asks_below_it(make_world: Callable[..., Any]) -> None:
    world = make_world(limits=Limits(tree=limit(0.1, 3)))
    lead, helper = world.agent(), world.agent()
    root, elsewhere = world.root(lead), world.root(lead, "elsewhere")
    child = world.child(helper, root)
    assert world.why_not(child) is None
    world.refresh(helper, child)
    # Three have been taken: by an exchange, a verification and a refresh.
    assert why(world.refusal(IssueChild(by=lead, parent_token=root.access_token))) == "rate_limited"
    assert world.why_not(root) == "rate_limited"
    assert world.why_not(elsewhere) is None
    world.child(helper, elsewhere)


def test_people_are_served_while_the_agents_have_used_up_theirs(make_world: Callable[..., Any]) -> None:
    world = make_world(limits=Limits(classes={"agent": limit(0.001, 2)}))
    one, another, person = world.agent(), world.agent(), world.agent(actor_class="human")
    world.root(one)
    mine = world.root(person)
    theirs = world.root(another)
    for _ in range(5):
        refused = world.refusal(Issue(by=one, scope=SCOPE))
        assert (refused.bucket, refused.actor_class) == ("class", "agent")
        assert world.why_not(theirs) == "rate_limited"
        world.root(person)
        assert world.why_not(mine) is None


def test_a_limited_verification_is_an_answer_that_tells_nothing_of_the_token(
    make_world: Callable[..., Any],
) -> None:
    world = make_world(limits=Limits(client=limit(1, 2)))
    grant = world.root(world.agent())
    assert world.why_not(grant) is None
    limited = world.verify(grant)
    assert (limited.is_valid, limited.error.retry_after) == (False, 1)
    assert (limited.scope, limited.previous_tasks, limited.execution_patterns) == ("", [], {})
    world.clock.advance(SECOND)
    assert world.why_not(grant) is None


def test_nobody_is_locked_out_by_those_who_only_know_a_name_or_an_old_token(
    make_world: Callable[..., Any],
) -> None:
    world = make_world(limits=Limits(client=limit(0.001, 3), tree=limit(0.001, 2)))
    agent, stranger = world.agent(), world.agent(Admin("globex"))
    root, dead = world.root(agent), world.root(agent)
    world.revoke(dead)
    guess = type(agent)(agent.client_id, "guess")
    for _ in range(10):
        assert why(world.refusal(Issue(by=guess, scope=SCOPE))) == "invalid_client"
        assert world.why_not(dead) == "revoked"
        assert why(world.server.execute([Verify(token=root.access_token, by=guess)])[0]) == "invalid_client"
        assert world.why_not(root, by=stranger) == "not_entitled"
    # One is left of the client's three, and both of the tree's.
    world.child(agent, root)
    assert why(world.refusal(Issue(by=agent, scope=SCOPE))) == "rate_limited"


def test_what_is_refused_for_another_reason_counts_and_charges_no_tree_of_others(
    make_world: Callable[..., Any],
) -> None:
    world = make_world(limits=Limits(client=limit(0.001, 2), tree=limit(0.001, 1)))
    agent, stranger = world.agent(), world.agent(Admin("globex"))
    root = world.root(agent)
    below = IssueChild(by=stranger, parent_token=root.access_token, scope=SCOPE)
    assert [why(world.refusal(below)) for _ in range(3)] == ["not_delegated"] * 2 + ["rate_limited"]
    assert why(world.refusal(Refresh(by=stranger, refresh_token="rt_1_x"))) == "rate_limited"
    world.child(agent, root)


def test_revoking_always_works_and_so_does_asking_what_a_token_is(make_world: Callable[..., Any]) -> None:
    world = make_world(limits=Limits(client=limit(0.001, 1), classes={"agent": limit(0.001, 1)}))
    agent = world.agent()
    root = world.root(agent)
    assert world.why_not(root) == "rate_limited"
    assert world.revoke(root, by=agent).revoked
    assert world.why_not(root) == "revoked"


def test_a_limited_refresh_does_not_use_the_token_up(make_world: Callable[..., Any]) -> None:
    world = make_world(limits=Limits(client=limit(1, 1)))
    agent = world.agent()
    root = world.root(agent)
    asked = Refresh(by=agent, refresh_token=root.refresh_token)
    assert why(world.refusal(asked)) == "rate_limited"
    world.clock.advance(SECOND)
    assert world.ask(asked, TokenGrant).grant_id == root.grant_id


@settings(USUAL, max_examples=25)
@given(
    asked=st.lists(
        st.tuples(st.sampled_from("irxv"), st.integers(0, 2), st.integers(0, SECOND)), max_size=40
    ),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=5),
)
def test_however_a_story_is_cut_answers_and_rows_are_the_same(
    new_world: Callable[..., Any], asked: list[tuple[str, int, int]], cuts: list[int]
) -> None:
    rules = Limits(client=limit(1, 3), tree=limit(2, 3), classes={"agent": limit(4, 5)})
    told = []
    for sizes in ([1], cuts, [len(asked) or 1]):
        world = new_world(limits=rules)
        agents = [world.agent() for _ in range(2)] + [world.agent(actor_class="human")]
        roots = [world.root(agent) for agent in agents]
        script, now = [], world.clock.now() + 60 * SECOND
        for kind, number, step in asked:
            now += step
            token, by = roots[number].access_token, agents[number]
            operation = {
                "i": Issue(by=by, scope=SCOPE),
                "r": Refresh(by=by, refresh_token=roots[number].refresh_token),
                "x": IssueChild(by=by, parent_token=token, scope=SCOPE),
                "v": Verify(token=token),
            }[kind]
            script.append((operation, now))
        answers: list[Any] = []
        while script:
            for size in sizes:
                batch, script = script[:size], script[size:]
                if batch:
                    operations, times = zip(*batch, strict=True)
                    answers += world.server.execute(operations, at=times)
        rows = {model.__tablename__: world.rows(model) for model in Base.__subclasses__()}
        told.append(([(why(answer), answer.log_id) for answer in answers], rows))
        world.server.close()
    assert told[0] == told[1] == told[2]


def test_a_batch_that_is_decided_anew_is_charged_once(
    make_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(limits=Limits(client=limit(0.001, 2)))
    agent = world.agent()
    write, failures = world.server.store.write, [ConflictError("another writer was faster")] * 3

    def fails_thrice(connection: Any, batch: Any) -> None:
        write(connection, batch)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(world.server.store, "write", fails_thrice)
    world.root(agent)
    assert not failures
    world.root(agent)
    assert why(world.refusal(Issue(by=agent, scope=SCOPE))) == "rate_limited"


def test_the_door_may_look_and_charges_nothing(make_world: Callable[..., Any]) -> None:
    world = make_world(limits=Limits(client=limit(1, 1), classes={"agent": limit(1, 2)}))
    agent, other = world.agent(), world.agent()
    number, another = (int(each.client_id.removeprefix("agent_")) for each in (agent, other))
    assert [world.server.peek(number) for _ in range(3)] == [None] * 3
    world.root(agent)
    refusal = world.server.peek(number)
    assert (refusal.bucket, refusal.retry_after) == ("client", 1)
    assert world.server.peek(another) is None
    world.root(other)
    # What has been let in and is not decided yet goes before.
    world.clock.advance(SECOND)
    assert world.server.peek(number) is None
    assert world.server.peek(number, ahead={("class", "agent"): 1}).bucket == "class"
    # A new policy's limits hold from the moment on.
    world.server.policy = Policy()
    assert world.server.peek(number, ahead={("class", "agent"): 1}) is None
