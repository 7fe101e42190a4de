"""What can be asked of the server: one small class per operation.

:meth:`agentsim.server.Server.execute` takes a sequence of these and answers each in order. Scopes are
space-delimited strings (RFC 6749 section 3.3); tools and resources are sequences of names. An operation is a
value: nothing changes it once it is made (it is not frozen only because that doubles its cost).
"""

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

#: Any of the operations.
Operation = (
    Register
    | Confirm
    | ReadAgent
    | UpdateAgent
    | RotateSecret
    | Disable
    | Enable
    | Issue
    | IssueChild
    | Refresh
    | AskConsent
    | Authorize
    | Deny
    | Redeem
    | Withdraw
    | Verify
    | Introspect
    | RecordExecution
    | Revoke
    | Hold
    | Reauthorize
    | NoteSignIn
    | NoteRefusal
    | NoteKeyRotation
    | NotePolicy
    | NoteTruncation
)
