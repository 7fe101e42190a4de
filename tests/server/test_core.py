"""One decision, one audit row: whatever is asked, by whom and how it ends; what is refused changes nothing else."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args

import pytest

from agentsim.server import (
    Admin,
    AskConsent,
    Authorize,
    Client,
    Confirm,
    Consent,
    Deny,
    Introspect,
    Issue,
    IssueChild,
    OAuthError,
    Operation,
    Person,
    RecordExecution,
    Redeem,
    Refresh,
    Register,
    Revoke,
    Verify,
    Withdraw,
)
from agentsim.server.history import DOINGS
from agentsim.server.operations.agents import Disable, Enable, ReadAgent, RotateSecret, UpdateAgent
from agentsim.server.operations.ends import Hold, Reauthorize
from agentsim.server.operations.notes import (
    NoteKeyRotation,
    NotePolicy,
    NoteRefusal,
    NoteSignIn,
    NoteTruncation,
)
from agentsim.server.parties import ClientAssertion, RegistrationAccess
from agentsim.server.schema import Base

#: What every decision writes.
TRAIL = {"task_audit_log", "audit_chains"}
SCOPE = "file_read:github"
GLOBEX = Admin("globex")
ANA = Person("ana", "acme")
BACK = "https://app.example/back"
#: Of the verifier ``vvv...``, 43 times.
CHALLENGE = urlsafe_b64encode(sha256(b"v" * 43).digest()).rstrip(b"=").decode()


@dataclass
class Case:
    """An operation, the reason it must be refused for (None: granted), and the tables that it may change."""

    operation: Any
    reason: str | None = None
    changes: tuple[str, ...] = ()


def refused_cases(world: Any) -> list[Case]:
    """Every operation, refused in several ways."""
    agent, other, off = world.agent(), world.agent(), world.agent()
    stranger = world.agent(GLOBEX)
    world.ask(Disable(by=world.admin, client_id=off.client_id), object)
    root = world.root(agent, "root")
    child, used, dead = (world.child(agent, root, name) for name in ("child", "used", "dead"))
    world.refresh(agent, used)
    world.revoke(dead)
    name, pending = agent.client_id, world.register()
    access = RegistrationAccess(pending.registration_access_token)
    below = {"by": agent, "parent_token": root.access_token}
    use = child.refresh_token
    asking = world.agent(redirect_uris=[BACK])
    consent = {"by": ANA, "client_id": asking.client_id, "redirect_uri": BACK, "code_challenge": CHALLENGE}
    states, marks = ("grant_states",), ("revocations",)
    return [
        Case(
            Register(by=GLOBEX, owner="acme", agent_name="a", allowed_tools=[], resource_access=[]),
            "not_entitled",
        ),
        Case(
            Register(by=world.admin, agent_name="", allowed_tools=[], resource_access=[]),
            "invalid_client_metadata",
        ),
        Case(Register(by=world.admin, agent_name=5, allowed_tools=[], resource_access=[]), "invalid_request"),
        Case(Confirm(registration_token="reg_1_x"), "registration_token_invalid"),
        Case(ReadAgent(by=GLOBEX, client_id=name), "not_entitled"),
        Case(ReadAgent(by=access, client_id=name), "registration_access_invalid"),
        Case(UpdateAgent(by=GLOBEX, client_id=name, description="x"), "not_entitled"),
        Case(UpdateAgent(by=access, client_id=pending.client_id, scope="a.b"), "more_than_registered"),
        Case(
            UpdateAgent(by=world.admin, client_id=name, description="x", jwks="{"), "invalid_client_metadata"
        ),
        Case(RotateSecret(by=GLOBEX, client_id=name), "not_entitled"),
        Case(RotateSecret(by=access, client_id=name), "registration_access_invalid"),
        Case(Disable(by=GLOBEX, client_id=name), "not_entitled"),
        Case(Disable(by=world.admin, client_id=name, reason="x" * 2_000), "invalid_request"),
        Case(Enable(by=world.admin, client_id=name), "not_disabled"),
        Case(Enable(by=GLOBEX, client_id=off.client_id), "not_entitled"),
        Case(Issue(by=Client(name, "guess"), scope=SCOPE), "invalid_client"),
        Case(Issue(by=ClientAssertion(name, "a.b.c"), scope=SCOPE), "assertion_invalid"),
        Case(Issue(by=off, scope=SCOPE), "agent_inactive"),
        Case(Issue(by=agent, scope="shell:github"), "scope_exceeds_registration"),
        Case(Issue(by=agent, scope=SCOPE, resource=["https://x.example"]), "unknown_resource"),
        Case(Issue(by=agent, scope=SCOPE, may_act="nobody"), "invalid_request"),
        Case(IssueChild(**below, scope="db_query:jira"), "scope_exceeds_parent"),
        Case(IssueChild(**(below | {"by": stranger}), scope=SCOPE), "not_delegated"),
        Case(IssueChild(**(below | {"parent_token": dead.access_token}), scope=SCOPE), "parent_revoked"),
        Case(Hold(by=GLOBEX, grant_id=root.grant_id), "not_entitled"),
        Case(Reauthorize(by=world.admin, grant_id=root.grant_id), "not_held"),
        Case(Reauthorize(by=ANA, grant_id=root.grant_id), "not_entitled"),
        Case(Revoke(by=GLOBEX, grant_id=root.grant_id), "not_entitled"),
        Case(Revoke(by=agent, grant_id=root.grant_id), "not_entitled"),
        Case(Refresh(by=agent, refresh_token="rt_1_x"), "refresh_invalid"),
        Case(Refresh(by=other, refresh_token=use), "wrong_client"),
        Case(Refresh(by=agent, refresh_token=use, scope="db_query:jira"), "scope_widened"),
        Case(Refresh(by=agent, refresh_token=use, resource=["https://x.example"]), "unknown_resource"),
        Case(Refresh(by=agent, refresh_token=dead.refresh_token), "refresh_revoked"),
        # The one refusal that ends something.
        Case(Refresh(by=agent, refresh_token=used.refresh_token), "refresh_reused", marks),
        Case(Verify(token="x"), "token_malformed"),
        Case(Verify(token=child.access_token, by=Client(name, "guess")), "invalid_client"),
        # What was tried with a grant is counted in its state.
        Case(Verify(token=child.access_token, by=stranger), "not_entitled", states),
        Case(Verify(token=child.access_token, audience="https://x.example"), "wrong_audience", states),
        Case(Verify(token=dead.access_token), "revoked", states),
        Case(Introspect(token="x"), "token_malformed"),
        Case(Introspect(token=child.access_token, by=stranger), "not_entitled"),
        Case(Introspect(token=child.access_token, by=off), "agent_inactive"),
        Case(Revoke(by=stranger, token=root.access_token), "not_entitled"),
        Case(Revoke(by=GLOBEX, owner="acme", task_id="root"), "not_entitled"),
        Case(Revoke(by=world.admin), "invalid_request"),
        Case(Revoke(by=world.admin, token="x"), "token_malformed"),
        Case(RecordExecution(token="x", tool="t"), "token_malformed"),
        Case(RecordExecution(token=child.access_token, tool="t", outcome="fine"), "invalid_request"),
        Case(NoteRefusal(endpoint="/token", reason="no_credentials"), "no_credentials"),
        Case(NoteKeyRotation(by=Admin(5), kid="k", alg="EdDSA"), "invalid_request"),
        Case(NotePolicy(by=Admin(5), digest="d"), "invalid_request"),
        Case(NoteTruncation(by=world.admin, chain=0, last=-1, rows=1, length=1), "invalid_request"),
        Case(NoteSignIn(account="ana", granted=False), "wrong_password"),
        Case(AskConsent(**consent | {"redirect_uri": "https://x.example"}), "redirect_unknown"),
        Case(Authorize(**consent, scope="db_query:elsewhere"), "scope_exceeds_registration"),
        Case(Deny(by=ANA, client_id=name), "consent_denied"),
        Case(Redeem(by=asking, code="ac_1_x", redirect_uri=BACK, code_verifier="v" * 43), "code_invalid"),
        Case(Withdraw(by=ANA, grant_id=1), "not_entitled"),
    ]


def granted_cases(world: Any) -> list[Case]:
    """Every operation, granted, in an order in which it can be."""
    agent, off = world.agent(), world.agent()
    world.ask(Disable(by=world.admin, client_id=off.client_id), object)
    pending, root = world.register(), world.root(agent, "root")
    child = world.child(agent, root, "child")
    name, access = agent.client_id, RegistrationAccess(pending.registration_access_token)
    asking = world.agent(redirect_uris=[BACK])
    consent = {"by": ANA, "client_id": asking.client_id, "redirect_uri": BACK, "code_challenge": CHALLENGE}
    code = world.ask(Authorize(**consent, scope=SCOPE), Consent).code
    consent["scope"] = SCOPE
    agents, tokens, states, marks = ("agents",), ("issued_tokens",), ("grant_states",), ("revocations",)
    return [
        Case(Register(by=world.admin, agent_name="a", allowed_tools=[], resource_access=[]), changes=agents),
        Case(Confirm(registration_token=pending.registration_token), changes=agents),
        Case(ReadAgent(by=access, client_id=pending.client_id)),
        Case(UpdateAgent(by=access, client_id=pending.client_id, description="x"), changes=agents),
        Case(RotateSecret(by=access, client_id=pending.client_id), changes=agents),
        Case(Enable(by=world.admin, client_id=off.client_id), changes=agents),
        Case(Issue(by=agent, scope=SCOPE), changes=tokens + states),
        Case(IssueChild(by=agent, parent_token=root.access_token, scope=SCOPE), changes=tokens + states),
        Case(Refresh(by=agent, refresh_token=child.refresh_token), changes=tokens + states),
        Case(Verify(token=child.access_token, by=world.admin), changes=states),
        Case(Introspect(token=child.access_token, by=agent, include_task_history=True)),
        Case(RecordExecution(token=child.access_token, tool="t"), changes=states),
        Case(NoteKeyRotation(by=world.admin, kid="k", alg="EdDSA")),
        Case(NotePolicy(by=world.admin, digest="d")),
        Case(NoteTruncation(by=world.admin, chain=0, last=9, rows=1, length=1)),
        Case(NoteSignIn(account="ana", granted=True)),
        Case(AskConsent(**consent)),
        Case(Authorize(**consent), changes=("authorization_codes",)),
        Case(
            Redeem(by=asking, code=code, redirect_uri=BACK, code_verifier="v" * 43),
            changes=(*tokens, *states, "authorization_codes"),
        ),
        Case(Hold(by=world.admin, grant_id=child.grant_id), changes=states),
        Case(Reauthorize(by=world.admin, grant_id=child.grant_id), changes=states),
        Case(Revoke(by=world.admin, grant_id=child.grant_id, cascade=False), "unspecified", changes=marks),
        Case(Withdraw(by=ANA), "withdrawn", changes=marks),
        Case(Revoke(by=agent, token=root.access_token, reason="done"), "done", changes=marks),
        Case(Disable(by=world.admin, client_id=name, reason="over"), "over", changes=agents + marks),
    ]


def tables(world: Any) -> dict[str, list[dict[str, Any]]]:
    return {model.__tablename__: world.rows(model) for model in Base.__subclasses__()}


@pytest.mark.parametrize("kind", ["refused", "granted"])
def test_one_row_each_and_no_other_change_than_it_should(world: Any, kind: str) -> None:
    cases = (refused_cases if kind == "refused" else granted_cases)(world)
    before = tables(world)
    for case in cases:
        (answer,) = world.server.execute([case.operation])
        after = tables(world)
        changed = {name for name in after if after[name] != before[name]}
        row = after["task_audit_log"][-1]
        # What is about a grant is part of its history, refused or not.
        of_grant = row["grant_id"] is not None and row["event_type"] in DOINGS
        assert changed == {*TRAIL, *case.changes, *(("grant_states",) if of_grant else ())}, case
        assert len(after["task_audit_log"]) == len(before["task_audit_log"]) + 1
        assert (row["log_id"], row["status"], row["reason"]) == (answer.log_id, kind, case.reason), case
        before = after


@pytest.mark.parametrize("kind", ["refused", "granted"])
def test_the_same_in_one_batch(world: Any, kind: str) -> None:
    cases = (refused_cases if kind == "refused" else granted_cases)(world)
    before = len(world.audit())
    answers = world.server.execute([case.operation for case in cases])
    rows = world.audit()[before:]
    assert [row["log_id"] for row in rows] == [answer.log_id for answer in answers]
    assert [(row["status"], row["reason"]) for row in rows] == [(kind, case.reason) for case in cases]


def test_every_operation_is_among_the_cases(world: Any) -> None:
    refused = {type(case.operation) for case in refused_cases(world)}
    granted = {type(case.operation) for case in granted_cases(world)}
    assert refused == set(get_args(Operation))
    # What these keep is a refusal, whenever they are asked.
    assert granted == refused - {NoteRefusal, Deny}


def test_every_refusal_of_the_core_is_a_value_and_not_an_exception(world: Any) -> None:
    for case in refused_cases(world):
        if not isinstance(case.operation, Verify | Introspect | Revoke | NoteRefusal | NoteSignIn | Deny):
            (answer,) = world.server.execute([case.operation])
            assert isinstance(answer, OAuthError)
            assert answer.reason == case.reason
