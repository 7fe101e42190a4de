"""Grants: root grants, child grants below a parent's token, and their refreshes.

A child never has more than its parent's token or its own registration: scope, tools, resources, level, expiry.
Everything is checked before anything is changed, so a refused request leaves only its audit row behind.
"""

from dataclasses import dataclass
from typing import Any

from agentsim.server import scopes
from agentsim.server.answers import TokenGrant
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row, about_grant
from agentsim.server.checks import authenticate, check_not_an_agent, check_text, decide_level, within
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest, keyed_token, matches, parse_keyed_token
from agentsim.server.errors import AccessDenied, InvalidGrant, InvalidRequest, InvalidScope, InvalidToken
from agentsim.server.lineage import Lineage, pack, task_key, unpack
from agentsim.server.operations import Issue, IssueChild, Refresh
from agentsim.server.revocation import end_grant
from agentsim.server.tokens import LONGEST_TOKEN, Claims


@dataclass(slots=True, kw_only=True)
class _Terms:
    """What a grant is for: canonical texts."""

    scope: str
    tools: str
    resources: str
    level: str


def issue(batch: Batch, request: Issue, entry: Entry) -> TokenGrant:
    """Issue a root grant, bounded by the agent's registration."""
    now = entry.timestamp
    entry.task_id = request.task_id[:80]
    entry.details = _asked(request)
    agent = authenticate(batch, request.by, entry)
    _check_texts(request)
    check_text(principal=request.principal)
    check_not_an_agent(principal=request.principal)
    terms = _terms(batch, request, agent, parent=None)
    owner = agent["owner"]
    _check_task(batch, owner, request.task_id)
    token_id = batch.ids.next(now)
    grant_expires_at = _whole_second(now + batch.policy.grant_ttl_us)
    claims = _claims(
        terms,
        token_id=token_id,
        lineage=((token_id, agent["client_id"], task_key(owner, request.task_id)),),
        tasks=(request.task_id,),
        principal=request.principal or owner,
        owner=owner,
        now=now,
        expires_at=min(_whole_second(now + batch.policy.access_ttl_us), grant_expires_at),
        grant_expires_at=grant_expires_at,
    )
    return _give(batch, entry, claims, agent, request.task_description, inheritance="restricted")


def issue_child(batch: Batch, request: IssueChild, entry: Entry) -> TokenGrant:
    """Issue a grant below a parent's token (RFC 8693), bounded by that token and by the agent's registration."""
    now = entry.timestamp
    entry.task_id, entry.parent_task_id = request.task_id[:80], (request.parent_task_id or "")[:80] or None
    entry.details = _asked(request)
    agent = authenticate(batch, request.by, entry)
    parent = _check_parent(batch, request, entry)
    _check_texts(request)
    if parent.owner != agent["owner"]:
        raise AccessDenied("not_delegated", "the parent's token belongs to another owner")
    _check_room(batch, parent)
    terms = _terms(batch, request, agent, parent=parent)
    _check_task(batch, parent.owner, request.task_id)
    token_id = batch.ids.next(now)
    own = (token_id, agent["client_id"], task_key(parent.owner, request.task_id))
    claims = _claims(
        terms,
        token_id=token_id,
        lineage=(*parent.lineage, own),
        tasks=(*parent.tasks, request.task_id),
        principal=parent.principal,
        owner=parent.owner,
        now=now,
        expires_at=min(_whole_second(now + batch.policy.access_ttl_us), parent.expires_at),
        grant_expires_at=min(_whole_second(now + batch.policy.grant_ttl_us), parent.grant_expires_at),
    )
    grant = _give(
        batch,
        entry,
        claims,
        agent,
        request.task_description,
        inheritance=request.scope_inheritance,
        parent_token_id=parent.token_id,
    )
    batch.change_grant(parent.grant_id).children += 1
    return grant


def refresh(batch: Batch, request: Refresh, entry: Entry) -> TokenGrant:
    """Consume a refresh token and issue the grant's next tokens; a replay ends the grant (RFC 9700 4.14.2)."""
    now = entry.timestamp
    agent = authenticate(batch, request.by, entry)
    old, first = _presented(batch, request, entry)
    if old["client_id"] != agent["client_id"]:
        raise InvalidGrant("wrong_client", "the refresh token was issued to another client")
    lineage = unpack(first["lineage"])
    if batch.ended_by(lineage, first["owner"], first["principal"]) is not None:
        raise InvalidGrant("refresh_revoked", "the grant has been revoked", hint="ask for a new grant")
    consumed = old["refresh_consumed_at"]
    # Without a window two uses in the same microsecond are a replay, too; clocks of two writers may differ.
    if consumed is not None and abs(now - consumed) >= batch.policy.refresh_grace_us:
        revocation_id = end_grant(batch, first, reason="refresh_token_reuse", revoked_by="server", now=now)
        entry.details = {"revocation_id": revocation_id, "marks": [revocation_id]}
        raise InvalidGrant("refresh_reused", "the refresh token had been used; its grant is ended")
    if now >= first["grant_expires_at"]:
        raise InvalidGrant("refresh_expired", "the grant has expired", hint="ask for a new grant")
    claims = _claims(
        _refreshed_terms(first, request.scope),
        token_id=batch.ids.next(now),
        lineage=lineage,
        tasks=_task_chain(batch, first["grant_id"], lineage),
        principal=first["principal"],
        owner=first["owner"],
        now=now,
        expires_at=min(_whole_second(now + batch.policy.access_ttl_us), first["grant_expires_at"]),
        grant_expires_at=first["grant_expires_at"],
    )
    grant = _give(
        batch,
        entry,
        claims,
        agent,
        first["task_description"],
        inheritance=first["scope_inheritance_type"],
        parent_token_id=first["parent_token_id"],
        previous_token_id=old["token_id"],
    )
    if consumed is None:
        batch.consumed.append((old["token_id"], now))
        batch.loaded.tokens[old["token_id"]] = {**old, "refresh_consumed_at": now}
    batch.change_grant(first["grant_id"]).refreshes += 1
    return grant


def _refreshed_terms(first: Row, asked: str | None) -> _Terms:
    """The grant's own terms; a narrower scope takes the tools and resources along that only it named."""
    granted, tools, resources = first["scope"], first["granted_tools"], first["granted_resources"]
    scope = granted
    if asked is not None:
        scope = scopes.canonical_scope(asked)
        if not scope:
            raise InvalidScope("malformed_scope", "nothing was asked for: name a scope, or leave it out")
        if scopes.excess(scope, granted):
            raise InvalidScope("scope_widened", "a refresh may narrow the scope, never widen it", asked=scope)
        tools = _left(tools, scopes.actions(granted), scopes.actions(scope))
        resources = _left(resources, scopes.resources_of(granted), scopes.resources_of(scope))
    return _Terms(scope=scope, tools=tools, resources=resources, level=first["max_scope_level"])


def _left(names: str, named: str, still_named: str) -> str:
    """What is left of granted names: those that the scope still names, and those that it never named."""
    never = " ".join(scopes.excess(names, named))
    return scopes.union(never, scopes.overlap(names, still_named))


def _presented(batch: Batch, request: Refresh, entry: Entry) -> tuple[Row, Row]:
    """The row of the presented refresh token and the first row of its grant."""
    token_id = parse_keyed_token("rt", request.refresh_token)
    row = None if token_id is None else batch.loaded.tokens.get(token_id)
    if row is None or not matches(request.refresh_token, row["refresh_token_hash"]):
        entry.access_token_hash = digest(request.refresh_token)
        raise InvalidGrant("refresh_invalid", "unknown refresh token")
    first = batch.loaded.tokens[row["grant_id"]]
    entry.token_id, entry.grant_id = row["token_id"], row["grant_id"]
    entry.parent_grant_id, entry.root_grant_id = row["parent_grant_id"], row["root_grant_id"]
    entry.task_id, entry.parent_task_id = row["task_id"], row["parent_task_id"]
    return row, first


def _check_parent(batch: Batch, request: IssueChild, entry: Entry) -> Claims:
    """The claims of an active parent token; from here on the audit row names the parent's grant."""
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
    if request.parent_task_id is not None and request.parent_task_id != parent.task_id:
        raise InvalidGrant("parent_task_mismatch", "the parent's token is bound to another task")
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


def _check_task(batch: Batch, owner: str, task_id: str) -> None:
    status = batch.task_status(task_key(owner, task_id))
    if status != "active":
        raise AccessDenied("task_terminated", f"the task is {status}; no new token for it", asked=task_id)


def _check_texts(request: Issue | IssueChild) -> None:
    check_text(task_id=request.task_id, task_description=request.task_description)
    if not request.task_id:
        raise InvalidRequest("invalid_request", "task_id must not be empty")


def _terms(batch: Batch, request: Issue | IssueChild, agent: Row, parent: Claims | None) -> _Terms:
    """Hold what is asked for against the parent's token, where there is one, and the registration."""
    registered_tools, registered_resources = (
        agent["registered_allowed_tools"],
        agent["registered_allowed_res"],
    )
    registered = scopes.union(
        scopes.product(registered_tools, registered_resources), agent["registered_scope"]
    )
    if isinstance(request, IssueChild) and request.scope_inheritance != "restricted":
        if request.scope_inheritance != "full" or parent is None:
            raise InvalidRequest(
                "invalid_request",
                "unknown scope_inheritance",
                asked=request.scope_inheritance,
                allowed=["restricted", "full"],
            )
        scope = scopes.overlap(parent.scope, registered)
        tools = scopes.overlap(parent.tools, registered_tools)
        resources = scopes.overlap(parent.resources, registered_resources)
    else:
        scope, tools, resources = _asked_sets(request)
        if parent is not None:
            within("scope", scope, parent.scope, "parent")
            within("tools", tools, parent.tools, "parent")
            within("resources", resources, parent.resources, "parent")
        within("scope", scope, registered, "registration")
        within("tools", tools, registered_tools, "registration")
        within("resources", resources, registered_resources, "registration")
    if not scope:
        raise InvalidScope("malformed_scope", "nothing was asked for: name a scope, or tools and resources")
    needed = scopes.members(scopes.union(tools, scopes.actions(scope)))
    level = decide_level(
        batch, request.scope_level, agent["max_scope_level"], parent.level if parent else None, needed
    )
    return _Terms(scope=scope, tools=tools, resources=resources, level=level)


def _asked_sets(request: Issue | IssueChild) -> tuple[str, str, str]:
    """Scope, tools and resources as asked for, each from the others where it is not named."""
    tools = None if request.required_tools is None else scopes.canonical_tools(request.required_tools)
    resources = (
        None if request.required_resources is None else scopes.canonical_resources(request.required_resources)
    )
    if request.scope is not None:
        scope = scopes.canonical_scope(request.scope)
    else:
        scope = scopes.product(tools or "", resources or "")
    return (
        scope,
        scopes.actions(scope) if tools is None else tools,
        scopes.resources_of(scope) if resources is None else resources,
    )


def _asked(request: Issue | IssueChild) -> dict[str, Any]:
    """What a refused request asked for, cut to a size that an audit row can hold."""
    return {
        "scope": None if request.scope is None else request.scope[:1024],
        "tools": None
        if request.required_tools is None
        else [name[:80] for name in request.required_tools[:50]],
        "resources": None
        if request.required_resources is None
        else [name[:80] for name in request.required_resources[:50]],
        "level": request.scope_level,
    }


def _give(
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
    if batch.policy.refresh_tokens:
        refresh_token = keyed_token("rt", claims.token_id, batch.secrets.new())
    batch.task_chains[claims.grant_id] = claims.tasks
    batch.add_token(
        {
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
            "parent_token_id": parent_token_id,
            "task_description": task_description,
            "scope_inheritance_type": inheritance,
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
            "previous_token_id": previous_token_id,
            "refresh_consumed_at": None,
            "principal": claims.principal,
            "owner": claims.owner,
            "role": agent["role"],
            "actor_class": agent["actor_class"],
        }
    )
    about_grant(entry, claims)
    tools, resources = scopes.members(claims.tools), scopes.members(claims.resources)
    entry.details = {"scope": claims.scope, "tools": tools, "resources": resources, "level": claims.level}
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
    )


def _task_chain(batch: Batch, grant_id: int, lineage: Lineage) -> tuple[str, ...]:
    """Task ids from the root down: known from this batch, or from the loaded rows of the lineage."""
    known = batch.task_chains.get(grant_id)
    return known or tuple(batch.loaded.tokens[grant]["task_id"] for grant, _, _ in lineage)


def _whole_second(moment: int) -> int:
    """Rounded down, so that row and ``exp`` claim agree."""
    return moment // SECOND * SECOND


def _claims(
    terms: _Terms,
    *,
    token_id: int,
    lineage: Lineage,
    tasks: tuple[str, ...],
    principal: str,
    owner: str,
    now: int,
    expires_at: int,
    grant_expires_at: int,
) -> Claims:
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
    )
