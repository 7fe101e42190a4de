"""Minting: from decided terms to signed tokens, their row, their audit row and the answer."""

from typing import Any

from agentsim.server import scopes
from agentsim.server.answers import TokenGrant
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row, about_grant
from agentsim.server.claims import Claims
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest, keyed_token
from agentsim.server.errors import InvalidRequest
from agentsim.server.history import TASK_TEXT
from agentsim.server.lineage import Lineage, pack
from agentsim.server.metadata import REFRESH_TOKEN
from agentsim.server.statusplaces import next_index
from agentsim.server.terms import Terms
from agentsim.server.tokens import LONGEST_TOKEN


def make_claims(
    terms: Terms,
    *,
    token_id: int,
    lineage: Lineage,
    tasks: tuple[str, ...],
    principal: str,
    owner: str,
    now: int,
    expires_at: int,
    grant_expires_at: int,
    budget: int | None,
) -> Claims:
    """The claims of a token on these terms; the last entry of ``lineage`` and of ``tasks`` is its own."""
    return Claims(
        token_id=token_id,
        client_id=lineage[-1][1],
        grant_id=lineage[-1][0],
        root_grant_id=lineage[0][0],
        parent_grant_id=lineage[-2][0] if len(lineage) > 1 else None,
        depth=len(lineage) - 1,
        lineage=lineage,
        tasks=tasks,
        scope=terms.scope,
        tools=terms.tools,
        resources=terms.resources,
        level=terms.level,
        principal=principal,
        owner=owner,
        issued_at=now,
        expires_at=expires_at,
        grant_expires_at=grant_expires_at,
        audience=terms.audience,
        may_act=terms.may_act,
        authorization_details=terms.authorization_details,
        budget=budget,
    )


def give(
    batch: Batch,
    entry: Entry,
    claims: Claims,
    agent: Row,
    task_description: str,
    *,
    inheritance: str,
    parent_token_id: int | None = None,
    previous_token_id: int | None = None,
) -> TokenGrant:
    """Sign the tokens, store their row, fill in the audit row and answer."""
    if batch.policy.status_lists:
        claims.status_index = next_index(batch.trail.head.chain, batch.trail.head.length)
    access_token = batch.codec.encode(claims)
    if len(access_token) > LONGEST_TOKEN:
        raise InvalidRequest(
            "invalid_request",
            "the token would be too long for anyone to take",
            asked=len(access_token),
            allowed=LONGEST_TOKEN,
            hint="ask for a narrower scope, or use shorter task ids",
        )
    refresh_token = None
    if batch.policy.refresh_tokens and REFRESH_TOKEN in scopes.members(agent["grant_types"]):
        refresh_token = keyed_token("rt", claims.token_id, batch.secrets.new())
    batch.task_chains[claims.grant_id] = claims.tasks
    row = _token_row(claims, access_token, refresh_token)
    row |= {
        "task_description": task_description,
        "scope_inheritance_type": inheritance,
        "parent_token_id": parent_token_id,
        "previous_token_id": previous_token_id,
        "role": agent["role"],
        "actor_class": agent["actor_class"],
    }
    batch.add_token(row)
    about_grant(entry, claims)
    tools, resources = scopes.members(claims.tools), scopes.members(claims.resources)
    entry.details = {"scope": claims.scope, "tools": tools, "resources": resources, "level": claims.level}
    if previous_token_id is None:
        entry.details |= _begun(claims, task_description)
    if claims.budget is not None:
        entry.details["budget"] = claims.budget
    return TokenGrant(
        log_id=0,
        access_token=access_token,
        refresh_token=refresh_token,
        expires_in=(claims.expires_at - claims.issued_at) // SECOND,
        expires_at=claims.expires_at,
        scope=claims.scope,
        task_id=claims.task_id,
        parent_task_id=claims.parent_task_id,
        allowed_tools=list(tools),
        allowed_resources=list(resources),
        scope_inheritance=inheritance,
        grant_id=claims.grant_id,
        root_grant_id=claims.root_grant_id,
        depth=claims.depth,
        audience=list(claims.audience),
        level=claims.level,
        authorization_details=claims.authorization_details,
        budget=claims.budget,
    )


def _begun(claims: Claims, task_description: str) -> dict[str, Any]:
    """What the audit row of a grant's issue says beside its terms."""
    begun: dict[str, Any] = {"task": task_description[:TASK_TEXT]} if task_description else {}
    if claims.depth and claims.lineage[-2][1] == claims.client_id:
        begun["by_parent"] = True
    return begun


def _token_row(claims: Claims, access_token: str, refresh_token: str | None) -> Row:
    """What a token's row says of the token itself."""
    return {
        "token_id": claims.token_id,
        "client_id": claims.client_id,
        "access_token_hash": digest(access_token),
        "refresh_token_hash": None if refresh_token is None else digest(refresh_token),
        "scope": claims.scope,
        "granted_tools": claims.tools,
        "granted_resources": claims.resources,
        "max_scope_level": claims.level,
        "task_id": claims.task_id,
        "parent_task_id": claims.parent_task_id,
        "issued_at": claims.issued_at,
        "expires_at": claims.expires_at,
        "is_revoked": False,
        "revoked_at": None,
        "revocation_reason": None,
        "revocation_id": None,
        "grant_id": claims.grant_id,
        "parent_grant_id": claims.parent_grant_id,
        "root_grant_id": claims.root_grant_id,
        "depth": claims.depth,
        "lineage": pack(claims.lineage),
        "task_key": claims.lineage[-1][2],
        "grant_expires_at": claims.grant_expires_at,
        "refresh_consumed_at": None,
        "audience": " ".join(claims.audience),
        "may_act": claims.may_act,
        "authorization_details": claims.authorization_details,
        "budget": claims.budget,
        "status_index": claims.status_index,
        "principal": claims.principal,
        "owner": claims.owner,
    }


def whole_second(moment: int) -> int:
    """Rounded down, so that row and ``exp`` claim agree."""
    return moment // SECOND * SECOND
