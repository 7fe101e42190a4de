"""Holds: a use that is too strange is refused at once, and its grant waits for somebody to vouch for it (RFC 9470).

A hold is a flag in the grant's state, decided within the batch: the next operation of the same batch finds it. What a
grant has delegated already goes on; the harder actions, which end a tree or an agent, follow as operations of their own.
"""

from agentsim.server.answers import Noted
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, about_first_issue, told_grounds
from agentsim.server.claims import Claims
from agentsim.server.credentials import principal_of
from agentsim.server.errors import AccessDenied, InsufficientUserAuthentication, InvalidGrant, InvalidRequest
from agentsim.server.history import Event
from agentsim.server.operations.ends import Grounds, Hold, Reauthorize
from agentsim.server.parties import Admin, Credentials, Person
from agentsim.server.watch import ENDING, HOLDING, Action, ActionKind, Assessment, Use

STEP_UP_REQUIRED = "step_up_required"
#: What is said of a grant that is held; nobody is asked again until it is re-authorised.
HELD = Assessment(False, "held", "high", reasons=("the grant is held until it is re-authorised",))
_HINT = "have the grant re-authorised by an administrator, or by the person that it acts for"


def assess(batch: Batch, claims: Claims, now: int, event: Event | None = None) -> Assessment | None:
    """What the matcher says of a use, before any of it is noted; None where none is at work."""
    if batch.matcher is None:
        return None
    state = batch.grant_state(claims.grant_id)
    if state.held_at:
        return HELD
    use = Use(
        role=batch.role(claims.client_id),
        task_id=claims.task_id,
        depth=claims.depth,
        now=now,
        event=event,
    )
    return batch.matcher.assess(use, state)


def heed(batch: Batch, entry: Entry, claims: Claims, assessment: Assessment | None) -> None:
    """Do at once what an assessment asks for, and leave the rest to be carried out right after the batch.

    Raises
    ------
    InsufficientUserAuthentication
        ``step_up_required``, from ``step_up`` on: the grant is held from now on.
    """
    if assessment is None or assessment.action == "none":
        return
    action: ActionKind = assessment.action
    state = batch.grant_state(claims.grant_id)
    if action == "step_up" and state.reauthorized_at:
        # Somebody has looked at this grant and vouched for it: it would be held again for the very same use.
        action = "log"
    entry.details["risk"] = told_grounds(Grounds(action, assessment.score, assessment.reasons))
    if action not in HOLDING:
        return
    batch.change_grant(claims.grant_id).held_at = entry.timestamp
    if action in ENDING:
        subject = {
            "revoke_task": claims.grant_id,
            "revoke_tree": claims.root_grant_id,
            "disable_agent": claims.client_id,
        }[action]
        batch.actions.append(
            Action(kind=action, subject=subject, score=assessment.score, reasons=assessment.reasons)
        )
    raise _required()


def told_reasons(by: Admin | Credentials | None, assessment: Assessment) -> list[str]:
    """Reasons as they are answered: an agent would learn from them how not to be noticed."""
    return list(assessment.reasons) if by is None or isinstance(by, Admin) else []


def check_held(batch: Batch, grant_id: int, *, of_grant: bool = False) -> None:
    """Refuse the use of a grant that is held.

    Parameters
    ----------
    of_grant : whether new tokens are asked for on it: RFC 9470's error is one of resource servers, and the token
        endpoint has its own for a grant that does not hold (RFC 6749 section 5.2).

    Raises
    ------
    InsufficientUserAuthentication, InvalidGrant
        ``step_up_required``.
    """
    if not batch.grant_state(grant_id).held_at:
        return
    if of_grant:
        raise InvalidGrant(STEP_UP_REQUIRED, "the grant is held until it is re-authorised", hint=_HINT)
    raise _required()


def hold(batch: Batch, request: Hold, entry: Entry) -> Noted:
    """Hold a grant, unless it has been held before: whoever re-authorised it knew why.

    Raises
    ------
    AccessDenied
        ``not_entitled``: no such grant, or another organisation's.
    InvalidRequest
        ``already_held``, ``reauthorized``.
    """
    _named(batch, request.by, request.grant_id, entry)
    if request.grounds is not None:
        entry.details["risk"] = told_grounds(request.grounds)
    state = batch.grant_state(request.grant_id)
    if state.held_at:
        raise InvalidRequest("already_held", "the grant is held already")
    if state.reauthorized_at:
        raise InvalidRequest("reauthorized", "somebody has vouched for the grant since it was held")
    batch.change_grant(request.grant_id).held_at = entry.timestamp
    return Noted(log_id=0)


def reauthorize(batch: Batch, request: Reauthorize, entry: Entry) -> Noted:
    """Let a held grant be used again. It is not held another time; what would end it still does.

    Raises
    ------
    AccessDenied
        ``not_entitled``: no such grant, or not the caller's to vouch for.
    InvalidRequest
        ``not_held``.
    """
    _named(batch, request.by, request.grant_id, entry)
    if not batch.grant_state(request.grant_id).held_at:
        raise InvalidRequest("not_held", "the grant is not held")
    state = batch.change_grant(request.grant_id)
    state.held_at, state.reauthorized_at = 0, entry.timestamp
    return Noted(log_id=0)


def _named(batch: Batch, by: Admin | Person, grant_id: int, entry: Entry) -> None:
    """Refuse callers to whom a grant does not belong; the audit row names it from here on."""
    entry.details = {"by": by.owner[:80] if isinstance(by, Admin) else principal_of(by.account)}
    row = batch.first_issue(grant_id)
    if row is None:
        entitled = False
    elif isinstance(by, Admin):
        entitled = by.everywhere or by.owner == row["owner"]
    else:
        entitled = (row["principal"], row["owner"]) == (principal_of(by.account), by.owner)
    if row is None or not entitled:
        raise AccessDenied("not_entitled", "there is no such grant of yours")
    about_first_issue(entry, row)


def _required() -> InsufficientUserAuthentication:
    return InsufficientUserAuthentication(
        STEP_UP_REQUIRED, "the grant is held until it is re-authorised", hint=_HINT
    )
