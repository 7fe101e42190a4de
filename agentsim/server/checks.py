"""Checks that several decisions share: who asks, and whether what is asked fits into what is allowed."""

from collections.abc import Sequence

from agentsim.server import scopes
from agentsim.server.assertions import check
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.credentials import matches, names_a_person, parse_client_name
from agentsim.server.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
)
from agentsim.server.parties import ClientAssertion, Credentials

#: Longest text (task_id, description, names) that is accepted, in characters.
LONGEST_TEXT = 1_024


def authenticate(batch: Batch, client: Credentials, entry: Entry) -> Row:
    """The agent that asks, active and with the right secret or key.

    Raises
    ------
    InvalidClient
        ``invalid_client``: unknown or wrong secret; which of the two is not told. ``assertion_invalid`` and
        ``assertion_used``: the same for a client assertion.
    UnauthorizedClient
        ``agent_inactive``: registered, but not confirmed, or disabled.
    """
    client_id = parse_client_name(client.client_id)
    agent = None if client_id is None else batch.loaded.agents.get(client_id)
    if agent is not None:
        entry.client_id = client_id
    if agent is None or (client.owner is not None and client.owner != agent["owner"]):
        raise InvalidClient("invalid_client", "unknown client or wrong secret")
    if isinstance(client, ClientAssertion):
        _check_assertion(batch, client, agent, entry.timestamp)
    elif not matches(client.client_secret, agent["client_secret_hash"]):
        raise InvalidClient("invalid_client", "unknown client or wrong secret")
    if not agent["is_active"]:
        raise UnauthorizedClient(
            "agent_inactive",
            "the agent is not active",
            hint="confirm the registration with its registration_token",
        )
    batch.met[agent["client_id"]] = agent
    return agent


def check_grant_type(agent: Row, grant_type: str) -> None:
    """Refuse a grant that the agent is not registered for.

    Raises
    ------
    UnauthorizedClient
        ``grant_type_not_registered``.
    """
    if grant_type not in scopes.members(agent["grant_types"]):
        raise UnauthorizedClient(
            "grant_type_not_registered",
            "the agent is not registered for this grant",
            asked=grant_type,
            allowed=list(scopes.members(agent["grant_types"])),
        )


def decide_audience(batch: Batch, asked: Sequence[str], bound: tuple[str, ...] | None) -> tuple[str, ...]:
    """The resource servers that a token is for (RFC 8707): those asked for, or those of its bound.

    Parameters
    ----------
    bound : the audience of the parent's token or of the grant; None for a root grant.

    Raises
    ------
    InvalidTarget
        ``unknown_resource`` or ``resource_exceeds_bound``, with what would be allowed.
    """
    policy = batch.policy
    if not asked and bound is None:
        return (policy.audience,)
    if bound is not None:
        # A token for a resource server that the policy has given up since would be nobody's.
        bound = tuple(name for name in bound if name in policy.audiences)
    if not asked and bound:
        return bound
    if not asked or not set(asked) <= set(policy.audiences):
        raise InvalidTarget(
            "unknown_resource", "no such resource server", asked=[name[:256] for name in asked[:20]]
        )
    if bound is not None and not set(asked) <= set(bound):
        raise InvalidTarget(
            "resource_exceeds_bound",
            "what bounds this token is not for that resource server",
            allowed=list(bound),
        )
    return tuple(dict.fromkeys(asked))


def _check_assertion(batch: Batch, client: ClientAssertion, agent: Row, now: int) -> None:
    if agent["jwks"] is None or agent["token_endpoint_auth_method"] != "private_key_jwt":
        raise InvalidClient("assertion_invalid", "the client is not registered for private_key_jwt")
    issuer = batch.policy.issuer
    audiences = (issuer, f"{issuer.rstrip('/')}/token")
    checked = check(client.assertion, agent["jwks"], client.client_id, audiences, now)
    if not batch.use_assertion(checked.key, checked.expires_at_us):
        raise InvalidClient("assertion_used", "the assertion has been used before", hint="sign a new one")


def check_text(**texts: str | None) -> None:
    """Refuse texts that are too long or hold control characters.

    Raises
    ------
    InvalidRequest
        ``invalid_request``, naming the parameter.
    """
    for name, text in texts.items():
        if text is not None and (len(text) > LONGEST_TEXT or not text.isprintable()):
            raise InvalidRequest(
                "invalid_request",
                f"{name} must be at most {LONGEST_TEXT} printable characters",
                asked=text[:80],
            )


def check_not_an_agent(**names: str | None) -> None:
    """Refuse names that read as a client_id: ``sub`` must tell people and agents apart (RFC 9700 section 4.15).

    Raises
    ------
    InvalidRequest
        ``invalid_request``, naming the parameter.
    """
    for name, text in names.items():
        if text is not None and parse_client_name(text) is not None:
            raise InvalidRequest("invalid_request", f"{name} must not be an agent's name", asked=text)


def check_principal(**names: str | None) -> None:
    """Refuse principals who speak for themselves: agents, and people with an account, who must consent.

    Raises
    ------
    InvalidRequest
        ``invalid_request``, naming the parameter.
    """
    check_not_an_agent(**names)
    for name, text in names.items():
        if text is not None and names_a_person(text):
            raise InvalidRequest(
                "invalid_request",
                f"{name} must not be a person's name",
                asked=text[:80],
                hint="ask the person, with the authorization code grant",
            )


def within(what: str, asked: str, allowed: str, bound: str) -> None:
    """Refuse a set that exceeds its bound.

    Parameters
    ----------
    what : ``scope``, ``tools`` or ``resources``.
    asked, allowed : canonical texts.
    bound : ``registration`` or ``parent``: what sets the limit.

    Raises
    ------
    InvalidScope
        ``<what>_exceeds_<bound>`` (``exceed`` for plurals), with the members that are too much.
    """
    surplus = scopes.excess(asked, allowed)
    if surplus:
        verb = "exceeds" if what == "scope" else "exceed"
        raise InvalidScope(
            f"{what}_{verb}_{bound}",
            f"the {what} asked for {verb} those of the {bound}",
            asked=list(surplus[:20]),
            allowed=list(scopes.members(allowed)[:20]),
            hint=f"ask for no more than the {bound} allows",
        )


def decide_level(
    batch: Batch, asked: str | None, registered: str, parent: str | None, tools: Sequence[str]
) -> str:
    """The level of a grant: what was asked, or the highest that its bounds allow.

    Raises
    ------
    InvalidScope
        ``level_exceeds_registration``, ``level_exceeds_parent``, or ``level_too_low`` for one of the tools.
    InvalidRequest
        For an unknown level.
    """
    policy = batch.policy
    bounds = [("registration", registered)] + ([("parent", parent)] if parent is not None else [])
    # A level that the policy has given up since it was granted allows nothing: it ranks below the lowest.
    ranks = {name: -1 if (known := policy.rank(name)) is None else known for _, name in bounds}
    level = asked if asked is not None else min(ranks, key=lambda name: (ranks[name], name))
    rank = policy.rank(level)
    if rank is None:
        raise InvalidRequest(
            "invalid_request", "unknown scope level", asked=level[:80], allowed=list(policy.levels)
        )
    for bound, most in bounds:
        if rank > ranks[most]:
            raise InvalidScope(
                f"level_exceeds_{bound}", f"the {bound} allows a lower level", asked=level, allowed=most
            )
    if policy.needed_rank(tuple(tools)) > rank:
        raise InvalidScope(
            "level_too_low", "a tool needs a higher level", asked=list(tools[:20]), allowed=level
        )
    return level
