"""Refresh: a grant's next tokens for its refresh token, once (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

from agentsim.server.answers import TokenGrant
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.checks import authenticate, check_grant_type
from agentsim.server.credentials import digest, matches, parse_keyed_token
from agentsim.server.errors import InvalidGrant, OAuthError
from agentsim.server.holds import check_held
from agentsim.server.lineage import Lineage, unpack
from agentsim.server.metadata import REFRESH_TOKEN
from agentsim.server.minting import give, make_claims, whole_second
from agentsim.server.operations.grants import Refresh
from agentsim.server.revocation import end_grant
from agentsim.server.rules import check_agents
from agentsim.server.terms import refreshed_terms
from agentsim.server.throttling import charge


def refresh(batch: Batch, request: Refresh, entry: Entry) -> TokenGrant:
    """Consume a refresh token and issue the grant's next tokens; a replay ends the grant (RFC 9700 4.14.2)."""
    now = entry.timestamp
    agent = authenticate(batch, request.by, entry)
    try:
        check_grant_type(agent, REFRESH_TOKEN)
        old, first = _presented(batch, request, agent, entry)
    except OAuthError:
        charge(batch, entry, agent["client_id"], agent)
        raise
    charge(batch, entry, agent["client_id"], agent, tree=first["root_grant_id"])
    lineage = unpack(first["lineage"])
    if batch.ended_by(lineage, first["owner"], first["principal"]) is not None:
        raise InvalidGrant("refresh_revoked", "the grant has been revoked", hint="ask for a new grant")
    check_agents(batch, lineage)
    consumed = old["refresh_consumed_at"]
    # Without a window two uses in the same microsecond are a replay, too; clocks of two writers may differ.
    if consumed is not None and abs(now - consumed) >= batch.policy.refresh_grace_us:
        revocation_id = end_grant(batch, first, reason="refresh_token_reuse", revoked_by="server", now=now)
        entry.details = {"revocation_id": revocation_id, "marks": [revocation_id]}
        raise InvalidGrant("refresh_reused", "the refresh token had been used; its grant is ended")
    if now >= first["grant_expires_at"]:
        raise InvalidGrant("refresh_expired", "the grant has expired", hint="ask for a new grant")
    check_held(batch, first["grant_id"], of_grant=True)
    claims = make_claims(
        refreshed_terms(batch, first, request, agent),
        token_id=batch.ids.next(now),
        lineage=lineage,
        tasks=_task_chain(batch, first["grant_id"], lineage),
        principal=first["principal"],
        owner=first["owner"],
        now=now,
        expires_at=min(whole_second(now + batch.policy.access_ttl_us), first["grant_expires_at"]),
        grant_expires_at=first["grant_expires_at"],
        budget=first["budget"],
    )
    grant = give(
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
    if claims.budget is not None:
        # An agent may have lost the right to refresh: then this token is the last.
        ends_at = claims.expires_at if grant.refresh_token is None else claims.grant_expires_at
        batch.loaded.ledger.move_end(claims.grant_id, ends_at)
    return grant


def _presented(batch: Batch, request: Refresh, agent: Row, entry: Entry) -> tuple[Row, Row]:
    """The row of the presented refresh token, which is the agent's, and the first row of its grant."""
    token_id = parse_keyed_token("rt", request.refresh_token)
    row = None if token_id is None else batch.loaded.tokens.get(token_id)
    if row is None or not matches(request.refresh_token, row["refresh_token_hash"]):
        entry.access_token_hash = digest(request.refresh_token)
        raise InvalidGrant("refresh_invalid", "unknown refresh token")
    first = batch.loaded.tokens[row["grant_id"]]
    entry.token_id, entry.grant_id = row["token_id"], row["grant_id"]
    entry.parent_grant_id, entry.root_grant_id = row["parent_grant_id"], row["root_grant_id"]
    entry.task_id, entry.parent_task_id = row["task_id"], row["parent_task_id"]
    if row["client_id"] != agent["client_id"]:
        raise InvalidGrant("wrong_client", "the refresh token was issued to another client")
    return row, first


def _task_chain(batch: Batch, grant_id: int, lineage: Lineage) -> tuple[str, ...]:
    """Task ids from the root down: known from this batch, or from the loaded rows of the lineage."""
    known = batch.task_chains.get(grant_id)
    return known or tuple(batch.loaded.tokens[grant]["task_id"] for grant, _, _ in lineage)
