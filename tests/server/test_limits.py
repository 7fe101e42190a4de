"""Rate limits: token buckets of clients, trees and classes; who asks too often is told when to come again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.server import Client, Introspect, Introspection, Issue, IssueChild, Refresh, TokenGrant, Verify
from agentsim.server.clock import SECOND
from agentsim.server.limits import Buckets
from agentsim.server.policy import Limits, Policy, RateLimit

SLOW = RateLimit(per_second=0.5, burst=3)


def limited(world: Any, operation: Any) -> Any:
    """The refusal, which is for the rate."""
    error = world.refusal(operation)
    assert (error.reason, error.status, error.error) == ("rate_limited", 429, "too_many_requests")
    return error


def asking(agent: Client) -> Issue:
    return Issue(by=agent, scope="file_read:github")


def test_a_client_that_has_used_its_bucket_up_comes_again_when_it_is_told(make_world: Any) -> None:
    world = make_world(limits=Limits(client=SLOW))
    agent, other = world.agent(), world.agent()
    for _ in range(3):
        world.ask(asking(agent), TokenGrant)
    error = limited(world, asking(agent))
    assert (error.bucket, error.retry_after) == ("client", 2)
    # Another client has a bucket of its own.
    world.ask(asking(other), TokenGrant)
    world.clock.advance(1 * SECOND)
    assert limited(world, asking(agent)).retry_after == 1
    world.clock.advance(1 * SECOND)
    world.ask(asking(agent), TokenGrant)
    limited(world, asking(agent))


def test_all_that_is_done_with_a_client_s_grants_counts(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=4)))
    agent = world.agent()
    grant = world.root(agent)
    grant = world.refresh(agent, grant)
    world.child(agent, grant)
    assert world.why_not(grant) is None
    assert world.why_not(grant) == "rate_limited"
    limited(world, Refresh(by=agent, refresh_token=grant.refresh_token))
    limited(world, asking(agent))


def test_a_refused_refresh_can_be_done_later(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=1, burst=1)))
    agent = world.agent()
    grant = world.root(agent)
    limited(world, Refresh(by=agent, refresh_token=grant.refresh_token))
    world.clock.advance(1 * SECOND)
    world.refresh(agent, grant)


def test_a_tree_has_a_bucket_whoever_works_in_it(make_world: Any) -> None:
    world = make_world(limits=Limits(tree=SLOW))
    agents = [world.agent() for _ in range(4)]
    root = world.root(agents[0])
    for agent in agents[1:]:
        world.child(agent, root)
    below = IssueChild(by=agents[0], parent_token=root.access_token, scope="file_read:github")
    assert limited(world, below).bucket == "tree"
    # Another tree is another bucket; a root begins one.
    another = world.root(agents[0], "another task")
    assert world.why_not(another) is None


def test_people_are_served_while_the_agents_have_used_up_theirs(make_world: Any) -> None:
    limits = Limits(classes={"agent": SLOW, "human": RateLimit(per_second=10, burst=10)})
    world = make_world(limits=limits)
    person = world.agent(actor_class="human")
    agents = [world.agent() for _ in range(5)]
    for agent in agents[:3]:
        world.ask(asking(agent), TokenGrant)
    assert limited(world, asking(agents[3])).bucket == "class"
    for _ in range(10):
        world.ask(asking(person), TokenGrant)
    assert limited(world, asking(person)).bucket == "class"


def test_who_is_not_who_it_says_uses_nobody_s_bucket_up(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=1)))
    agent = world.agent()
    for _ in range(5):
        assert world.refusal(asking(Client(agent.client_id, "guess"))).reason == "invalid_client"
    world.ask(asking(agent), TokenGrant)


def test_revoking_and_asking_what_a_token_is_are_never_limited(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=1)))
    agent = world.agent()
    grant = world.root(agent)
    limited(world, asking(agent))
    assert world.ask(Introspect(token=grant.access_token), Introspection).active
    world.revoke(grant, by=agent)
    # And a token that is dead says so, rather than that it is used too often.
    assert world.why_not(grant) == "revoked"


def test_a_limited_use_costs_nothing_and_tells_nothing(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=1)))
    grant = world.root(world.agent(), budget=10)
    told = world.verify(grant, required_tools=["file_read"])
    assert (told.error.reason, told.cost, told.scope) == ("rate_limited", None, "")
    (row,) = world.audit(event_type="token_verified")
    assert (row["status"], row["reason"]) == ("refused", "rate_limited")


def test_a_batch_that_is_decided_anew_is_charged_once(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=2)))
    agent = world.agent()
    world.root(agent)
    write, lost = world.server.store.write, iter([True, False, False])

    def contended(connection: Any, batch: Any) -> None:
        from agentsim.server.store import ConflictError

        if next(lost):
            raise ConflictError("another writer was faster")
        write(connection, batch)

    monkeypatch.setattr(world.server.store, "write", contended)
    world.root(agent, "again")
    limited(world, asking(agent))


def test_other_limits_stand_as_soon_as_the_policy_says_so(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=1)))
    agent = world.agent()
    world.root(agent)
    limited(world, asking(agent))
    world.server.change_policy(Policy(limits=Limits(client=SLOW)), by=world.admin)
    world.ask(asking(agent), TokenGrant)


steps = st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=80)


@given(steps, st.floats(0.2, 50), st.integers(1, 10))
def test_in_no_time_more_than_the_burst_and_what_flowed_in(gaps: list[int], rate: float, burst: int) -> None:
    limits = Limits(client=RateLimit(per_second=rate, burst=burst))
    buckets, now, granted = Buckets(), 10**12, []
    for gap in gaps:
        now += gap
        draft = buckets.draft(limits)
        short = draft.charge(now, 1, "agent")
        buckets.take(draft)
        if short is None:
            granted.append(now)
        else:
            # What was told is true: then there is room, and a moment before there is none.
            assert buckets.draft(limits).shortage(now + short.wait_us, 1, "agent") is None
            assert buckets.draft(limits).shortage(now + short.wait_us - 1, 1, "agent") is not None
    for first, begin in enumerate(granted):
        for last in range(first, len(granted)):
            assert last - first + 1 <= burst + (granted[last] - begin) / SECOND * rate + 1e-6


@given(st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(1, 3)), max_size=60), st.integers(1, 4))
def test_however_it_is_cut_into_batches_the_same_are_granted(asked: list[tuple[int, int]], size: int) -> None:
    limits = Limits(client=SLOW, classes={"agent": RateLimit(per_second=1, burst=4)})
    moments, now = [], 10**12
    for gap, client in asked:
        now += gap
        moments.append((now, client))

    def granted(size: int) -> list[bool]:
        buckets, found = Buckets(), []
        for start in range(0, len(moments), size):
            draft = buckets.draft(limits)
            found += [
                draft.charge(now, client, "agent") is None for now, client in moments[start : start + size]
            ]
            buckets.take(draft)
        return found

    assert granted(size) == granted(1)


def test_of_several_servers_each_grants_its_part() -> None:
    limits = Limits(client=RateLimit(per_second=1, burst=8))
    draft = Buckets(sharers=4).draft(limits)
    assert [draft.charge(10**12, 1, None) is None for _ in range(3)] == [True, True, False]


def test_buckets_that_are_full_are_forgotten() -> None:
    buckets, limits = Buckets(), Limits(client=RateLimit(per_second=10, burst=10))
    for client in range(30_000):
        draft = buckets.draft(limits)
        draft.charge(10**12 + client * SECOND, client, None)
        buckets.take(draft)
    assert len(buckets) < 20_000


def test_verify_is_a_use_by_whom_the_token_was_issued_to(make_world: Any) -> None:
    world = make_world(limits=Limits(client=RateLimit(per_second=0.001, burst=2)))
    agent, files = world.agent(), world.agent()
    grant = world.root(agent)
    for _ in range(2):
        world.server.execute([Verify(token=grant.access_token, by=files)])
    # The resource server's own bucket is as it was.
    world.ask(asking(files), TokenGrant)
    limited(world, asking(agent))
