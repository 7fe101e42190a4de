"""The invariants of the design, held against random stories, however these are cut into batches.

A story is told to a server one operation at a time, each built from earlier answers; a model that knows nothing of
marks, lineage or rows says at each step who must be active. Then the same operations and times go to fresh servers
in other cuts: every answer and every row of every table must be the same.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    OAuthError,
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
from agentsim.server.clock import SECOND
from agentsim.server.following import Follower
from agentsim.server.operations.agents import Disable, Enable, RotateSecret, UpdateAgent
from agentsim.server.parties import RegistrationAccess
from agentsim.server.schema import Base, IssuedToken, RevocationMark
from agentsim.server.watch import WATCH

LEVELS = ("minimal", "restricted", "standard", "elevated", "admin")
OWNERS = (Admin("acme"), Admin("globex"))
PROFILES: tuple[dict[str, Any], ...] = (
    {"allowed_tools": ["read", "write"], "resource_access": ["a", "b"], "max_scope_level": "standard"},
    {"allowed_tools": ["read"], "resource_access": ["a/x"], "max_scope_level": "minimal"},
    {
        "allowed_tools": ["read", "run"],
        "resource_access": ["a", "b/y"],
        "max_scope_level": "elevated",
        "scope": "mail.read",
    },
)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANT_TYPES = ["client_credentials", "refresh_token", EXCHANGE]
#: What a registration is changed to, one thing at a time.
UPDATES: tuple[dict[str, Any], ...] = (
    {"allowed_tools": ["read"]},
    {"resource_access": ["a/x"]},
    {"max_scope_level": "minimal"},
    {"grant_types": ["client_credentials", EXCHANGE]},
    {"allowed_tools": ["read", "write", "run"]},
    {"resource_access": ["a", "b"], "max_scope_level": "elevated"},
    {"grant_types": GRANT_TYPES},
    {"scope": "mail.read"},
)
FIRST, SECOND_SERVER, THIRD = (f"https://{name}.example" for name in ("first", "second", "third"))
#: The resource servers that are asked for.
TARGETS = ((), (), (), (), (FIRST,), (SECOND_SERVER,), (SECOND_SERVER, FIRST), (THIRD, FIRST))
SCOPES = (
    "read:a",
    "read:a/x",
    "read:a/x/z write:b",
    "read:a read:b/y",
    "run:b/y mail.read",
    "read:ab",
    "read:a/../b",
    "",
)
TASKS = ("plan", "fetch", "write up", "check")
PEOPLE = (None, None, "alice", "bob")
STEPS = (0, 1, SECOND, 15 * SECOND, 40 * SECOND, 100 * SECOND, 260 * SECOND, -SECOND)
KINDS = (
    *["register"] * 2,
    *["confirm"] * 2,
    *["issue"] * 4,
    *["child"] * 8,
    *["refresh"] * 5,
    *["verify"] * 3,
    *["introspect"] * 2,
    *["execution"] * 2,
    "revoke_token",
    "revoke_name",
    *["update"] * 3,
    "disable",
    "enable",
    *["pause"] * 3,
    "rotate",
    *["advance"] * 4,
    "fill",
    "respond",
    *["vouch"] * 2,
    "hold",
)
#: What is told as soon as there is an agent.
OF_AGENTS = ("confirm", "issue", "revoke_name", "update", "disable", "enable", "pause", "rotate")
POLICY = {
    "access_ttl_us": 100 * SECOND,
    "grant_ttl_us": 300 * SECOND,
    "registration_ttl_us": 60 * SECOND,
    "max_depth": 3,
    "max_fanout": 2,
    "audience": FIRST,
    "resources": (SECOND_SERVER,),
}


@dataclass
class Grant:
    """What the model knows of a grant."""

    parent: "Grant | None"
    client: str
    owner: str
    task: str
    principal: str
    may_act: str | None = None
    #: The level of the token that bounded it.
    bound: str = LEVELS[-1]
    dead: bool = False
    dead_alone: bool = False
    children: int = 0
    #: What a matcher goes by, and what has become of the grant for it.
    uses: int = 0
    refusals: int = 0
    held: bool = False
    vouched: bool = False

    def line(self) -> list["Grant"]:
        """The grant and all above it."""
        return [self, *(self.parent.line() if self.parent else [])]


class Wary:
    """Holds a grant that is used a third time, and wants the tree of one ended that was refused three times."""

    def assess(self, use: Use, state: GrantState) -> Assessment:
        if state.refusals >= 3:
            return Assessment(False, "unusual", "high", 2.5, ("refused again and again",), "revoke_tree")
        if use.event and state.verifications >= 2:
            return Assessment(False, "unusual", "high", 1.5, ("used again",), "step_up")
        return Assessment(True, "normal", "low")


@dataclass
class Token:
    """What the model knows of a token."""

    grant: Grant
    answer: TokenGrant
    level: str
    used_at: int | None = None


@dataclass
class Model:
    """Who is active: everything that ends is ended one by one, at once."""

    grace: int
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    grants: list[Grant] = field(default_factory=list)
    dead_tasks: set[tuple[str, str]] = field(default_factory=set)

    def may_ask(self, client: str) -> bool:
        return client in self.confirmed and client not in self.disabled

    def is_more(self, client: str, changes: dict[str, Any]) -> bool:
        """Whether a registration would be given what it has not: by member, and by level."""
        old = self.profiles[client]
        level = changes.get("max_scope_level", LEVELS[0])
        return LEVELS.index(level) > LEVELS.index(old["max_scope_level"]) or not all(
            covered(_words(value), _words(old.get(name, "")))
            for name, value in changes.items()
            if name != "max_scope_level"
        )

    def is_dead(self, grant: Grant) -> bool:
        return grant.dead_alone or any(
            above.dead or (above.owner, above.task) in self.dead_tasks for above in grant.line()
        )

    def why_not(self, token: Token, now: int) -> str | None:
        if self.is_dead(token.grant):
            return "revoked"
        return "expired" if now >= token.answer.expires_at else None


def _words(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value


def covered(asked: Iterable[str], allowed: Iterable[str]) -> bool:
    """By whole segments, said in another way than the server says it."""
    return all(
        any(member.split("/")[: len(grant.split("/"))] == grant.split("/") for grant in allowed)
        for member in asked
    )


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


def plain(value: Any) -> Any:
    """An answer as something that can be compared: errors by what they say."""
    if isinstance(value, OAuthError):
        return (type(value).__name__, value.log_id, value.as_dict())
    if is_dataclass(value):
        return (
            type(value).__name__,
            {field.name: plain(getattr(value, field.name)) for field in fields(value)},
        )
    return value


def replay(world: Any, script: list[tuple[Any, int]], cuts: list[int]) -> list[Any]:
    """The same operations at the same times, in batches of these sizes again and again; fills at their places."""
    answers: list[Any] = []
    batch: list[tuple[Any, int]] = []
    sizes = iter(cuts * (len(script) + 1))
    size = next(sizes)

    def flush() -> None:
        if batch:
            operations, times = zip(*batch, strict=True)
            answers.extend(world.server.execute(operations, at=times))
            batch.clear()

    for step, now in script:
        if isinstance(step, int):
            flush()
            world.server.fill(step, at=now)
            continue
        if step is RESPOND:
            flush()
            answers.extend(respond(world, now))
            continue
        batch.append((step, now))
        if len(batch) == size:
            flush()
            size = next(sizes)
    flush()
    return answers


#: In a script: what the matcher wanted is carried out.
RESPOND = object()


def respond(world: Any, now: int) -> list[Any]:
    return [answer for _, answer in Follower(world.server, None).step(now)]


def everything(world: Any) -> dict[str, list[dict[str, Any]]]:
    return {model.__tablename__: world.rows(model) for model in Base.__subclasses__()}


NUMBERS = st.integers(0, 7)
Command = tuple[str, int, int, int, int, int]
COMMANDS = st.tuples(st.sampled_from(KINDS), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
#: So that there is something to tell of: two agents and one of another owner, which works below the first one's root.
OPENING = (
    ("register", 0, 0, 0, 0, 0),
    ("confirm", 0, 0, 0, 0, 0),
    ("register", 2, 0, 0, 0, 0),
    ("confirm", 0, 0, 0, 0, 0),
    ("register", 2, 7, 0, 0, 0),
    ("confirm", 0, 0, 0, 0, 0),
    ("issue", 0, 3, 5, 2, 6),
    ("child", 0, 2, 0, 3, 0),
    ("child", 0, 7, 0, 2, 4),
)


STORIES = {
    "commands": st.lists(COMMANDS, min_size=15, max_size=60),
    "cuts": st.lists(st.integers(1, 12), min_size=1, max_size=6),
    "grace": st.sampled_from([0, 0, 20 * SECOND]),
}
USUAL = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        # What makes schemas makes a new one each time.
        HealthCheck.function_scoped_fixture,
    ],
)


def tell_and_replay(worlds: Iterator[Any], commands: list[Command], cuts: list[int]) -> None:
    """Tell a story in the first of three worlds, and hold what the other two make of it against that."""
    world = next(worlds)
    story = Story(world)
    for command in (*OPENING, *commands):
        story.tell(*command)
    story.finish()
    expected, rows = [plain(answer) for answer in story.answers], everything(world)
    world.server.close()
    for sizes in (cuts, [len(story.script)]):
        other = next(worlds)
        answers = replay(other, story.script, sizes)
        assert [plain(answer) for answer in answers] == expected
        assert everything(other) == rows
        other.server.close()


@settings(USUAL, max_examples=120)
@given(**STORIES)
def test_any_story_keeps_the_invariants_however_it_is_cut(
    new_world: Any, commands: list[Command], cuts: list[int], grace: int
) -> None:
    policy = POLICY | {"refresh_grace_us": grace}
    tell_and_replay((new_world(**policy) for _ in range(3)), commands, cuts)


@settings(USUAL, max_examples=12)
@given(**STORIES)
def test_postgresql_and_sqlite_tell_any_story_alike(
    new_world: Any,
    new_schema: Callable[[], str],
    commands: list[Command],
    cuts: list[int],
    grace: int,
) -> None:
    policy = POLICY | {"refresh_grace_us": grace}
    databases = (new_schema(), None, new_schema())
    tell_and_replay((new_world(database, **policy) for database in databases), commands, cuts)


@settings(USUAL, max_examples=40)
@given(**STORIES)
def test_a_matcher_that_acts_makes_the_same_of_a_story_however_it_is_cut(
    new_world: Any, commands: list[Command], cuts: list[int], grace: int
) -> None:
    policy = POLICY | {"refresh_grace_us": grace}
    # Uses come often enough that something is made of them.
    uses = [("verify", *numbers) for _, *numbers in commands]
    told = [command for pair in zip(commands, uses, strict=True) for command in pair]
    tell_and_replay((new_world(matcher=Wary(), **policy) for _ in range(3)), told, cuts)
