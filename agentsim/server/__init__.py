"""The token server: OAuth for AI agents, in process, over ordered batches. It knows nobody else in this package."""

from agentsim.server.answers import (
    Activation,
    AgentProfile,
    AgentRecord,
    Answer,
    Consent,
    ExecutionReceipt,
    Introspection,
    NewSecret,
    Noted,
    Registration,
    Revocation,
    TokenGrant,
    Verification,
)
from agentsim.server.clock import Clock, ManualClock, SystemClock
from agentsim.server.closure import Closed, Closure
from agentsim.server.core import Server
from agentsim.server.credentials import Secrets, SeededSecrets, SystemSecrets
from agentsim.server.errors import OAuthError
from agentsim.server.history import GrantState
from agentsim.server.keyfile import KeyFile
from agentsim.server.keyring import KeyFileError, KeyRing
from agentsim.server.keys import SigningKey
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
from agentsim.server.operations.ends import Grounds, Hold, Reauthorize, Revoke
from agentsim.server.operations.grants import Issue, IssueChild, Refresh
from agentsim.server.operations.notes import (
    NoteKeyRotation,
    NotePolicy,
    NoteRefusal,
    NoteSignIn,
    NoteTruncation,
)
from agentsim.server.operations.uses import Introspect, RecordExecution, Verify
from agentsim.server.parties import Admin, Client, ClientAssertion, Credentials, Person, RegistrationAccess
from agentsim.server.policy import Policy
from agentsim.server.store import Store
from agentsim.server.watch import Action, Assessment, PatternMatcher, Use, Watch, Watcher

__all__ = [
    "Action",
    "Activation",
    "Admin",
    "AgentProfile",
    "AgentRecord",
    "Answer",
    "AskConsent",
    "Assessment",
    "Authorize",
    "Client",
    "ClientAssertion",
    "Clock",
    "Closed",
    "Closure",
    "Confirm",
    "Consent",
    "Credentials",
    "Deny",
    "Disable",
    "Enable",
    "ExecutionReceipt",
    "GrantState",
    "Grounds",
    "Hold",
    "Introspect",
    "Introspection",
    "Issue",
    "IssueChild",
    "KeyFile",
    "KeyFileError",
    "KeyRing",
    "ManualClock",
    "NewSecret",
    "NoteKeyRotation",
    "NotePolicy",
    "NoteRefusal",
    "NoteSignIn",
    "NoteTruncation",
    "Noted",
    "OAuthError",
    "Operation",
    "PatternMatcher",
    "Person",
    "Policy",
    "ReadAgent",
    "Reauthorize",
    "RecordExecution",
    "Redeem",
    "Refresh",
    "Register",
    "Registration",
    "RegistrationAccess",
    "Revocation",
    "Revoke",
    "RotateSecret",
    "Secrets",
    "SeededSecrets",
    "Server",
    "SigningKey",
    "Store",
    "SystemClock",
    "SystemSecrets",
    "TokenGrant",
    "UpdateAgent",
    "Use",
    "Verification",
    "Verify",
    "Watch",
    "Watcher",
    "Withdraw",
]
