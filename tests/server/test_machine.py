"""A whole token server against a model of it, by stories that Hypothesis makes up; see ``model.py``.

The same machine drives the core, with operations cut into batches as it comes, and a served server over HTTP, on
SQLite and on PostgreSQL. A story is short here; ``--hypothesis-profile soak`` tells more and longer ones.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from agentsim.server import (
    Client,
    Confirm,
    Disable,
    Enable,
    Introspect,
    Issue,
    IssueChild,
    Operation,
    Policy,
    Refresh,
    Register,
    Revoke,
    Verify,
)
from agentsim.server.policy import Budgets
from agentsim.server.schema import IssuedToken
from agentsim.server.store import rows_of, table
from tests.server.drivers import ADMIN, Core, Http
from tests.server.model import LEVELS, SECOND, Agent, Asked, Expected, Model, Rules, covered, may_not_ask

PROFILES = (
    {"allowed_tools": ["read", "write"], "resource_access": ["a", "b"], "max_scope_level": "standard"},
    {"allowed_tools": ["read"], "resource_access": ["a/x"], "max_scope_level": "minimal"},
    {"allowed_tools": ["read", "run"], "resource_access": ["a", "b/y"], "max_scope_level": "elevated"},
)
SCOPES = ("read:a", "read:a/x", "read:a/x/z write:b", "read:a read:b/y", "read:ab", "run:b/y", "read:a/../b")
OWNERS = ("acme", "acme", "acme", "globex")
TASKS = tuple(f"task {number}" for number in range(9))
RULES = (
    Rules(),
    Rules(),
    Rules(access_ttl=30 * SECOND, depth=2, fanout=1, budget=None),
    Rules(access_ttl=250 * SECOND, depth=4, cost=3, budget=8, share=0.2),
)
NOW = 1_700_000_000 * SECOND + 250_000
STEPS = (1, 1, 10, 29, 40, 99, 260)


def asking(scopes: Sequence[str], budgets: Sequence[int | None]) -> st.SearchStrategy[Asked]:
    return st.builds(
        Asked,
        scope=st.sampled_from(scopes),
        task=st.sampled_from(TASKS),
        level=st.sampled_from((None, None, None, *LEVELS[:3])),
        budget=st.sampled_from(budgets),
    )


def words_of(asked: Asked) -> dict[str, Any]:
    """The same in the server's words."""
    return {
        "scope": asked.scope,
        "task_id": asked.task,
        "scope_level": asked.level,
        "budget": asked.budget,
    }


def policy_of(rules: Rules) -> dict[str, Any]:
    return {
        "access_ttl_us": rules.access_ttl,
        "grant_ttl_us": rules.grant_ttl,
        "registration_ttl_us": rules.registration_ttl,
        "max_depth": rules.depth,
        "max_fanout": rules.fanout,
        "tool_cost": rules.cost,
        "budgets": Budgets(root=rules.budget, child_share=rules.share),
    }


@dataclass(eq=False)
class Known:
    """A thing of the model, and what the server has answered about it once that is there."""

    model: Any
    answer: dict[str, Any] | None = None


#: What is named for what is to end.
ENDS = ("token", "token alone", "refresh token", "token, by an agent", "task", "agent", "principal")
NUMBERS = st.integers(0, 40)
rule_with_tokens = precondition(lambda self: self.tokens)


class Machine(RuleBasedStateMachine):
    """Asks a server and its model the same, and holds each answer of the one against the other's.

    Agents and tokens are drawn by number, counted from the newest.
    """

    def __init__(self, driver: Core) -> None:
        super().__init__()
        self.driver, self.model = driver, Model(RULES[0])
        self.agents: list[Known] = []
        self.tokens: list[Known] = []
        #: What was asked and not sent yet, and how many are sent together.
        self.waiting: list[tuple[Operation, int, Expected, Known]] = []
        self.together = 1
        self.unchecked = False

    @property
    def now(self) -> int:
        return int(self.driver.clock.now())

    def ask(self, operation: Operation, expected: Expected, known: Known | None = None) -> Known:
        """Ask sooner or later; the model has answered already."""
        known = known or Known(expected.token)
        self.waiting.append((operation, self.now, expected, known))
        if len(self.waiting) >= self.together:
            self.send()
        return known

    def send(self) -> None:
        """Send what waits, in one batch."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        answers = self.driver.ask([operation for operation, *_ in waiting], [at for _, at, *_ in waiting])
        for answer, (operation, _, expected, known) in zip(answers, waiting, strict=True):
            held_against(answer, expected, type(operation).__name__)
            known.answer = answer
        self.unchecked = True
        if self.driver.eager:
            self.settle()

    def settle(self, chunk: int = 1_000) -> None:
        self.driver.settle(chunk)
        self.model.settle(self.now)
        assert self.driver.audit.asked() == []

    def said(self, known: Known, what: str) -> str:
        """What the server has told: it is asked now if it has not been asked yet."""
        if known.answer is None:
            self.send()
        assert known.answer is not None
        return str(known.answer[what])

    def client(self, agent: Known) -> Client:
        return Client(self.said(agent, "client_id"), self.said(agent, "secret"))

    def grant(self, operation: Operation, expected: Expected) -> None:
        """Ask for tokens."""
        known = self.ask(operation, expected)
        if expected.token:
            self.tokens.append(known)

    def agent(self, number: int) -> Known:
        """Even numbers are of those that may ask, where there are any."""
        able = [each for each in self.agents if number % 2 == 0 and not may_not_ask(each.model)]
        return (able or self.agents)[-1 - number // 2 % len(able or self.agents)]

    def token(self, number: int) -> Known:
        """Even numbers are of those that are active, where there are any."""
        active = [t for t in self.tokens if number % 2 == 0 and not self.model.inactive(t.model, self.now)]
        return (active or self.tokens)[-1 - number // 2 % len(active or self.tokens)]

    def agent_of(self, token: Known) -> Known:
        return next(agent for agent in self.agents if agent.model is token.model.grant.agent)

    def name_of(self, token: Known) -> str:
        """What names its grant: nobody need know an access token any more once it has expired."""
        return self.said(token, "refresh" if self.now >= token.model.expires_at else "access")

    @initialize(together=st.integers(1, 6))
    def begin(self, together: int) -> None:
        """Three agents, of two owners; two work in one tree."""
        for profile, owner in ((0, "globex"), (2, "acme"), (0, "acme")):
            self.register(profile, owner)
            self.confirm(0)
        self.issue(0, 0, Asked(scope="read:a read:b/y", task="task 0"))
        self._exchange(self.token(0), self.agents[1], Asked(scope=None, task="task 1"))
        if not self.driver.eager:
            self.together = together

    # -- agents

    @precondition(lambda self: len(self.agents) < 7)
    @rule(profile=st.integers(0, len(PROFILES) - 1), owner=st.sampled_from(OWNERS))
    def register(self, profile: int, owner: str) -> None:
        terms = PROFILES[profile]
        agent = Agent(
            owner=owner,
            tools=frozenset(terms["allowed_tools"]),
            scope=frozenset(f"{t}:{r}" for t in terms["allowed_tools"] for r in terms["resource_access"]),
            level=str(terms["max_scope_level"]),
            confirm_by=self.now + self.model.rules.registration_ttl,
        )
        asked = Register(by=ADMIN, agent_name="an agent", owner=owner, **terms)  # type: ignore[arg-type]
        self.agents.append(self.ask(asked, Expected(set()), Known(agent)))

    @rule(number=st.integers(0, 2))
    def confirm(self, number: int) -> None:
        agent = self.agents[-1 - number]
        token = self.said(agent, "registration_token")
        self.ask(Confirm(registration_token=token), self.model.confirm(agent.model, self.now))

    @rule(number=NUMBERS)
    def disable_or_enable(self, number: int) -> None:
        """One at a time: stories of agents that may not ask are soon told."""
        agent = next((each for each in self.agents if each.model.disabled), self.agent(number))
        client_id = self.said(agent, "client_id")
        if agent.model.disabled and number:
            self.ask(Enable(by=ADMIN, client_id=client_id), self.model.enable(agent.model))
        else:
            self.ask(Disable(by=ADMIN, client_id=client_id), self.model.disable(agent.model))

    # -- grants

    @rule(number=NUMBERS, person=st.integers(0, 2), asked=asking(SCOPES, (None, None, 0, 2, 7)))
    def issue(self, number: int, person: int, asked: Asked) -> None:
        agent = self.agent(number)
        principal = self.driver.principals[person % len(self.driver.principals)]
        by, owner = self.client(agent), agent.model.owner
        expected = self.model.issue(agent.model, asked, principal or owner, self.now)
        self.grant(Issue(by=by, principal=principal, **words_of(asked)), expected)

    @rule_with_tokens
    @rule(number=NUMBERS, task=st.sampled_from(TASKS), scope=st.sampled_from((None, None, "read:a/x")))
    def delegate(self, number: int, task: str, scope: str | None) -> None:
        """As mostly: to itself, or to another that may ask."""
        parent = self.token(number)
        fit = [each for each in self.agents if each.model.owner == parent.model.grant.agent.owner]
        self._exchange(parent, fit[number % len(fit)], Asked(scope=scope, task=task))

    @rule_with_tokens
    @rule(number=NUMBERS, taker=NUMBERS, asked=asking(SCOPES, (None, 0, 1, 4)))
    def exchange(self, number: int, taker: int, asked: Asked) -> None:
        self._exchange(self.token(number), self.agent(taker), asked)

    def _exchange(self, parent: Known, agent: Known, asked: Asked) -> None:
        by, token = self.client(agent), self.said(parent, "access")
        expected = self.model.exchange(agent.model, parent.model, asked, self.now)
        inheritance = "restricted" if asked.scope else "full"
        words = words_of(asked) | {"scope_inheritance": inheritance}
        self.grant(IssueChild(by=by, parent_token=token, **words), expected)

    @rule_with_tokens
    @rule(number=NUMBERS)
    def refresh(self, number: int) -> None:
        token = self.token(number)
        self._refresh(token, self.agent_of(token), None)

    @rule_with_tokens
    @rule(number=NUMBERS, taker=NUMBERS, own=st.booleans(), scope=st.sampled_from((None, *SCOPES)))
    def refresh_otherwise(self, number: int, taker: int, own: bool, scope: str | None) -> None:
        token = self.token(number)
        self._refresh(token, self.agent_of(token) if own else self.agent(taker), scope)

    def _refresh(self, token: Known, agent: Known, scope: str | None) -> None:
        by, old = self.client(agent), self.said(token, "refresh")
        expected = self.model.refresh(agent.model, token.model, scope=scope, now=self.now)
        self.grant(Refresh(by=by, refresh_token=old, scope=scope), expected)

    # -- uses

    @rule_with_tokens
    @rule(
        number=NUMBERS,
        scope=st.sampled_from((None, None, *SCOPES[:-1])),
        tools=st.sampled_from(((), ("read",), ("read", "write"))),
    )
    def verify(self, number: int, scope: str | None, tools: tuple[str, ...]) -> None:
        token = self.token(number)
        access, scope = self.said(token, "access"), scope or " ".join(sorted(token.model.scope))
        expected = self.model.verify(token.model, scope=scope, tools=tools, now=self.now)
        self.ask(Verify(by=ADMIN, token=access, scope=scope, required_tools=tools), expected)

    @rule_with_tokens
    @rule(number=NUMBERS)
    def spend(self, number: int) -> None:
        self.verify(number, None, tuple(sorted(self.token(number).model.tools)))

    @rule_with_tokens
    @rule(number=NUMBERS)
    def introspect(self, number: int) -> None:
        token = self.token(number)
        access = self.said(token, "access")
        self.ask(Introspect(by=ADMIN, token=access), self.model.introspect(token.model, self.now))

    # -- ends

    @rule_with_tokens
    @rule(kind=st.sampled_from(ENDS), number=NUMBERS, taker=NUMBERS)
    def revoke(self, kind: str, number: int, taker: int) -> None:
        token, model = self.token(number), self.model
        agent, grant = self.agent_of(token), token.model.grant
        owner = agent.model.owner
        match kind:
            case "token" | "token alone":
                alone = kind != "token"
                asked = Revoke(by=ADMIN, token=self.name_of(token), cascade=not alone)
                expected = model.revoke(token.model, None, cascade=not alone)
            case "refresh token":
                asked = Revoke(by=ADMIN, token=self.said(token, "refresh"))
                expected = model.revoke(token.model, None)
            case "token, by an agent":
                by = self.agent(taker)
                asked = Revoke(by=self.client(by), token=self.name_of(token))
                expected = model.revoke(token.model, by.model)
            case "task":
                asked = Revoke(by=ADMIN, owner=owner, task_id=grant.task)
                expected = model.end_task(owner, grant.task)
            case "agent":
                asked = Revoke(by=ADMIN, client_id=self.said(agent, "client_id"))
                expected = model.end_agent(agent.model)
            case _:
                asked = Revoke(by=ADMIN, owner=owner, principal=grant.principal)
                expected = model.end_principal(owner, grant.principal)
        self.ask(asked, expected)

    # -- the server

    @rule()
    def rotate_key(self) -> None:
        self.send()
        self.driver.rotate_key()
        self.unchecked = True

    @rule(rules=st.sampled_from(RULES))
    def change_policy(self, rules: Rules) -> None:
        self.send()
        written = self.driver.change_policy(Policy(**policy_of(rules)))
        assert len(self.driver.audit.asked()) == written
        self.model.rules = rules

    @rule(seconds=st.sampled_from(STEPS))
    def advance(self, seconds: int) -> None:
        if self.driver.eager:
            self.send()
        self.driver.clock.advance(seconds * SECOND)
        if self.driver.eager:
            self.settle()
        self.unchecked = True

    @rule(chunk=st.integers(1, 8))
    def fill(self, chunk: int) -> None:
        self.send()
        self.settle(chunk)

    @rule()
    def clean_up(self) -> None:
        """All that there is goes once it has been over for an hour; nothing of it is active afterwards."""
        self.send()
        self.driver.clock.advance(8_000 * SECOND)
        self.settle()
        while self.driver.server.clean(3_600 * SECOND, 20).more:
            pass
        if self.tokens:
            questions = [Verify(by=ADMIN, token=self.said(token, "access")) for token in self.tokens]
            assert all(answer["reason"] is not None for answer in self.driver.verify_all(questions))
        self.tokens.clear()

    # -- what must be so after each step

    @invariant()
    def what_is_active_is_active_and_nothing_else(self) -> None:
        """Asked only where nothing waits to be sent: whoever has not been answered yet has nothing to rely on."""
        if self.waiting or not self.unchecked or not self.tokens:
            return
        self.unchecked = False
        self.rows_are_within_bounds()
        expected = [self.model.verify(token.model, scope="", tools=(), now=self.now) for token in self.tokens]
        questions = [Verify(by=ADMIN, token=self.said(token, "access")) for token in self.tokens]
        answers = self.driver.verify_all(questions)
        for answer, each in zip(answers, expected, strict=True):
            held_against(answer, each, "is it active?")

    def rows_are_within_bounds(self) -> None:
        """Children never exceed their parents, and no refresh token has been used twice."""
        with self.driver.server.store.transaction() as connection:
            rows = {row["token_id"]: row for row in rows_of(connection, select(table(IssuedToken)))}
        assert len(rows) == len(self.tokens)
        used = [row["previous_token_id"] for row in rows.values() if row["previous_token_id"]]
        assert len(used) == len(set(used))
        for row in rows.values():
            assert row["expires_at"] <= row["grant_expires_at"]
            if row["parent_token_id"] is not None:
                above = rows[row["parent_token_id"]]
                assert row["grant_expires_at"] <= above["grant_expires_at"]
                assert covered(row["scope"].split(), above["scope"].split())
                assert covered(row["granted_resources"].split(), above["granted_resources"].split())
                assert set(row["granted_tools"].split()) <= set(above["granted_tools"].split())
                assert LEVELS.index(row["max_scope_level"]) <= LEVELS.index(above["max_scope_level"])
                assert above["budget"] is None or row["budget"] <= above["budget"]

    def teardown(self) -> None:
        # A story that has failed has been told.
        if sys.exc_info()[0] is None:
            self.send()
            self.settle()
            self.unchecked = True
            self.what_is_active_is_active_and_nothing_else()
        self.driver.close()


def held_against(answer: dict[str, Any], expected: Expected, asked: str) -> None:
    """Without the whole answer in the message: that is mostly a long token."""
    reason = answer["reason"]
    if expected.reasons:
        assert reason in expected.reasons, asked
    else:
        assert reason is None, asked
        told = {name: answer.get(name) for name in expected.values}
        assert told == expected.values, asked


def tell_stories(make_driver: Callable[[], Core], *, part: int) -> None:
    """Of the profile's number of examples this part in a hundred."""
    usual = settings.default
    assert usual is not None
    run_state_machine_as_test(
        lambda: Machine(make_driver()),
        settings=settings(
            max_examples=max(1, usual.max_examples * part // 100),
            stateful_step_count=40,
            # To find the shortest story that fails takes minutes: that is for whoever looks into it.
            phases=[Phase.generate] if usual.derandomize else [*Phase],
            suppress_health_check=[*HealthCheck],
        ),
    )


def test_the_core_on_sqlite(new_world: Any) -> None:
    # Between two seconds, so that what is rounded shows.
    tell_stories(lambda: Core(new_world(now=NOW, **policy_of(RULES[0]))), part=60)


def test_the_core_on_postgresql(new_world: Any, new_schema: Callable[[], str]) -> None:
    tell_stories(lambda: Core(new_world(new_schema(), now=NOW, **policy_of(RULES[0]))), part=10)


def test_a_served_server_on_sqlite(make_site: Callable[..., Any]) -> None:
    tell_stories(lambda: Http(make_site(**policy_of(RULES[0]))), part=10)


def test_a_served_server_on_postgresql(make_site: Callable[..., Any], new_schema: Callable[[], str]) -> None:
    tell_stories(lambda: Http(make_site(database=new_schema(), **policy_of(RULES[0]))), part=5)
