"""What an access token says: the claims of RFC 9068, and those of tasks, lineage and delegation.

``sub`` is the principal, ``act`` the agents that act for it, the outermost the current one (RFC 8693 section
4.1); ``lineage`` names the grants and tasks from the root down, so that an offline verifier can hold a token
against the marks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentsim.server.clock import SECOND
from agentsim.server.credentials import client_name, parse_client_name
from agentsim.server.lineage import Lineage, task_key
from agentsim.server.scopes import members
from agentsim.server.statusplaces import join, list_uri, split

_REQUIRED = frozenset(
    "iss sub aud client_id iat exp jti scope task_id tools resources level owner grant_exp lineage act".split()
)
_TIMES = ("iat", "exp", "grant_exp")
#: Beyond that, microseconds would not fit where times are stored.
_LAST_SECOND = ((1 << 63) - 1) // SECOND
_KINDS = dict.fromkeys(_TIMES, int) | dict.fromkeys("sub scope tools resources level owner".split(), str)


@dataclass(slots=True, kw_only=True)
class Claims:
    """What an access token says, checked and in the server's own types. Times are microseconds."""

    token_id: int
    client_id: int
    grant_id: int
    root_grant_id: int
    parent_grant_id: int | None
    depth: int
    lineage: Lineage
    tasks: tuple[str, ...]
    scope: str
    tools: str
    resources: str
    level: str
    principal: str
    owner: str
    issued_at: int
    expires_at: int
    grant_expires_at: int
    #: Whom the token is for. Empty when it is written: the first audience that the codec knows.
    audience: tuple[str, ...] = ()
    #: The agent of another owner that may take a child below (RFC 8693 section 4.4).
    may_act: int | None = None
    #: Whether the token also says what was granted as RFC 9396 has it.
    authorization_details: bool = False
    #: What the grant may spend, in the policy's units; None: it is not budgeted. Only the server knows what is left.
    budget: int | None = None
    #: The token's place in the status lists of its writer; None: it is in none.
    status_index: int | None = None

    @property
    def task_id(self) -> str:
        return self.tasks[-1]

    @property
    def parent_task_id(self) -> str | None:
        return self.tasks[-2] if self.depth else None


def authorization_details(
    task_id: str, tools: Sequence[str], resources: Sequence[str], level: str, budget: int | None
) -> list[dict[str, Any]]:
    """What was granted, as RFC 9396 section 2.2 has it: one object of the type ``agent_task``."""
    details: dict[str, Any] = {
        "type": "agent_task",
        "identifier": task_id,
        "actions": list(tools),
        "locations": list(resources),
        "privileges": [level],
    }
    return [details if budget is None else {**details, "budget": budget}]


def actor_chain(lineage: Lineage) -> dict[str, Any]:
    """The agents that act, as ``act`` names them: the current one outermost (RFC 8693 section 4.1)."""
    act: dict[str, Any] = {}
    for _, client, _ in lineage:
        act = {"sub": client_name(client), "act": act} if act else {"sub": client_name(client)}
    return act


def write_claims(claims: Claims, issuer: str, audience: tuple[str, ...]) -> dict[str, Any]:
    """The payload of a token for these (at least one)."""
    payload: dict[str, Any] = {
        "iss": issuer,
        "sub": claims.principal,
        "aud": audience[0] if len(audience) == 1 else audience,
        "client_id": client_name(claims.client_id),
        "iat": claims.issued_at // SECOND,
        "exp": claims.expires_at // SECOND,
        "jti": str(claims.token_id),
        "scope": claims.scope,
        "task_id": claims.task_id,
        "parent_task_id": claims.parent_task_id,
        "tools": claims.tools,
        "resources": claims.resources,
        "level": claims.level,
        "owner": claims.owner,
        "grant_exp": claims.grant_expires_at // SECOND,
        "lineage": {"grants": [str(grant) for grant, _, _ in claims.lineage], "tasks": claims.tasks},
        "act": actor_chain(claims.lineage),
    }
    if claims.may_act is not None:
        payload["may_act"] = {"sub": client_name(claims.may_act)}
    if claims.budget is not None:
        payload["budget"] = claims.budget
    if claims.status_index is not None:
        number, place = split(claims.status_index)
        payload["status"] = {"status_list": {"idx": place, "uri": list_uri(issuer, number)}}
    if claims.authorization_details:
        payload["authorization_details"] = _details(claims)
    return payload


def read_claims(payload: dict[str, Any]) -> Claims:
    """The inverse of :func:`write_claims`, whoever the issuer.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If the payload is of another form.
    """
    if not _REQUIRED <= payload.keys():
        raise KeyError("a claim is missing")
    if any(type(payload[name]) is not kind for name, kind in _KINDS.items()):
        raise TypeError("a claim is of another type")
    if not all(abs(payload[name]) <= _LAST_SECOND for name in _TIMES):
        raise ValueError("a time is beyond what can be stored")
    if payload["exp"] > payload["grant_exp"]:
        raise ValueError("no token outlives its grant")
    if "nbf" in payload:
        raise ValueError("no token of this server begins later than it was issued")
    grants = [int(grant) for grant in payload["lineage"]["grants"]]
    tasks = tuple(payload["lineage"]["tasks"])
    owner = payload["owner"]
    lineage = tuple(
        (grant, client, task_key(owner, task))
        for grant, client, task in zip(grants, _actors(payload["act"]), tasks, strict=True)
    )
    claims = Claims(
        token_id=int(payload["jti"]),
        client_id=lineage[-1][1],
        grant_id=grants[-1],
        root_grant_id=grants[0],
        parent_grant_id=grants[-2] if len(grants) > 1 else None,
        depth=len(grants) - 1,
        lineage=lineage,
        tasks=tasks,
        scope=payload["scope"],
        tools=payload["tools"],
        resources=payload["resources"],
        level=payload["level"],
        principal=payload["sub"],
        owner=owner,
        issued_at=payload["iat"] * SECOND,
        expires_at=payload["exp"] * SECOND,
        grant_expires_at=payload["grant_exp"] * SECOND,
        audience=_audience(payload["aud"]),
        may_act=_one_agent(payload["may_act"]) if "may_act" in payload else None,
        authorization_details="authorization_details" in payload,
        budget=_budget(payload["budget"]) if "budget" in payload else None,
        status_index=_status_index(payload["status"], payload["iss"]) if "status" in payload else None,
    )
    if claims.authorization_details and payload["authorization_details"] != _details(claims):
        raise ValueError("the authorization details say something else than the claims")
    return claims


def _details(claims: Claims) -> list[dict[str, Any]]:
    tools, resources = members(claims.tools), members(claims.resources)
    return authorization_details(claims.task_id, tools, resources, claims.level, claims.budget)


def _audience(aud: Any) -> tuple[str, ...]:
    """A text for one, an array for several: as it is written, there is one way to write it."""
    if isinstance(aud, str):
        return (aud,)
    texts = isinstance(aud, list) and all(isinstance(name, str) for name in aud)
    if not texts or len(set(aud)) != len(aud) or len(aud) < 2:
        raise ValueError("the audience is neither a text nor an array of several")
    return tuple(aud)


def _budget(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("the budget is no whole number")
    return value


def _status_index(status: dict[str, Any], issuer: str) -> int:
    named = status["status_list"]
    number = int(named["uri"].rpartition("/")[2])
    if named["uri"] != list_uri(issuer, number) or type(named["idx"]) is not int:
        raise ValueError("the status list is not one of the issuer's")
    return join(number, named["idx"])


def _one_agent(may_act: dict[str, Any]) -> int:
    client = parse_client_name(may_act["sub"])
    if client is None or len(may_act) != 1:
        raise ValueError("may_act names no agent")
    return client


def _actors(act: dict[str, Any]) -> Sequence[int]:
    """The acting clients, root first."""
    actors = []
    current: dict[str, Any] | None = act
    while current:
        actors.append(parse_client_name(current["sub"]) or 0)
        current = current.get("act")
    return actors[::-1]
