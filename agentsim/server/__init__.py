"""The token server: OAuth for AI agents, in process, over ordered batches. It knows nobody else in this package."""

from agentsim.server.answers import (
    Activation,
    Answer,
    ExecutionReceipt,
    Introspection,
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
from agentsim.server.history import Assessment, GrantState, PatternMatcher
from agentsim.server.keyfile import KeyFile
from agentsim.server.keyring import KeyFileError, KeyRing
from agentsim.server.keys import SigningKey
from agentsim.server.operations import (
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    Operation,
    RecordExecution,
    Refresh,
    Register,
    Revoke,
    Verify,
)
from agentsim.server.policy import Policy
from agentsim.server.store import Store

__all__ = [
    "Activation",
    "Admin",
    "Answer",
    "Assessment",
    "Client",
    "Clock",
    "Closed",
    "Closure",
    "Confirm",
    "ExecutionReceipt",
    "GrantState",
    "Introspect",
    "Introspection",
    "Issue",
    "IssueChild",
    "KeyFile",
    "KeyFileError",
    "KeyRing",
    "ManualClock",
    "OAuthError",
    "Operation",
    "PatternMatcher",
    "Policy",
    "RecordExecution",
    "Refresh",
    "Register",
    "Registration",
    "Revocation",
    "Revoke",
    "Secrets",
    "SeededSecrets",
    "Server",
    "SigningKey",
    "Store",
    "SystemClock",
    "SystemSecrets",
    "TokenGrant",
    "Verification",
    "Verify",
]
