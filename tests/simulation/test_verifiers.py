"""Resource servers that decide by themselves: what they let through, and for how long after a mark."""

import pytest

from agentsim.lineage import check
from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    ManualClock,
    Policy,
    Register,
    Revoke,
    Server,
    Verify,
)
from agentsim.server.clock import SECOND
from agentsim.server.tokens import TokenCodec
from agentsim.simulation import simulate
from agentsim.simulation.knowledge import Marks, committed_marks
from agentsim.simulation.resourceservers import ResourceServers
from agentsim.simulation.rounds import Answered, Step
from agentsim.simulation.verifiers import Verifiers

START = 1_767_225_600 * SECOND
OFTEN = {
    name: {"cancelled": 0.5, "gap": "5s"}
    for name in ("orchestrator", "code_reviewer", "data_analyst", "support_agent")
}
WAYS = [
    {"verification": "offline"},
    {"verification": "introspection", "cache": "30s"},
    {"verification": "status-list", "period": "20s"},
    {"verification": "feed", "period": "5s"},
]


class World:
    """A parent and its child, a resource server, and calls at moments in seconds."""

    def __init__(self, budget=None, **settings):
        self.server = Server(clock=ManualClock(START), policy=Policy(access_ttl_us=300 * SECOND))
        self.verifiers = Verifiers(
            ResourceServers.model_validate(settings),
            ["github"],
            TokenCodec(self.server.policy.issuer, self.server.policy.audiences, self.server.keyring),
            Marks(committed_marks(self.server.store)),
            salt=b"salt",
            start=START,
        )
        self._steps = 0
        self.parent = self._do(Issue(by=self._agent(), task_id="t", scope="file_read:github", budget=budget))
        child = IssueChild(
            by=self._agent(), parent_token=self.parent.access_token, task_id="t/1", scope="file_read:github"
        )
        self.token = self._do(child).access_token

    def call(self, at, task="t/1", tool="file_read", audience=None):
        """Whether a call of the child is let through."""
        step = self._step(at)
        call = Verify(
            token=self.token,
            task_id=task,
            required_tools=(tool,),
            required_resources=("github",),
            audience=audience,
        )
        answered = self.verifiers.receive(step, call)
        if isinstance(answered, Answered):
            return answered.answer
        return self._settled(step, answered)[1]

    def asks(self, at):
        """What the token server would be asked because of a call."""
        call = Verify(token=self.token, required_tools=("file_read",), required_resources=("github",))
        return type(self.verifiers.receive(self._step(at), call))

    def cancel(self, at):
        self._settled(self._step(at), Revoke(by=Admin("acme"), task_id="t", reason="cancelled_by_owner"))

    def close(self, at):
        end = START + int(at * SECOND)
        while self.server.pending(end):
            self.server.fill(at=end)
        self.verifiers.close_window(end)

    @property
    def exposed(self):
        """Honoured calls, and the seconds from the mark to the first and the last of them."""
        rows = self.verifiers.exposures.table(0).to_pylist()
        return [(row["honoured"], row["first_us"] / SECOND, row["last_us"] / SECOND) for row in rows]

    def _agent(self):
        profile = Register(
            by=Admin("acme"), agent_name="a", allowed_tools=["file_read"], resource_access=["github"]
        )
        made = self._do(profile)
        self._do(Confirm(registration_token=made.registration_token))
        return Client(made.client_id, made.client_secret)

    def _do(self, operation):
        (answer,) = self.server.execute([operation], at=[START])
        return answer

    def _step(self, at):
        self._steps += 1
        return Step(START + int(at * SECOND), self._steps, 0, -1, 0)

    def _settled(self, step, operation):
        (answer,) = self.server.execute([operation], at=[step.time])
        return self.verifiers.settle(step, operation, answer)


def test_online_servers_ask_for_each_call_and_expose_nothing():
    world = World()
    assert world.call(1).is_valid
    world.cancel(2)
    assert not world.call(3).is_valid
    world.close(5)
    assert world.exposed == []
    assert (world.verifiers.calls, world.verifiers.asked) == (2, 2)


def test_offline_servers_honour_a_token_until_it_expires():
    world = World(verification="offline")
    world.cancel(10)
    assert world.call(9).is_valid
    assert world.call(12).is_valid
    assert world.call(299.9).is_valid
    refused = world.call(300)
    assert refused.error.reason == "expired"
    world.close(305)
    assert world.exposed == [(2, 2.0, 289.9)]
    assert world.verifiers.asked == 0


def test_what_the_token_does_not_hold_is_refused_without_asking():
    world = World(verification="offline")
    assert world.call(1, tool="file_write").error.reason == "tool_not_granted"
    assert world.call(1, task="another").error.reason == "task_mismatch"


def test_a_kept_answer_is_good_until_the_cache_is_over():
    world = World(verification="introspection", cache="10s")
    assert world.asks(0) is Introspect
    assert world.call(1).is_valid
    world.cancel(2)
    assert world.call(10.9).is_valid
    assert world.call(11).error.reason == "revoked"
    world.close(15)
    assert world.exposed == [(1, 8.9, 8.9)]


def test_that_a_token_is_dead_is_kept_as_well():
    world = World(verification="introspection", cache="10s")
    world.cancel(2)
    assert not world.call(3).is_valid
    asked = world.verifiers.asked
    assert world.call(4).error.reason == "revoked"
    assert world.verifiers.asked == asked


def test_a_cache_of_nothing_asks_each_time():
    world = World(verification="introspection", cache="0s")
    assert world.call(1).is_valid
    world.cancel(2)
    assert not world.call(2).is_valid
    world.close(5)
    assert world.exposed == []


def test_answers_that_are_too_old_are_forgotten():
    world = World(verification="introspection", cache="10s")
    world.call(1)
    world.close(5)
    assert world.asks(6) is not Introspect
    world.close(11)
    assert world.asks(11) is Introspect


def first_poll(world):
    """Seconds from the beginning to the first poll: each server has a phase of its own."""
    return (world.verifiers._servers["github"].begins - START) / SECOND


def test_a_feed_is_as_old_as_the_last_poll():
    world = World(verification="feed", period="20s")
    poll = first_poll(world)
    world.cancel(poll + 5)
    assert world.call(poll + 19.9).is_valid
    assert world.call(poll + 20).error.reason == "revoked"
    world.close(poll + 40)
    ((honoured, first, last),) = world.exposed
    assert (honoured, round(first, 3), round(last, 3)) == (1, 14.9, 14.9)


def test_what_only_the_order_of_rounds_let_through_is_not_counted():
    """The poll would have shown the mark, had it been played before the call."""
    world = World(verification="feed", period="20s")
    poll = first_poll(world)
    assert world.call(poll + 20.5).is_valid
    world.cancel(poll + 19)
    world.close(poll + 22)
    assert world.exposed == []
    assert not world.call(poll + 23).is_valid


def test_a_status_list_follows_the_fill():
    world = World(verification="status-list", period="20s")
    poll = first_poll(world)
    world.cancel(poll + 19)
    assert world.call(poll + 19.5).is_valid
    # The rows are filled in when the next list has been fetched: it takes one more.
    world.close(poll + 22)
    assert world.call(poll + 39).is_valid
    assert world.call(poll + 40).error.reason == "revoked"
    world.close(poll + 45)
    ((honoured, first, last),) = world.exposed
    assert (honoured, round(first, 3), round(last, 3)) == (2, 0.5, 20.0)


def test_budgeted_tokens_are_always_verified_online():
    world = World(verification="offline", budget=10)
    assert world.asks(1) is Verify


def test_one_resource_may_have_a_way_of_its_own():
    world = World(verification="offline", others={"github": {"verification": "online"}})
    assert world.asks(1) is Verify


def test_a_call_is_counted_at_the_earliest_of_several_marks():
    world = World(verification="offline")
    world.cancel(10)
    world._settled(world._step(20), Revoke(by=Admin("acme"), task_id="t/1", reason="cancelled_by_owner"))
    world.call(30)
    world.close(35)
    assert world.exposed == [(1, 20.0, 20.0)]


def test_servers_poll_at_phases_that_do_not_depend_on_each_other(scenario):
    codec = TokenCodec("https://i", ("https://a",), Server().keyring)

    def phases(names):
        settings = ResourceServers(verification="feed")
        made = Verifiers(settings, names, codec, Marks(list), salt=b"salt", start=0)
        return {name: server.begins for name, server in made._servers.items()}

    few, many = phases(["github", "jira"]), phases(["crm", "github", "jira", "wiki"])
    assert few.items() <= many.items()
    assert len(set(many.values())) == 4
    assert all(0 <= begins < 5 * SECOND for begins in many.values())


@pytest.fixture
def small(scenario):
    return lambda **parts: scenario(
        population={"agents": 300},
        workload={"executor": "constant-arrival-rate", "duration": "10m"},
        roles=OFTEN,
        **parts,
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way["verification"])
def test_children_of_what_was_cancelled_go_on_until_somebody_refuses(small, tmp_path, way):
    run = simulate(small(resource_servers=way), tmp_path / "run")
    found = run.frame("exposures")
    assert found["honoured"].sum() > 0
    assert set(found["verification"]) == {way["verification"]}
    below = run.sql("""
        select count(*) n from audit a join tokens t using (token_id) join revocations r using (revocation_id)
        where a.event_type = 'task_execution' and t.depth > 0 and r.reason = 'cancelled_by_owner'
          and a.timestamp > r.revoked_at
    """)["n"][0]
    assert below > 0
    assert check(run) == []
    again = simulate(small(resource_servers=way), tmp_path / "again", batch_size=3)
    assert again.manifest.digests() == run.manifest.digests()


def test_offline_servers_answer_as_the_token_server_would_where_nothing_is_revoked(scenario, tmp_path):
    """The same intents: every call that one lets through, the other lets through."""
    still = {
        name: {"cancelled": 0.0, "revokes": 0.0, "slips": 0.2}
        for name in ("orchestrator", "code_reviewer", "data_analyst", "support_agent")
    }
    outcomes = []
    for way in ("online", "offline"):
        story = scenario(population={"agents": 300}, roles=still, resource_servers={"verification": way})
        run = simulate(story, tmp_path / way)
        rows = run.sql("select timestamp, task_id, details from audit where event_type = 'task_execution'")
        outcomes.append(sorted(map(tuple, rows.to_numpy().tolist())))
        assert run.frame("exposures").empty
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("way", [{"verification": "online"}, *WAYS], ids=lambda way: way["verification"])
def test_a_token_for_another_resource_server_is_refused_whoever_decides(way):
    world = World(**way)
    assert world.call(1, audience=world.server.policy.audience).is_valid
    assert world.call(2, audience="https://elsewhere.example").error.reason == "wrong_audience"
