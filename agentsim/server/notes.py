"""Notes: what happened around the server's decisions and belongs into the audit trail all the same."""

from agentsim.server.answers import Noted
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch
from agentsim.server.operations.notes import (
    NoteKeyRotation,
    NotePolicy,
    NoteRefusal,
    NoteSignIn,
    NoteTruncation,
)


def note_refusal(batch: Batch, request: NoteRefusal, entry: Entry) -> Noted:
    """Requests were refused at the door: without credentials, with wrong ones, or malformed."""
    entry.status, entry.reason = "refused", request.reason[:80]
    entry.details = {"endpoint": request.endpoint[:80], "count": request.count}
    return Noted(log_id=0)


def note_sign_in(batch: Batch, request: NoteSignIn, entry: Entry) -> Noted:
    """Somebody signed in, or did not know the password."""
    entry.details = {"account": request.account[:64]}
    if not request.granted:
        entry.status, entry.reason = "refused", "wrong_password"
    return Noted(log_id=0)


def note_policy(batch: Batch, request: NotePolicy, entry: Entry) -> Noted:
    """Other rules stand from now on."""
    entry.details = {"by": request.by.owner[:80], "policy": request.digest[:80]}
    return Noted(log_id=0)


def note_key_rotation(batch: Batch, request: NoteKeyRotation, entry: Entry) -> Noted:
    """Another key signs from now on."""
    entry.details = {"by": request.by.owner[:80], "kid": request.kid[:80], "alg": request.alg[:80]}
    return Noted(log_id=0)


def note_truncation(batch: Batch, request: NoteTruncation, entry: Entry) -> Noted:
    """Old audit rows are about to go."""
    entry.details = {
        "by": request.by.owner[:80],
        "chain": request.chain,
        # Too long for JSON's numbers.
        "last": str(request.last),
        "rows": request.rows,
        "length": request.length,
    }
    return Noted(log_id=0)
