"""Decisions: which one answers an operation, its one audit row, and which operations no other may stand beside."""

from collections.abc import Callable
from typing import Any

from agentsim.server import (
    agents,
    consent,
    grants,
    holds,
    introspection,
    notes,
    refresh,
    registration,
    revocation,
    verification,
)
from agentsim.server.answers import Answer
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch
from agentsim.server.errors import InvalidRequest, OAuthError
from agentsim.server.history import DOINGS
from agentsim.server.operations import Operation
from agentsim.server.operations.agents import (
    Confirm,
    Disable,
    Enable,
    ReadAgent,
    Register,
    RotateSecret,
    UpdateAgent,
)
from agentsim.server.operations.consent import AskConsent, Authorize, Deny, Redeem, Withdraw
from agentsim.server.operations.ends import Hold, Reauthorize, Revoke
from agentsim.server.operations.grants import Issue, IssueChild, Refresh
from agentsim.server.operations.notes import (
    NoteKeyRotation,
    NotePolicy,
    NoteRefusal,
    NoteSignIn,
    NoteTruncation,
)
from agentsim.server.operations.uses import Introspect, RecordExecution, Verify

#: An operation's audit event and its decision.
_DECISIONS: dict[type, tuple[str, Callable[[Batch, Any, Entry], Answer]]] = {
    Register: ("agent_registered", registration.register),
    Confirm: ("agent_confirmed", registration.confirm),
    ReadAgent: ("agent_read", agents.read_agent),
    UpdateAgent: ("agent_updated", agents.update_agent),
    RotateSecret: ("agent_secret_rotated", agents.rotate_secret),
    Disable: ("agent_disabled", agents.disable),
    Enable: ("agent_enabled", agents.enable),
    Issue: ("token_issued", grants.issue),
    IssueChild: ("child_token_issued", grants.issue_child),
    Refresh: ("token_refreshed", refresh.refresh),
    Verify: ("token_verified", verification.verify),
    RecordExecution: ("task_execution", verification.record_execution),
    Introspect: ("token_introspected", introspection.introspect),
    Revoke: ("token_revoked", revocation.revoke),
    NoteRefusal: ("request_refused", notes.note_refusal),
    NoteKeyRotation: ("key_rotated", notes.note_key_rotation),
    NotePolicy: ("policy_changed", notes.note_policy),
    NoteTruncation: ("audit_truncated", notes.note_truncation),
    NoteSignIn: ("sign_in", notes.note_sign_in),
    AskConsent: ("consent_asked", consent.ask),
    Authorize: ("consent_given", consent.authorize),
    Deny: ("consent_asked", consent.deny),
    # A root grant like any other; whose consent it rests on, its principal says.
    Redeem: ("token_issued", consent.redeem),
    Withdraw: ("consent_withdrawn", consent.withdraw),
    Hold: ("grant_held", holds.hold),
    Reauthorize: ("grant_reauthorized", holds.reauthorize),
}


#: When an operation is exclusive; what is not here never is.
_EXCLUSIVE: dict[type, Callable[[Any], bool]] = {
    Revoke: lambda operation: operation.token is None and operation.grant_id is None,
    Withdraw: lambda operation: operation.grant_id is None,
    **dict.fromkeys((Disable, Enable, RotateSecret, UpdateAgent), lambda _: True),
}


def is_exclusive(operation: Operation) -> bool:
    """Whether no other batch may be under way beside this operation.

    What marks agents and principals: ids must tell what was issued before it and after it. What changes an agent:
    its row is written as a whole, so nobody else may change it meanwhile.
    """
    exclusive = _EXCLUSIVE.get(type(operation))
    return exclusive is not None and exclusive(operation)


def decide(batch: Batch, operation: Operation, now: int, fault: str | None) -> Answer | OAuthError:
    """Decide one operation and append its audit row."""
    event_type, decision = _DECISIONS[type(operation)]
    entry = Entry(event_type=event_type, timestamp=now)
    result: Answer | OAuthError
    try:
        if fault is not None:
            raise InvalidRequest("invalid_request", fault)
        entry.source_ip = operation.source_ip
        result = decision(batch, operation, entry)
    except OAuthError as error:
        # The frames that a traceback holds would keep the whole batch alive.
        result = error.with_traceback(None)
        entry.status, entry.reason = "refused", error.reason
        if error.asked is not None:
            entry.details["excess"] = error.asked
    result.log_id = batch.trail.append(entry)
    _note(batch, entry)
    return result


def _note(batch: Batch, entry: Entry) -> None:
    """Let a decision be part of its grant's history: as anybody can read it from the audit row."""
    if entry.grant_id is None or (entry.event_type not in DOINGS and entry.event_type != "token_issued"):
        return
    if not entry.event_type.endswith("token_issued"):
        batch.change_grant(entry.grant_id).note(entry)
    elif entry.status == "granted":
        parent = None if entry.parent_grant_id is None else batch.change_grant(entry.parent_grant_id)
        batch.change_grant(entry.grant_id).begin(entry, parent)
        if parent is not None:
            parent.note(entry)
    elif entry.event_type == "child_token_issued":
        # A refused child has no grant; its row names the parent's.
        batch.change_grant(entry.grant_id).note(entry)
