"""People let agents act for them, for a task and a time; and take it back."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from agentsim.server import (
    Admin,
    AskConsent,
    Authorize,
    Client,
    Consent,
    Deny,
    Disable,
    Enable,
    Issue,
    Noted,
    OAuthError,
    Operation,
    Person,
    Redeem,
    Register,
    Revocation,
    Revoke,
    TokenGrant,
    Withdraw,
)
from agentsim.server.clock import SECOND
from agentsim.server.consent import is_registered_redirect
from agentsim.server.policy import Budgets
from agentsim.server.schema import AuthorizationCode, IssuedToken

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "https://app.example/back"
ANA = Person("ana", "acme")


def asked(agent: Client, kind: type[AskConsent] = Authorize, **terms: Any) -> AskConsent:
    wanted = {"scope": "file_read:github", "task_id": "plan the trip", "redirect_uri": BACK}
    return kind(by=ANA, client_id=agent.client_id, code_challenge=CHALLENGE, **(wanted | terms))


def redeeming(agent: Client, code: str, **terms: Any) -> Redeem:
    return Redeem(by=agent, code=code, **({"redirect_uri": BACK, "code_verifier": VERIFIER} | terms))


@pytest.fixture
def agent(world: Any) -> Client:
    client: Client = world.agent(redirect_uris=[BACK], agent_name="travel agent")
    return client


def consented(world: Any, agent: Client, **terms: Any) -> TokenGrant:
    code = world.ask(asked(agent, **terms), Consent).code
    grant: TokenGrant = world.ask(redeeming(agent, code), TokenGrant)
    return grant


def test_a_person_s_consent_becomes_a_grant_in_the_person_s_name(world: Any, agent: Client) -> None:
    shown = world.ask(asked(agent, AskConsent), Consent)
    assert (shown.agent_name, shown.code, shown.scope) == ("travel agent", "", "file_read:github")
    grant = consented(world, agent)
    (row,) = world.audit(event_type="token_issued")
    (token,) = world.rows(IssuedToken)
    assert (token["principal"], token["owner"]) == ("user:ana", "acme")
    assert (grant.task_id, grant.scope, row["status"]) == ("plan the trip", "file_read:github", "granted")
    # And what hangs below is hers, too.
    child = world.child(world.agent(), grant)
    assert world.why_not(child) is None


def test_the_grant_is_what_was_consented_to_and_lasts_as_long(make_world: Any) -> None:
    world = make_world(budgets=Budgets(root=500), grant_ttl_us=3600 * SECOND)
    agent = world.agent(redirect_uris=[BACK])
    code = world.ask(asked(agent, budget=40, lifetime_us=600 * SECOND, scope_level="minimal"), Consent).code
    world.clock.advance(30 * SECOND)
    grant = world.ask(redeeming(agent, code), TokenGrant)
    assert (grant.budget, grant.level) == (40, "minimal")
    world.clock.advance(299 * SECOND)
    grant = world.refresh(agent, grant)
    # From the consent on, not from the redemption.
    world.clock.advance(270 * SECOND)
    assert world.why_not(grant) is None
    world.clock.advance(1 * SECOND)
    assert world.why_not(grant) == "expired"
    longer = world.ask(asked(agent, AskConsent, lifetime_us=7200 * SECOND), Consent)
    assert (longer.lifetime_us, longer.budget) == (3600 * SECOND, 500)


def test_a_code_is_used_once_and_a_replay_ends_what_it_gave(world: Any, agent: Client) -> None:
    code = world.ask(asked(agent), Consent).code
    grant = world.ask(redeeming(agent, code), TokenGrant)
    child = world.child(world.agent(), grant)
    assert world.refusal(redeeming(agent, code)).reason == "code_reused"
    assert world.why_not(grant) == world.why_not(child) == "revoked"


def test_a_replay_in_the_same_batch_is_one_too(world: Any, agent: Client) -> None:
    code = world.ask(asked(agent), Consent).code
    grant, replay = world.server.execute([redeeming(agent, code)] * 2)
    assert isinstance(replay, OAuthError)
    assert world.why_not(grant) == "revoked"


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"code_verifier": "w" * 43}, "verifier_mismatch"),
        ({"code_verifier": "short"}, "verifier_mismatch"),
        ({"redirect_uri": "https://app.example/back/"}, "redirect_mismatch"),
        ({"code": "ac_1_guessed"}, "code_invalid"),
        ({"code": "nonsense"}, "code_invalid"),
    ],
)
def test_a_code_is_redeemed_by_who_asked_for_it_alone(
    world: Any, agent: Client, terms: dict[str, str], reason: str
) -> None:
    code = world.ask(asked(agent), Consent).code
    assert world.refusal(redeeming(agent, **({"code": code} | terms))).reason == reason
    # Which costs the rightful one nothing.
    world.ask(redeeming(agent, code), TokenGrant)


def test_another_agent_cannot_use_a_code_and_it_does_not_wait_for_long(world: Any, agent: Client) -> None:
    code = world.ask(asked(agent), Consent).code
    other = world.agent(redirect_uris=[BACK])
    assert world.refusal(redeeming(other, code)).reason == "code_invalid"
    world.clock.advance(60 * SECOND)
    assert world.refusal(redeeming(agent, code)).reason == "code_expired"


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"redirect_uri": "https://evil.example/back"}, "redirect_unknown"),
        ({"code_challenge_method": "plain"}, "pkce_required"),
        ({"code_challenge": "x"}, "pkce_required"),
        ({"scope": "file_read:elsewhere"}, "scope_exceeds_registration"),
        ({"by": Person("eve", "globex")}, "client_unknown"),
        ({"client_id": "agent_7"}, "client_unknown"),
        ({"lifetime_us": 5}, "invalid_request"),
        ({"lifetime_us": 0}, "invalid_request"),
        # What only looks like an address costs nobody else of the batch an answer.
        ({"redirect_uri": "http://[::1"}, "redirect_unknown"),
    ],
)
def test_what_nobody_can_consent_to(world: Any, agent: Client, terms: dict[str, Any], reason: str) -> None:
    request = asked(agent)
    for name, value in terms.items():
        setattr(request, name, value)
    assert world.refusal(request).reason == reason
    assert world.rows(AuthorizationCode) == []


def test_an_agent_without_redirect_uris_cannot_ask_people(world: Any) -> None:
    plain = world.agent()
    assert world.refusal(asked(plain)).reason == "redirect_unknown"
    wrong = Register(
        by=world.admin,
        agent_name="a",
        allowed_tools=[],
        resource_access=[],
        grant_types=["authorization_code"],
    )
    assert world.refusal(wrong).reason == "invalid_client_metadata"


def test_a_person_says_no(world: Any, agent: Client) -> None:
    world.ask(Deny(by=ANA, client_id=agent.client_id), Noted)
    (row,) = world.audit(event_type="consent_asked")
    assert (row["status"], row["reason"]) == ("refused", "consent_denied")


def test_a_person_takes_one_grant_back_and_the_others_go_on(world: Any, agent: Client) -> None:
    first, second = consented(world, agent), consented(world, agent, task_id="another")
    child = world.child(world.agent(), first)
    world.ask(Withdraw(by=ANA, grant_id=first.grant_id), Revocation)
    assert world.why_not(first) == world.why_not(child) == "revoked"
    assert world.why_not(second) is None
    world.ask(Withdraw(by=ANA), Revocation)
    assert world.why_not(second) == "revoked"
    # What is consented to afterwards stands.
    assert world.why_not(consented(world, agent, task_id="later")) is None


@pytest.mark.parametrize(
    "taking_back",
    [
        lambda world, _agent: [Withdraw(by=ANA)],
        lambda world, _agent: [Revoke(by=world.admin, principal="user:ana")],
        lambda world, agent: [Revoke(by=world.admin, client_id=agent.client_id)],
        lambda world, agent: [
            Disable(by=world.admin, client_id=agent.client_id),
            Enable(by=world.admin, client_id=agent.client_id),
        ],
    ],
    ids=["by the person", "for the person", "from the agent", "by a pause of the agent"],
)
@pytest.mark.parametrize("together", [True, False])
def test_what_is_taken_back_before_its_code_is_redeemed_is_not_granted(
    world: Any, agent: Client, taking_back: Callable[[Any, Client], list[Operation]], together: bool
) -> None:
    code = world.ask(asked(agent), Consent).code
    story = [*taking_back(world, agent), redeeming(agent, code)]
    cut = [story] if together else [[each] for each in story]
    answers = [answer for part in cut for answer in world.server.execute(part)]
    refused = [answer.reason for answer in answers if isinstance(answer, OAuthError)]
    assert (refused, isinstance(answers[-1], OAuthError)) == (["code_revoked"], True)
    # What is consented to afterwards stands.
    assert world.why_not(consented(world, agent, task_id="later")) is None


@pytest.mark.on_both
def test_a_consent_is_older_than_its_end_whatever_each_clock_says(make_world: Any) -> None:
    world = make_world()
    agent = world.agent(redirect_uris=[BACK])
    ahead, behind = world.clock.now() + 20 * SECOND, world.clock.now()
    world.reopen(writer=3)
    (made,) = world.server.execute([asked(agent)], at=[ahead])
    world.reopen(writer=1)
    world.server.execute([Withdraw(by=ANA)], at=[behind])
    assert world.refusal(redeeming(agent, made.code)).reason == "code_revoked"


def test_nobody_takes_back_what_others_have_given(world: Any, agent: Client) -> None:
    grant = consented(world, agent)
    child = world.child(agent, grant)
    for by in (Person("eve", "acme"), Person("ana", "globex")):
        assert world.refusal(Withdraw(by=by, grant_id=grant.grant_id)).reason == "not_entitled"
    assert world.refusal(Withdraw(by=ANA, grant_id=grant.grant_id + 1)).reason == "not_entitled"
    world.ask(Withdraw(by=Person("eve", "acme")), Revocation)
    assert world.why_not(grant) == world.why_not(child) is None


def test_nobody_speaks_for_a_person_but_they_themselves(world: Any, agent: Client) -> None:
    """The name spaces of agents, organisations and people have nothing in common (RFC 9700 section 4.15)."""
    forged = Issue(by=agent, scope="file_read:github", principal="user:ana")
    assert world.refusal(forged).reason == "invalid_request"
    owner = Register(
        by=Admin("root", everywhere=True),
        owner="user:ana",
        agent_name="a",
        allowed_tools=[],
        resource_access=[],
    )
    assert world.refusal(owner).error == "invalid_request"


@pytest.mark.parametrize(
    ("uri", "registered", "good"),
    [
        ("http://127.0.0.1:51004/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]:9/cb", "http://[::1]:8/cb", True),
        ("http://127.0.0.1:9/other", "http://127.0.0.1/cb", False),
        ("http://localhost:9/cb", "http://localhost/cb", False),
        ("https://app.example:444/cb", "https://app.example/cb", False),
        ("https://app.example/cb?x=1", "https://app.example/cb", False),
        ("https://app.example/cb", "https://other.example/cb https://app.example/cb", True),
    ],
)
def test_a_redirect_is_one_of_those_registered_by_the_letter(uri: str, registered: str, good: bool) -> None:
    assert is_registered_redirect(uri, registered) is good


@pytest.mark.on_both
def test_of_two_writers_one_redeems_a_code(make_world: Any) -> None:
    """The other one notices at its write, decides anew, and finds a replay."""
    world = make_world()
    agent = world.agent(redirect_uris=[BACK])
    code = world.ask(asked(agent), Consent).code
    grant = world.ask(redeeming(agent, code), TokenGrant)
    world.reopen()
    assert world.refusal(redeeming(agent, code)).reason == "code_reused"
    assert world.why_not(grant) == "revoked"
