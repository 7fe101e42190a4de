"""Grants: root grants, and child grants below a parent's token.

A child never has more than its parent's token or its own registration: scope, tools, resources, level, expiry.
Everything is checked before anything is changed, so a refused request leaves only its audit row behind.
"""

from agentsim.server.answers import TokenGrant
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.budgets import child_budget, open_budget, root_budget
from agentsim.server.checks import authenticate, check_grant_type, check_principal, check_text
from agentsim.server.claims import Claims
from agentsim.server.credentials import digest, task_name
from agentsim.server.errors import AccessDenied, InvalidGrant, InvalidRequest, InvalidToken, OAuthError
from agentsim.server.holds import check_held
from agentsim.server.lineage import task_key
from agentsim.server.metadata import CLIENT_CREDENTIALS, TOKEN_EXCHANGE
from agentsim.server.minting import give, make_claims, whole_second
from agentsim.server.operations.grants import Issue, IssueChild
from agentsim.server.rules import check_agents, check_listed
from agentsim.server.terms import Terms, asked_details, bounded_terms
from agentsim.server.throttling import charge


def issue(batch: Batch, request: Issue, entry: Entry) -> TokenGrant:
    """Issue a root grant, bounded by the agent's registration."""
    entry.task_id = (request.task_id or "")[:80] or None
    entry.details = asked_details(request)
    agent = authenticate(batch, request.by, entry)
    charge(batch, entry, agent["client_id"], agent)
    check_grant_type(agent, CLIENT_CREDENTIALS)
    check_listed(batch.policy, agent["agent_name"], agent["client_id"])
    check_text(principal=request.principal)
    check_principal(principal=request.principal)
    terms = check_root(batch, request, agent)
    principal, ends_at = request.principal or agent["owner"], entry.timestamp + batch.policy.grant_ttl_us
    return grant_root(batch, request, entry, agent, terms=terms, principal=principal, ends_at=ends_at)


def check_root(batch: Batch, request: Issue, agent: Row) -> Terms:
    """The terms of a root grant, within the agent's registration and the organisation's rules."""
    _check_texts(request)
    terms = bounded_terms(batch, request, agent, parent=None)
    _check_task(batch, agent["owner"], request.task_id)
    return terms


def grant_root(
    batch: Batch, request: Issue, entry: Entry, agent: Row, *, terms: Terms, principal: str, ends_at: int
) -> TokenGrant:
    """Grant a root on these terms.

    Parameters
    ----------
    principal : on whose behalf the agent acts.
    ends_at : microseconds; no refresh carries the grant beyond.
    """
    now, owner = entry.timestamp, agent["owner"]
    budget = root_budget(batch.policy, request.budget)
    token_id = batch.ids.next(now)
    task_id = request.task_id or task_name(token_id)
    grant_expires_at = whole_second(ends_at)
    claims = make_claims(
        terms,
        token_id=token_id,
        lineage=((token_id, agent["client_id"], task_key(owner, task_id)),),
        tasks=(task_id,),
        principal=principal,
        owner=owner,
        now=now,
        expires_at=min(whole_second(now + batch.policy.access_ttl_us), grant_expires_at),
        grant_expires_at=grant_expires_at,
        budget=budget,
    )
    grant = give(batch, entry, claims, agent, request.task_description, inheritance="restricted")
    open_budget(batch, claims, None, refreshable=grant.refresh_token is not None)
    return grant


def issue_child(batch: Batch, request: IssueChild, entry: Entry) -> TokenGrant:
    """Issue a grant below a parent's token (RFC 8693), bounded by that token and by the agent's registration."""
    now = entry.timestamp
    entry.task_id = (request.task_id or "")[:80] or None
    entry.parent_task_id = (request.parent_task_id or "")[:80] or None
    entry.details = asked_details(request)
    agent = authenticate(batch, request.by, entry)
    try:
        check_grant_type(agent, TOKEN_EXCHANGE)
        check_listed(batch.policy, agent["agent_name"], agent["client_id"])
        parent = _check_parent(batch, request, agent, entry)
    except OAuthError:
        # A tree is charged only by those who may ask below it.
        charge(batch, entry, agent["client_id"], agent)
        raise
    charge(batch, entry, agent["client_id"], agent, tree=parent.root_grant_id)
    if parent.client_id == agent["client_id"]:
        entry.details["by_parent"] = True
    _check_texts(request)
    _check_room(batch, parent)
    terms = bounded_terms(batch, request, agent, parent=parent)
    budget = child_budget(batch, request.budget, parent)
    _check_task(batch, parent.owner, request.task_id)
    token_id = batch.ids.next(now)
    task_id = request.task_id or task_name(token_id)
    own = (token_id, agent["client_id"], task_key(parent.owner, task_id))
    claims = make_claims(
        terms,
        token_id=token_id,
        lineage=(*parent.lineage, own),
        tasks=(*parent.tasks, task_id),
        principal=parent.principal,
        owner=parent.owner,
        now=now,
        expires_at=min(whole_second(now + batch.policy.access_ttl_us), parent.expires_at),
        grant_expires_at=min(whole_second(now + batch.policy.grant_ttl_us), parent.grant_expires_at),
        budget=budget,
    )
    grant = give(
        batch,
        entry,
        claims,
        agent,
        request.task_description,
        inheritance=request.scope_inheritance,
        parent_token_id=parent.token_id,
    )
    open_budget(batch, claims, parent, refreshable=grant.refresh_token is not None)
    return grant


def _check_parent(batch: Batch, request: IssueChild, agent: Row, entry: Entry) -> Claims:
    """The claims of an active parent token below which the agent may ask; the audit row names the parent's grant."""
    try:
        parent = batch.codec.decode(request.parent_token)
    except InvalidToken as exc:
        entry.access_token_hash = digest(request.parent_token)
        raise InvalidGrant("parent_invalid", f"the parent's token: {exc.description}") from None
    entry.token_id, entry.grant_id, entry.root_grant_id = (
        parent.token_id,
        parent.grant_id,
        parent.root_grant_id,
    )
    entry.parent_task_id = parent.task_id
    if batch.ended_by(parent.lineage, parent.owner, parent.principal) is not None:
        raise InvalidGrant("parent_revoked", "the parent's grant has been revoked")
    if entry.timestamp >= parent.expires_at:
        raise InvalidGrant(
            "parent_expired", "the parent's token has expired", hint="the parent must refresh first"
        )
    check_agents(batch, parent.lineage)
    check_held(batch, parent.grant_id, of_grant=True)
    if request.parent_task_id is not None and request.parent_task_id != parent.task_id:
        raise InvalidGrant("parent_task_mismatch", "the parent's token is bound to another task")
    if parent.owner != agent["owner"] and parent.may_act != agent["client_id"]:
        raise AccessDenied(
            "not_delegated",
            "the parent's token belongs to another owner and does not name this agent",
            hint="the parent must ask for a token whose may_act names this agent",
        )
    return parent


def _check_room(batch: Batch, parent: Claims) -> None:
    if parent.depth + 1 > batch.policy.max_depth:
        raise AccessDenied(
            "depth_exceeded",
            "the chain of delegation is too long",
            asked=parent.depth + 1,
            allowed=batch.policy.max_depth,
        )
    if batch.grant_state(parent.grant_id).children >= batch.policy.max_fanout:
        raise AccessDenied(
            "fanout_exceeded", "the parent has too many children", allowed=batch.policy.max_fanout
        )


def _check_task(batch: Batch, owner: str, task_id: str | None) -> None:
    if task_id is None:
        return
    status = batch.task_status(task_key(owner, task_id))
    if status != "active":
        raise AccessDenied("task_terminated", f"the task is {status}; no new token for it", asked=task_id)


def _check_texts(request: Issue | IssueChild) -> None:
    check_text(task_id=request.task_id, task_description=request.task_description)
    if request.task_id == "":
        raise InvalidRequest("invalid_request", "task_id must not be empty")
