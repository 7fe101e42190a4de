"""Who asks: secrets, keys with single-use assertions, the owner that was named, and the grants registered for."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agentsim.server import Client, Issue, IssueChild, OAuthError, Refresh, Revoke, TokenGrant, Verify
from agentsim.server.answers import AgentRecord
from agentsim.server.clock import SECOND
from agentsim.server.operations.agents import Disable, UpdateAgent
from agentsim.server.parties import ClientAssertion
from agentsim.server.schema import Agent, IssuedToken, UsedAssertion
from tests.callers import EXCHANGE

Sign = Callable[..., ClientAssertion]


@pytest.fixture
def sign(world: Any, private_key: Ed25519PrivateKey) -> Sign:
    """Makes client assertions as an agent's own library would."""

    def make(client_id: str, jti: str, **others: Any) -> ClientAssertion:
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": world.policy.issuer,
            "exp": world.clock.now() // SECOND + 60,
            "jti": jti,
        }
        assertion = jwt.encode(claims | others, private_key, "EdDSA", headers={"kid": "agent's"})
        return ClientAssertion(client_id, assertion)

    return make


@pytest.fixture
def keyed(world: Any, public_jwks: str) -> str:
    """A confirmed agent that authenticates itself with its key."""
    client: Client = world.agent(token_endpoint_auth_method="private_key_jwt", jwks=public_jwks)
    return client.client_id


def ask(by: Any) -> Issue:
    return Issue(by=by, scope="file_read:github")


def test_an_agent_authenticates_with_its_own_key_in_all_it_does(world: Any, keyed: str, sign: Sign) -> None:
    grant = world.ask(ask(sign(keyed, "1")), TokenGrant)
    child = IssueChild(by=sign(keyed, "2"), parent_token=grant.access_token, scope="file_read:github")
    assert world.ask(child, TokenGrant).depth == 1
    newer = Refresh(by=sign(keyed, "3"), refresh_token=grant.refresh_token)
    assert world.ask(newer, TokenGrant).grant_id == grant.grant_id
    assert world.why_not(grant, by=sign(keyed, "4")) is None
    world.revoke(grant, by=sign(keyed, "5"))
    assert world.why_not(grant) == "revoked"


def test_an_assertion_is_used_once(world: Any, keyed: str, sign: Sign) -> None:
    once, other = sign(keyed, "once"), sign(keyed, "other")
    together = world.server.execute([ask(once), ask(once), ask(other)])
    assert [getattr(answer, "reason", None) for answer in together] == [None, "assertion_used", None]
    assert world.refusal(ask(once)).error == "invalid_client"
    # Another signature over the same id is no other assertion.
    assert world.refusal(ask(sign(keyed, "once", iat=world.clock.now() // SECOND))).reason == "assertion_used"
    world.reopen()
    assert world.refusal(ask(other)).reason == "assertion_used"
    assert len(world.rows(UsedAssertion)) == 2


def test_an_assertion_is_used_up_by_a_request_that_is_refused(world: Any, keyed: str, sign: Sign) -> None:
    """Else it could be tried on one request after the other."""
    assertion = sign(keyed, "1")
    assert world.refusal(Issue(by=assertion, scope="shell:github")).reason == "scope_exceeds_registration"
    assert world.refusal(ask(assertion)).reason == "assertion_used"


def test_one_agents_id_is_not_anothers(world: Any, keyed: str, sign: Sign, public_jwks: str) -> None:
    other = world.agent(token_endpoint_auth_method="private_key_jwt", jwks=public_jwks).client_id
    assert not any(
        isinstance(answer, OAuthError)
        for answer in world.server.execute([ask(sign(keyed, "1")), ask(sign(other, "1"))])
    )


@pytest.mark.parametrize("how", ["expired", "another server", "forged", "another agent's", "another name"])
def test_an_assertion_that_does_not_hold_is_refused_and_not_used_up(
    world: Any, keyed: str, sign: Sign, how: str
) -> None:
    other = world.agent()
    by = {
        "expired": lambda: sign(keyed, "1", exp=world.clock.now() // SECOND),
        "another server": lambda: sign(keyed, "1", aud="https://elsewhere.example"),
        "forged": lambda: ClientAssertion(
            keyed,
            jwt.encode(jwt.decode(sign(keyed, "1").assertion, options={"verify_signature": False}), "x" * 32),
        ),
        "another agent's": lambda: ClientAssertion(keyed, sign(other.client_id, "1").assertion),
        "another name": lambda: sign(keyed.replace("agent_", "agent_0"), "1"),
    }[how]()
    refused = world.refusal(ask(by))
    assert refused.error == "invalid_client"
    assert refused.reason == ("invalid_client" if how == "another name" else "assertion_invalid")
    assert world.rows(UsedAssertion) == []


def test_an_agent_authenticates_in_the_way_that_it_is_registered_for(
    world: Any, keyed: str, sign: Sign, public_jwks: str
) -> None:
    with_secret = world.agent(jwks=public_jwks)
    assert world.refusal(ask(sign(with_secret.client_id, "1"))).reason == "assertion_invalid"
    assert world.refusal(ask(Client(keyed, ""))).reason == "invalid_client"
    assert world.rows(UsedAssertion) == []


def test_new_keys_end_the_old_one(world: Any, keyed: str, sign: Sign) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    jwks = f'{{"keys":[{jwt.algorithms.OKPAlgorithm.to_jwk(other)}]}}'
    before, late = sign(keyed, "1"), sign(keyed, "2")
    update = UpdateAgent(by=world.admin, client_id=keyed, jwks=jwks)
    first, _, refused = world.server.execute([ask(before), update, ask(late)])
    assert isinstance(first, TokenGrant)
    assert refused.reason == "assertion_invalid"


def test_a_disabled_agents_key_opens_nothing(world: Any, keyed: str, sign: Sign) -> None:
    world.ask(Disable(by=world.admin, client_id=keyed), AgentRecord)
    assert world.refusal(ask(sign(keyed, "1"))).reason == "agent_inactive"


def test_only_agents_of_the_owner_that_was_named(world: Any, keyed: str, sign: Sign) -> None:
    client = world.agent()
    assertion = sign(keyed, "1").assertion
    for owner, answered in (("globex", OAuthError), ("acme", TokenGrant)):
        for by in (
            Client(client.client_id, client.client_secret, owner),
            ClientAssertion(keyed, assertion, owner),
        ):
            (answer,) = world.server.execute([ask(by)])
            assert isinstance(answer, answered)
            assert getattr(answer, "reason", "invalid_client") == "invalid_client"


@pytest.mark.parametrize(
    ("grant_types", "refused"),
    [
        ([], {"issue", "child", "refresh"}),
        (["client_credentials"], {"child", "refresh"}),
        (["refresh_token"], {"issue", "child"}),
        ([EXCHANGE], {"issue", "refresh"}),
        (["client_credentials", EXCHANGE], {"refresh"}),
        (None, set()),
    ],
)
def test_an_agent_asks_for_the_grants_that_it_is_registered_for(
    world: Any, grant_types: list[str] | None, refused: set[str]
) -> None:
    agent, lead = world.agent(grant_types=grant_types), world.agent()
    above = world.root(lead)
    # A token from when it was registered for more.
    able = world.agent()
    old = world.root(able)
    less = ["refresh_token", EXCHANGE, "client_credentials"] if grant_types is None else grant_types
    world.ask(UpdateAgent(by=world.admin, client_id=able.client_id, grant_types=less), AgentRecord)
    asked = {
        "issue": ask(agent),
        "child": IssueChild(by=agent, parent_token=above.access_token, scope="file_read:github"),
        "refresh": Refresh(by=able, refresh_token=old.refresh_token),
    }
    before = len(world.rows(IssuedToken))
    for name, operation in asked.items():
        (answer,) = world.server.execute([operation])
        assert isinstance(answer, OAuthError) is (name in refused)
        if name in refused:
            assert (answer.error, answer.reason) == ("unauthorized_client", "grant_type_not_registered")
        elif name != "refresh":
            assert (answer.refresh_token is None) is ("refresh" in refused)
    assert len(world.rows(IssuedToken)) == before + 3 - len(refused)
    # Whatever it is registered for, it may ask about what is its owner's and end what is its own.
    assert world.why_not(above, by=agent) is None


def test_a_caller_needs_no_grant_type_but_must_be_active(world: Any) -> None:
    pending = world.register()
    client = Client(pending.client_id, pending.client_secret)
    grant = world.root(world.agent())
    assert world.refusal(Verify(token=grant.access_token, by=client)).reason == "agent_inactive"
    assert world.refusal(Revoke(by=client, token=grant.access_token)).reason == "agent_inactive"
    assert [row["is_active"] for row in world.rows(Agent)] == [False, True]
