"""A random story: a server is told one operation after the other, each built from earlier answers."""

import hashlib
from collections.abc import Iterable
from typing import Any

from agentsim.server import (
    Activation,
    Admin,
    Assessment,
    Client,
    Confirm,
    ExecutionReceipt,
    GrantState,
    Hold,
    Introspect,
    Introspection,
    Issue,
    IssueChild,
    Noted,
    Reauthorize,
    RecordExecution,
    Refresh,
    Register,
    Registration,
    Revocation,
    Revoke,
    TokenGrant,
    Use,
    Verification,
    Verify,
)
from agentsim.server.answers import AgentRecord, NewSecret
from agentsim.server.following import Follower
from agentsim.server.operations.agents import Disable, Enable, RotateSecret, UpdateAgent
from agentsim.server.parties import RegistrationAccess
from agentsim.server.schema import IssuedToken, RevocationMark
from agentsim.server.watch import WATCH
from tests.server.choices import (
    FIRST,
    GRANT_TYPES,
    OF_AGENTS,
    OWNERS,
    PEOPLE,
    POLICY,
    PROFILES,
    SCOPES,
    SECOND_SERVER,
    STEPS,
    TARGETS,
    TASKS,
    THIRD,
    UPDATES,
)
from tests.server.known import Grant, Model, Token
from tests.server.model import LEVELS, covered

#: In a script: what the matcher wanted is carried out.
RESPOND = object()


class Wary:
    """Holds a grant that is used a third time, and wants the tree of one ended that was refused three times."""

    def assess(self, use: Use, state: GrantState) -> Assessment:
        if state.refusals >= 3:
            return Assessment(False, "unusual", "high", 2.5, ("refused again and again",), "revoke_tree")
        if use.event and state.verifications >= 2:
            return Assessment(False, "unusual", "high", 1.5, ("used again",), "step_up")
        return Assessment(True, "normal", "low")


class Story:
    """Tells a server one operation after the other and holds each answer against the model."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.model = Model(world.policy.refresh_grace_us)
        #: What was asked and when; a fill is told by its limit.
        self.script: list[tuple[Any, int]] = []
        self.answers: list[Any] = []
        self.registrations: list[Registration] = []
        self.agents: list[Client] = []
        #: What each agent manages itself with.
        self.access: dict[str, RegistrationAccess] = {}
        self.tokens: list[Token] = []

    @property
    def now(self) -> int:
        return int(self.world.clock.now())

    def ask(self, operation: Any) -> Any:
        (answer,) = self.world.server.execute([operation], at=[self.now])
        self.script.append((operation, self.now))
        self.answers.append(answer)
        return answer

    def tell(self, kind: str, *choices: int) -> None:
        if kind in ("register", "advance", "fill", "respond") or (self.agents and kind in OF_AGENTS):
            getattr(self, kind)(*choices)
        elif kind not in OF_AGENTS and self.tokens:
            # The newest first: small numbers make long stories about few tokens.
            token = self.tokens[-1 - choices[0] % len(self.tokens)]
            getattr(self, kind)(token, *choices[1:])

    def agent(self, number: int) -> Client:
        return self.agents[number % len(self.agents)]

    def advance(self, step: int, *_: int) -> None:
        self.world.clock.advance(STEPS[step])

    def fill(self, limit: int, *_: int) -> None:
        self.world.server.fill(limit + 1, at=self.now)
        self.script.append((limit + 1, self.now))

    def respond(self, *_: int) -> None:
        """What the matcher wanted done since the last time is carried out."""
        wanted = [action.subject for action in self.world.server._due]
        self.answers += respond(self.world, self.now)
        self.script.append((RESPOND, self.now))
        self.end(token.grant for token in self.tokens if token.answer.grant_id in wanted)

    def vouch(self, token: Token, by: int, *_: int) -> None:
        admin = OWNERS[by == 7]
        answer = self.ask(Reauthorize(by=admin, grant_id=token.answer.grant_id))
        allowed = admin.owner == token.grant.owner and token.grant.held
        assert isinstance(answer, Noted) is allowed
        if allowed:
            token.grant.held, token.grant.vouched = False, True

    def hold(self, token: Token, *_: int) -> None:
        answer = self.ask(Hold(by=WATCH, grant_id=token.answer.grant_id))
        assert isinstance(answer, Noted) is not (token.grant.held or token.grant.vouched)
        token.grant.held |= isinstance(answer, Noted)

    def register(self, profile: int, owner: int, *_: int) -> None:
        terms, admin = PROFILES[profile % len(PROFILES)], OWNERS[owner == 7]
        answer = self.ask(Register(by=admin, agent_name=f"agent {profile}", **terms))
        assert isinstance(answer, Registration)
        self.registrations.append(answer)
        self.model.profiles[answer.client_id] = {"grant_types": GRANT_TYPES, **terms}
        self.access[answer.client_id] = RegistrationAccess(answer.registration_access_token)
        self.model.owners[answer.client_id] = admin.owner
        self.agents.append(Client(answer.client_id, answer.client_secret))

    def confirm(self, number: int, *_: int) -> None:
        registration = self.registrations[-1 - number % len(self.registrations)]
        answer = self.ask(Confirm(registration_token=registration.registration_token))
        known = registration.client_id in self.model.confirmed
        in_time = self.now < registration.registration_expires_at
        off = registration.client_id in self.model.disabled
        assert isinstance(answer, Activation) is (in_time and not known and not off)
        self.model.confirmed.add(registration.client_id) if isinstance(answer, Activation) else None

    def manager(self, client: str, how: int) -> Admin | RegistrationAccess:
        """Mostly the agent's own administrator, sometimes the agent itself, sometimes somebody else's."""
        own, other = sorted(OWNERS, key=lambda admin: admin.owner != self.model.owners[client])
        return self.access[client] if how % 3 == 1 else other if how == 6 else own

    def may_manage(self, by: Admin | RegistrationAccess, client: str) -> bool:
        if isinstance(by, Admin):
            return by.owner == self.model.owners[client]
        return client not in self.model.disabled

    def update(self, number: int, what: int, how: int, *_: int) -> None:
        client, changes = self.agent(number).client_id, UPDATES[what]
        by = self.manager(client, how)
        answer = self.ask(UpdateAgent(by=by, client_id=client, **changes))
        if not self.may_manage(by, client):
            assert answer.reason in ("not_entitled", "registration_access_invalid")
        elif isinstance(by, RegistrationAccess) and self.model.is_more(client, changes):
            assert answer.reason == "more_than_registered"
        else:
            assert isinstance(answer, AgentRecord)
            self.model.profiles[client] = {**self.model.profiles[client], **changes}

    def disable(self, number: int, how: int, *_: int) -> None:
        client = self.agent(number).client_id
        by = self.manager(client, how)
        allowed = self.may_manage(by, client)
        assert isinstance(self.ask(Disable(by=by, client_id=client)), AgentRecord) is allowed
        if allowed:
            self.model.disabled.add(client)
            self.end(grant for grant in self.model.grants if grant.client == client)

    def enable(self, number: int, how: int, *_: int) -> None:
        client = self.agent(number).client_id
        by = OWNERS[how == 7]
        allowed = client in self.model.disabled and by.owner == self.model.owners[client]
        assert isinstance(self.ask(Enable(by=by, client_id=client)), AgentRecord) is allowed
        if allowed:
            self.model.disabled.remove(client)

    def pause(self, number: int, *_: int) -> None:
        """Disabled and enabled again: what was issued before is over, what comes after is not."""
        client = self.agent(number).client_id
        if client not in self.model.disabled:
            self.disable(number, 0)
        self.enable(number, 7 if self.model.owners[client] == OWNERS[1].owner else 0)

    def rotate(self, number: int, how: int, *_: int) -> None:
        place = number % len(self.agents)
        old = self.agents[place]
        by = self.manager(old.client_id, how)
        answer = self.ask(RotateSecret(by=by, client_id=old.client_id))
        assert isinstance(answer, NewSecret) is self.may_manage(by, old.client_id)
        if isinstance(answer, NewSecret):
            self.agents[place] = Client(old.client_id, answer.client_secret)
            assert self.ask(Issue(by=old, scope=SCOPES[0])).reason == "invalid_client"

    def issue(self, agent: int, scope: int, task: int, person: int, targets: int) -> None:
        by, principal = self.agent(agent), PEOPLE[person % len(PEOPLE)]
        task_id, may_act = TASKS[task % len(TASKS)], self.agent(task - 3).client_id if task > 4 else None
        answer = self.ask(
            Issue(
                by=by,
                task_id=task_id,
                scope=SCOPES[scope],
                principal=principal,
                may_act=may_act,
                resource=TARGETS[targets],
            )
        )
        owner = self.model.owners[by.client_id]
        if isinstance(answer, TokenGrant):
            assert set(answer.audience) == set(TARGETS[targets] or (FIRST,)) <= {FIRST, SECOND_SERVER}
            self.given(answer, Grant(None, by.client_id, owner, task_id, principal or owner, may_act))
        else:
            assert (answer.reason == "agent_inactive") is not self.model.may_ask(by.client_id)

    def child(self, parent: Token, agent: int, scope: int, how: int, targets: int) -> None:
        # Mostly the parent's own agent.
        by = (
            self.agent(agent)
            if agent < 5
            else next(a for a in self.agents if a.client_id == parent.grant.client)
        )
        task_id, full = TASKS[how % len(TASKS)], how == 7
        may_act = self.agent(how - 1).client_id if how in (3, 6) else None
        answer = self.ask(
            IssueChild(
                by=by,
                parent_token=parent.answer.access_token,
                task_id=task_id,
                scope=None if full else SCOPES[scope],
                scope_inheritance="full" if full else "restricted",
                scope_level=LEVELS[scope % 3] if how == 5 else None,
                may_act=may_act,
                resource=TARGETS[targets],
            )
        )
        why_not = self.model.why_not(parent, self.now)
        reason = getattr(answer, "reason", None)
        allowed = (
            parent.grant.owner == self.model.owners[by.client_id] or parent.grant.may_act == by.client_id
        )
        if not self.model.may_ask(by.client_id):
            assert reason == "agent_inactive"
        else:
            assert (reason == "parent_revoked") is (why_not == "revoked")
            assert (reason == "parent_expired") is (why_not == "expired")
            assert (reason == "step_up_required") is (why_not is None and parent.grant.held)
            assert (reason == "not_delegated") is (why_not is None and not parent.grant.held and not allowed)
        if isinstance(answer, TokenGrant):
            assert set(answer.audience) == set(TARGETS[targets] or parent.answer.audience)
            assert set(answer.audience) <= set(parent.answer.audience)
            assert answer.expires_at <= parent.answer.expires_at
            assert covered(answer.scope.split(), parent.answer.scope.split())
            assert set(answer.allowed_tools) <= set(parent.answer.allowed_tools)
            assert covered(answer.allowed_resources, parent.answer.allowed_resources)
            assert answer.depth == parent.answer.depth + 1 <= POLICY["max_depth"]
            parent.grant.children += 1
            assert parent.grant.children <= POLICY["max_fanout"]
            above = parent.grant
            grant = Grant(
                above, by.client_id, above.owner, task_id, above.principal, may_act, bound=parent.level
            )
            self.given(answer, grant)

    def given(self, answer: TokenGrant, grant: Grant) -> None:
        """A new grant: bounded by its agent's registration, alive, and its level no higher than the one above."""
        self.model.grants.append(grant)
        assert self.model.may_ask(grant.client)
        assert not self.model.is_dead(grant)
        self.registered(answer, grant)
        self.keep(answer, grant)

    def registered(self, answer: TokenGrant, grant: Grant) -> None:
        """Nothing is given that is not registered at that moment."""
        terms = self.model.profiles[grant.client]
        products = {
            f"{tool}:{resource}" for tool in terms["allowed_tools"] for resource in terms["resource_access"]
        }
        assert covered(answer.scope.split(), products | set(terms.get("scope", "").split()))
        assert set(answer.allowed_tools) <= set(terms["allowed_tools"])
        assert covered(answer.allowed_resources, terms["resource_access"])
        assert (answer.refresh_token is not None) is ("refresh_token" in terms["grant_types"])

    def keep(self, answer: TokenGrant, grant: Grant) -> None:
        (row,) = self.world.rows(IssuedToken, access_token_hash=_digest(answer.access_token))
        level = row["max_scope_level"]
        bounds = [self.model.profiles[grant.client]["max_scope_level"], grant.bound]
        assert all(LEVELS.index(level) <= LEVELS.index(bound) for bound in bounds)
        self.tokens.append(Token(grant, answer, level))

    def refresh(self, token: Token, agent: int, scope: int, _: int, targets: int) -> None:
        if token.answer.refresh_token is None:
            return
        rightful = agent != 7
        by = next(
            a for a in self.agents if (a.client_id == token.grant.client) is rightful or len(self.agents) == 1
        )
        asked = SCOPES[scope] if scope < 3 else None
        answer = self.ask(
            Refresh(by=by, refresh_token=token.answer.refresh_token, scope=asked, resource=TARGETS[targets])
        )
        if not self.model.may_ask(by.client_id):
            assert answer.reason == "agent_inactive"
        elif "refresh_token" not in self.model.profiles[by.client_id]["grant_types"]:
            assert answer.reason == "grant_type_not_registered"
        elif by.client_id != token.grant.client:
            assert answer.reason == "wrong_client"
        elif self.model.is_dead(token.grant):
            assert answer.reason == "refresh_revoked"
        elif token.used_at is not None and not abs(self.now - token.used_at) < self.model.grace:
            assert answer.reason == "refresh_reused"
            token.grant.dead = True
        elif token.grant.held:
            assert answer.reason in ("step_up_required", "refresh_expired")
        elif isinstance(answer, TokenGrant):
            token.used_at = self.now if token.used_at is None else token.used_at
            first = next(known for known in self.tokens if known.grant is token.grant)
            assert covered(answer.scope.split(), first.answer.scope.split())
            assert set(answer.allowed_tools) <= set(first.answer.allowed_tools)
            assert set(answer.audience) == set(TARGETS[targets] or first.answer.audience)
            assert set(answer.audience) <= set(first.answer.audience)
            assert answer.grant_id == token.answer.grant_id
            assert LEVELS.index(answer.level) <= LEVELS.index(first.level)
            self.registered(answer, token.grant)
            self.keep(answer, token.grant)
        else:
            reasons = ["refresh_expired", "scope_widened", "scope_exceeds_registration"]
            assert answer.reason in [*reasons, "unknown_resource", "resource_exceeds_bound"]

    def verify(self, token: Token, tool: int, how: int, *_: int) -> None:
        tools = [["read"], ["write"], []][tool % 3]
        server = (None, FIRST, SECOND_SERVER, THIRD)[how % 4] if how < 4 else None
        answer = self.ask(
            Verify(
                token=token.answer.access_token,
                required_tools=tools,
                audience=server,
                include_history=how > 3,
                caller="gate",
            )
        )
        assert isinstance(answer, Verification)
        expected = self.model.why_not(token, self.now)
        if expected is None and server not in (None, *token.answer.audience):
            expected = "wrong_audience"
        if expected is None and token.grant.held:
            expected = "step_up_required"
        if expected is None and not set(tools) <= set(token.answer.allowed_tools):
            expected = "tool_not_granted"
        if expected not in ("revoked", "expired") and self.strikes(token.grant):
            token.grant.held, expected = True, expected or "step_up_required"
        token.grant.uses += 1
        token.grant.refusals += expected is not None
        assert (answer.error.reason if answer.error else None) == expected

    def strikes(self, grant: Grant) -> bool:
        """Whether the matcher, where there is one, lets a grant be held for this."""
        if self.world.matcher is None or grant.held:
            return False
        return grant.refusals >= 3 or (grant.uses >= 2 and not grant.vouched)

    def introspect(self, token: Token, how: int, *_: int) -> None:
        answer = self.ask(Introspect(token=token.answer.access_token, include_task_history=how > 2))
        assert isinstance(answer, Introspection)
        assert answer.active is (self.model.why_not(token, self.now) is None and not token.grant.held)

    def execution(self, token: Token, how: int, *_: int) -> None:
        answer = self.ask(RecordExecution(token=token.answer.access_token, tool="read", duration_us=how))
        assert isinstance(answer, ExecutionReceipt)

    def revoke_token(self, token: Token, by: int, how: int, *_: int) -> None:
        caller: Admin | Client = OWNERS[by == 7] if by > 3 else self.agent(by)
        chain = [TASKS[how % 4]] if how > 5 else []
        named = (token.answer.refresh_token if how % 2 else None) or token.answer.access_token
        cascade = how != 4
        answer = self.ask(Revoke(by=caller, token=named, cascade=cascade, affected_task_chain=chain))
        if isinstance(caller, Admin):
            entitled = caller.owner == token.grant.owner
        else:
            in_line = caller.client_id in {grant.client for grant in token.grant.line()}
            entitled = in_line and not chain and self.model.may_ask(caller.client_id)
        assert isinstance(answer, Revocation) is entitled
        if entitled:
            if cascade:
                token.grant.dead = True
            token.grant.dead_alone = True
            self.model.dead_tasks |= {(token.grant.owner, task) for task in chain}

    def revoke_name(self, kind: int, number: int, *_: int) -> None:
        admin = OWNERS[number == 7]
        if kind % 3 == 0:
            assert isinstance(self.ask(Revoke(by=admin, task_id=TASKS[number % 4])), Revocation)
            self.model.dead_tasks.add((admin.owner, TASKS[number % 4]))
        elif kind % 3 == 1:
            client = self.agent(number).client_id
            answer = self.ask(Revoke(by=admin, client_id=client))
            assert isinstance(answer, Revocation) is (self.model.owners[client] == admin.owner)
            if isinstance(answer, Revocation):
                self.end(grant for grant in self.model.grants if grant.client == client)
        else:
            person = PEOPLE[number % 4] or admin.owner
            assert isinstance(self.ask(Revoke(by=admin, principal=person)), Revocation)
            whose = (admin.owner, person)
            self.end(grant for grant in self.model.grants if (grant.owner, grant.principal) == whose)

    def end(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            grant.dead = True

    def finish(self) -> None:
        """Ask about every token there ever was, fill, and look at what is left."""
        for token in self.tokens:
            self.verify(token, 2, 0)
        for _ in range(100):
            if not self.world.rows(RevocationMark, closure="pending"):
                break
            self.fill(6)
        rows = {row["access_token_hash"]: row for row in self.world.rows(IssuedToken)}
        assert len(rows) == len(self.tokens)
        for token in self.tokens:
            row = rows[_digest(token.answer.access_token)]
            assert row["is_revoked"] is self.model.is_dead(token.grant)
            if row["parent_grant_id"] is not None:
                above = next(r for r in rows.values() if r["token_id"] == row["parent_grant_id"])
                assert row["grant_expires_at"] <= above["grant_expires_at"]
                assert set(row["audience"].split()) <= set(above["audience"].split())
            assert row["expires_at"] <= row["grant_expires_at"]
        ended = sum(mark["affected_tokens"] for mark in self.world.rows(RevocationMark))
        assert ended == sum(row["is_revoked"] for row in rows.values())
        decided = [row["log_id"] for row in self.world.audit() if row["event_type"] != "token_ended"]
        assert decided == [answer.log_id for answer in self.answers]
        assert self.world.check_chain() == len(decided) + ended


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def respond(world: Any, now: int) -> list[Any]:
    return [answer for _, answer in Follower(world.server, None).step(now)]
