"""Consent: a person lets an agent act for them (RFC 6749 section 4.1 with PKCE, RFC 7636), and takes it back.

What was consented to is kept with the code and granted exactly, as far as the agent may have it still: ``sub`` is the
person, ``act`` the agent.
"""

import base64
import hashlib
import hmac
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from agentsim.server.answers import Consent, Noted, Revocation, TokenGrant
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.budgets import root_budget
from agentsim.server.checks import authenticate, check_grant_type
from agentsim.server.clock import SECOND
from agentsim.server.credentials import (
    digest,
    keyed_token,
    matches,
    parse_client_name,
    parse_keyed_token,
    principal_of,
)
from agentsim.server.errors import (
    AccessDenied,
    InvalidGrant,
    InvalidRequest,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
)
from agentsim.server.grants import check_root, grant_root
from agentsim.server.lineage import principal_key
from agentsim.server.metadata import AUTHORIZATION_CODE
from agentsim.server.operations.consent import AskConsent, Authorize, Deny, Redeem, Withdraw
from agentsim.server.operations.grants import Issue
from agentsim.server.parties import Client
from agentsim.server.revocation import end_grant, end_principal
from agentsim.server.rules import check_listed
from agentsim.server.throttling import charge

#: How long a code may wait to be redeemed.
CODE_US = 60 * SECOND
#: A base64url-encoded SHA-256, and what it may be of (RFC 7636 sections 4.1 and 4.2).
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LOOPBACK = ("127.0.0.1", "::1")


def ask(batch: Batch, request: AskConsent, entry: Entry) -> Consent:
    """What would be granted, for the person to read."""
    consent, _ = _consent(batch, request, entry)
    return consent


def authorize(batch: Batch, request: Authorize, entry: Entry) -> Consent:
    """Make the code of a person's consent; nothing is granted before it is redeemed."""
    consent, terms = _consent(batch, request, entry)
    consent.code = _make_code(batch, request, terms, entry)
    return consent


def _consent(batch: Batch, request: AskConsent, entry: Entry) -> tuple[Consent, dict[str, Any]]:
    """What is asked for, as far as the agent may have it; for the person, and as it is kept."""
    agent = _asking_agent(batch, request, entry)
    try:
        return _consent_for(batch, request, entry, agent)
    except OAuthError as error:
        error.answerable = True
        raise


def _consent_for(
    batch: Batch, request: AskConsent, entry: Entry, agent: Row
) -> tuple[Consent, dict[str, Any]]:
    check_grant_type(agent, AUTHORIZATION_CODE)
    check_listed(batch.policy, agent["agent_name"], agent["client_id"])
    if not _CHALLENGE.fullmatch(request.code_challenge) or request.code_challenge_method != "S256":
        raise InvalidRequest("pkce_required", "a code_challenge with the method S256 is needed (RFC 7636)")
    asked = _asked(request)
    entry.task_id = (asked.task_id or "")[:80] or None
    terms = check_root(batch, asked, agent)
    budget = root_budget(batch.policy, asked.budget)
    longest = batch.policy.grant_ttl_us
    lifetime = longest if request.lifetime_us is None else min(request.lifetime_us, longest)
    if lifetime < SECOND:
        raise InvalidRequest("invalid_request", "a grant lasts a second at least", asked=lifetime)
    consented = {
        "task_id": asked.task_id,
        "task_description": asked.task_description,
        "scope": terms.scope,
        "required_tools": terms.tools.split(),
        "required_resources": terms.resources.split(),
        "scope_level": terms.level,
        "resource": list(terms.audience),
        "budget": budget,
        "authorization_details": terms.authorization_details,
        "lifetime_us": lifetime,
    }
    entry.details |= consented
    consent = Consent(
        log_id=0,
        code="",
        agent_name=agent["agent_name"],
        description=agent["description"],
        owner=agent["owner"],
        task_id=asked.task_id,
        task_description=asked.task_description,
        scope=terms.scope,
        level=terms.level,
        audience=list(terms.audience),
        budget=budget,
        lifetime_us=lifetime,
    )
    return consent, consented


def deny(batch: Batch, request: Deny, entry: Entry) -> Noted:
    """A person says no."""
    client_id = parse_client_name(request.client_id)
    entry.client_id = client_id if client_id in batch.loaded.agents else None
    entry.status, entry.reason = "refused", "consent_denied"
    entry.details = {"by": principal_of(request.by.account)}
    return Noted(log_id=0)


def redeem(batch: Batch, request: Redeem, entry: Entry) -> TokenGrant:
    """Exchange a code, once, for the tokens that were consented to; a replay ends what it was exchanged for."""
    agent = authenticate(batch, request.by, entry)
    charge(batch, entry, agent["client_id"], agent)
    check_grant_type(agent, AUTHORIZATION_CODE)
    check_listed(batch.policy, agent["agent_name"], agent["client_id"])
    code = _presented(batch, request, agent, entry)
    now = entry.timestamp
    if code["consumed_at"] is not None:
        first = {"grant_id": code["grant_id"], "owner": agent["owner"]}
        revocation_id = end_grant(batch, first, reason="code_reuse", revoked_by="server", now=now)
        entry.details = {"revocation_id": revocation_id, "marks": [revocation_id]}
        raise InvalidGrant("code_reused", "the code had been used; what it was exchanged for is ended")
    if now >= code["expires_at"]:
        raise InvalidGrant("code_expired", "the code has expired", hint="ask the person again")
    if _was_taken_back(batch, code, agent):
        raise InvalidGrant("code_revoked", "the consent was taken back before it was used")
    if request.redirect_uri != code["redirect_uri"]:
        raise InvalidGrant("redirect_mismatch", "redirect_uri is not the one that the code was sent to")
    if not _is_verifier(request.code_verifier, code["code_challenge"]):
        raise InvalidGrant("verifier_mismatch", "code_verifier does not belong to the code_challenge")
    consented: dict[str, Any] = orjson.loads(code["terms"])
    lifetime = consented.pop("lifetime_us")
    asked = Issue(by=request.by, **consented)
    # What was consented to counts from then on, whenever the code is redeemed.
    grant = grant_root(
        batch,
        asked,
        entry,
        agent,
        terms=check_root(batch, asked, agent),
        principal=principal_of(code["account"]),
        ends_at=code["created_at"] + lifetime,
    )
    batch.redeemed.append((code["code_id"], now, grant.grant_id))
    batch.loaded.codes[code["code_id"]] = {**code, "consumed_at": now, "grant_id": grant.grant_id}
    return grant


def withdraw(batch: Batch, request: Withdraw, entry: Entry) -> Revocation:
    """A person takes back one grant, or all: they end at once, with all that hangs below."""
    principal = principal_of(request.by.account)
    entry.reason = "withdrawn"
    entry.details = {"by": principal}
    reason, now = "withdrawn", entry.timestamp
    if request.grant_id is None:
        revocation_id = end_principal(
            batch, request.by.owner, principal, reason=reason, revoked_by=principal, now=now
        )
        named: list[str] = []
    else:
        row = batch.loaded.tokens.get(request.grant_id)
        is_theirs = row is not None and (row["principal"], row["owner"]) == (principal, request.by.owner)
        if row is None or not is_theirs or row["grant_id"] != request.grant_id:
            raise AccessDenied("not_entitled", "there is no such grant of yours")
        entry.client_id, entry.grant_id = row["client_id"], row["grant_id"]
        entry.root_grant_id, entry.task_id = row["root_grant_id"], row["task_id"]
        revocation_id = end_grant(batch, row, reason=reason, revoked_by=principal, now=now)
        named = [row["task_id"]]
    entry.details |= {"revocation_id": revocation_id, "marks": [revocation_id]}
    return Revocation(
        log_id=0, revocation_id=revocation_id, revocation_ids=[revocation_id], affected_task_chain=named
    )


def is_registered_redirect(uri: str, registered: str) -> bool:
    """Whether a redirect URI is one of those registered, by the letter; on loopback any port will do (RFC 8252 7.3)."""
    return any(uri == each or _without_port(uri) == _without_port(each) for each in registered.split())


def _without_port(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        # Nobody has registered such a one.
        return uri
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        return uri
    return urlunsplit(parts._replace(netloc=parts.hostname))


def _asking_agent(batch: Batch, request: AskConsent, entry: Entry) -> Row:
    """The agent that a person is asked for, with the right address to answer to."""
    entry.details = {"by": principal_of(request.by.account)}
    client_id = parse_client_name(request.client_id)
    agent = None if client_id is None else batch.loaded.agents.get(client_id)
    # Which of these it is, is nobody's business who is not of the organisation.
    if agent is None or not agent["is_active"] or agent["owner"] != request.by.owner:
        raise UnauthorizedClient("client_unknown", "there is no such agent in your organisation")
    entry.client_id = agent["client_id"]
    if not is_registered_redirect(request.redirect_uri, agent["redirect_uris"]):
        raise InvalidTarget("redirect_unknown", "redirect_uri is not registered for this agent")
    return agent


def _asked(request: AskConsent) -> Issue:
    return Issue(
        by=Client(request.client_id, ""),
        task_id=request.task_id,
        task_description=request.task_description,
        scope=request.scope,
        required_tools=request.required_tools,
        required_resources=request.required_resources,
        scope_level=request.scope_level,
        resource=request.resource,
        budget=request.budget,
        authorization_details=request.authorization_details,
    )


def _make_code(batch: Batch, request: Authorize, terms: dict[str, Any], entry: Entry) -> str:
    now = entry.timestamp
    code_id = batch.ids.next(now)
    code = keyed_token("ac", code_id, batch.secrets.new())
    row = {
        "code_id": code_id,
        "code_hash": digest(code),
        "client_id": entry.client_id,
        "account": request.by.account,
        "redirect_uri": request.redirect_uri,
        "code_challenge": request.code_challenge,
        "terms": orjson.dumps(terms).decode(),
        "created_at": now,
        "expires_at": now + CODE_US,
        "consumed_at": None,
        "grant_id": None,
    }
    batch.inserts["authorization_codes"].append(row)
    batch.loaded.codes[code_id] = row
    return code


def _presented(batch: Batch, request: Redeem, agent: Row, entry: Entry) -> Row:
    code_id = parse_keyed_token("ac", request.code)
    code = None if code_id is None else batch.loaded.codes.get(code_id)
    if (
        code is None
        or not matches(request.code, code["code_hash"])
        or code["client_id"] != agent["client_id"]
    ):
        entry.access_token_hash = digest(request.code)
        raise InvalidGrant("code_invalid", "unknown code")
    return code


def _was_taken_back(batch: Batch, code: Row, agent: Row) -> bool:
    """Whether what the person, or the agent, had been given so far was ended after the person consented."""
    person = principal_key(agent["owner"], principal_of(code["account"]))
    marks = batch.mark("principal", person), batch.mark("client", agent["client_id"])
    return any(mark is not None and mark[0] > code["code_id"] for mark in marks)


def _is_verifier(verifier: str, challenge: str) -> bool:
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return bool(_VERIFIER.fullmatch(verifier)) and hmac.compare_digest(made, challenge)
