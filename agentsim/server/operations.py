"""What can be asked of the server: one small class per operation.

:meth:`agentsim.server.Server.execute` takes a sequence of these and answers each in order. Scopes are
space-delimited strings (RFC 6749 section 3.3); tools and resources are sequences of names. An operation is a
value: nothing changes it once it is made (it is not frozen only because that doubles its cost).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentsim.server.parties import Admin, Credentials, Person, RegistrationAccess


@dataclass(slots=True)
class Grounds:
    """Why something is done about an agent or a grant: what was to be done, how strange it was, and why, in words."""

    action: str
    score: float
    reasons: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class Register:
    """Register an agent; it stays inactive until its registration is confirmed."""

    by: Admin
    agent_name: str
    allowed_tools: Sequence[str]
    resource_access: Sequence[str]
    max_scope_level: str = "restricted"
    description: str = ""
    #: Scopes beside tool x resource, mostly atoms such as ``email.read``.
    scope: str = ""
    role: str = "agent"
    actor_class: str = "agent"
    #: None: the administrator itself.
    owner: str | None = None
    #: None: all that the server offers to agents.
    grant_types: Sequence[str] | None = None
    redirect_uris: Sequence[str] = ()
    token_endpoint_auth_method: str = "client_secret_basic"
    #: The agent's public keys (RFC 7517) as JSON; required for ``private_key_jwt``.
    jwks: str | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class ReadAgent:
    """Ask what is registered of an agent (RFC 7592 section 2.1)."""

    by: Admin | RegistrationAccess
    client_id: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class UpdateAgent:
    """Replace what is registered of an agent (RFC 7592 section 2.2); what is None stays as it is.

    An agent may describe itself anew and give things up; only an administrator may give it more.
    """

    by: Admin | RegistrationAccess
    client_id: str
    #: Where given, the present one: nobody chooses a secret.
    client_secret: str | None = None
    agent_name: str | None = None
    description: str | None = None
    allowed_tools: Sequence[str] | None = None
    resource_access: Sequence[str] | None = None
    max_scope_level: str | None = None
    scope: str | None = None
    grant_types: Sequence[str] | None = None
    redirect_uris: Sequence[str] | None = None
    jwks: str | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class RotateSecret:
    """Give an agent a new secret; the old one ends at once."""

    by: Admin | RegistrationAccess
    client_id: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Disable:
    """Let an agent do nothing any more, and end what was issued to it and all that hangs below."""

    by: Admin | RegistrationAccess
    client_id: str
    reason: str = "disabled"
    grounds: Grounds | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Enable:
    """Let a disabled agent act again; what was ended stays ended."""

    by: Admin
    client_id: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Confirm:
    """Redeem a registration token, once, and activate the agent."""

    registration_token: str = field(repr=False)
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Issue:
    """Ask for a root grant bound to a task (client credentials, RFC 6749 section 4.4)."""

    by: Credentials
    #: None: the server names the task.
    task_id: str | None = None
    #: None asks for each required tool with each required resource.
    scope: str | None = None
    task_description: str = ""
    #: None: the tools, or resources, that the scope names.
    required_tools: Sequence[str] | None = None
    required_resources: Sequence[str] | None = None
    #: None: the highest level that the agent may have.
    scope_level: str | None = None
    #: On whose behalf; None: the agent's owner.
    principal: str | None = None
    #: The resource servers that the token is for (RFC 8707); none: the first that the policy knows.
    resource: Sequence[str] = ()
    #: The one agent of another owner that may take a child token below this one (RFC 8693 section 4.4).
    may_act: str | None = None
    #: What the grant may spend, in the policy's units; None: what the policy gives.
    budget: int | None = None
    #: Whether the grant was asked for with ``authorization_details`` (RFC 9396): then its tokens hold them, too.
    authorization_details: bool = False
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class IssueChild:
    """Ask for a grant below a parent's token (token exchange, RFC 8693)."""

    by: Credentials
    parent_token: str = field(repr=False)
    #: None: the server names the task.
    task_id: str | None = None
    #: The parent's task, checked where given.
    parent_task_id: str | None = None
    scope: str | None = None
    task_description: str = ""
    required_tools: Sequence[str] | None = None
    required_resources: Sequence[str] | None = None
    scope_level: str | None = None
    #: ``restricted``: what is asked for; ``full``: all that the parent has and the child's registration allows.
    scope_inheritance: str = "restricted"
    #: None: the resource servers of the parent's token.
    resource: Sequence[str] = ()
    may_act: str | None = None
    #: None: a share of what the parent has, where that is budgeted.
    budget: int | None = None
    authorization_details: bool = False
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class AskConsent:
    """Ask what a person would let an agent do, for them to read (RFC 6749 section 4.1.1); nothing is granted."""

    by: Person
    client_id: str
    redirect_uri: str
    #: PKCE (RFC 7636); ``S256`` is the one method.
    code_challenge: str
    code_challenge_method: str = "S256"
    task_id: str | None = None
    task_description: str = ""
    scope: str | None = None
    required_tools: Sequence[str] | None = None
    required_resources: Sequence[str] | None = None
    scope_level: str | None = None
    resource: Sequence[str] = ()
    budget: int | None = None
    authorization_details: bool = False
    #: For how long, in microseconds; None: as long as the policy allows.
    lifetime_us: int | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Authorize(AskConsent):
    """A person consents to exactly that; the answer is a code for the agent (RFC 6749 section 4.1.2)."""


@dataclass(slots=True, kw_only=True)
class Deny:
    """A person does not consent."""

    by: Person
    client_id: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Redeem:
    """Exchange a code, once, for a root grant on behalf of the person (RFC 6749 section 4.1.3)."""

    by: Credentials
    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str = field(repr=False)
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Withdraw:
    """A person ends one of the grants that they have given, or all, and all that hangs below."""

    by: Person
    #: None: all of them.
    grant_id: int | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteSignIn:
    """Keep that somebody signed in, or tried to."""

    account: str
    granted: bool
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Refresh:
    """Exchange a refresh token, once, for new tokens of the same grant (RFC 6749 section 6)."""

    by: Credentials
    refresh_token: str = field(repr=False)
    #: May narrow this access token, never widen it.
    scope: str | None = None
    #: The same of resource servers.
    resource: Sequence[str] = ()
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Verify:
    """Ask whether a token may be used for this, now: by the resource server that received it."""

    token: str = field(repr=False)
    scope: str | None = None
    task_id: str | None = None
    parent_task_id: str | None = None
    task_description: str | None = None
    required_tools: Sequence[str] = ()
    required_resources: Sequence[str] = ()
    #: Who asks. None: who runs the server in its own process.
    by: Admin | Credentials | None = None
    #: The resource server that asks, where the token must be meant for it.
    audience: str | None = None
    #: Who presented the token, as the resource server saw it.
    caller: str | None = None
    source_ip: str | None = None
    #: Whether to answer the agent's previous tasks and execution patterns; without, a verify costs one query less.
    include_history: bool = True


@dataclass(slots=True, kw_only=True)
class Introspect:
    """Ask what a token is (RFC 7662), with its task history where wanted."""

    token: str = field(repr=False)
    #: Who asks; others than those it concerns learn nothing. None: who runs the server in its own process.
    by: Admin | Credentials | None = None
    include_task_history: bool = False
    caller: str | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Revoke:
    """End a grant, a task, an agent's grants or a principal's grants, and all that hangs below.

    Exactly one of ``token``, ``grant_id``, ``task_id``, ``client_id`` and ``principal`` names what ends. A client may
    name only a token, of its own or of a grant below its own, and no further tasks.
    """

    by: Admin | Credentials
    #: The owner whose task or principal is named; None: the administrator itself.
    owner: str | None = None
    token: str | None = None
    grant_id: int | None = None
    task_id: str | None = None
    client_id: str | None = None
    principal: str | None = None
    reason: str = "unspecified"
    grounds: Grounds | None = None
    #: Further tasks to end with it; an administrator's to name.
    affected_task_chain: Sequence[str] = ()
    #: False ends the named grant alone; only with ``token`` or ``grant_id``.
    cascade: bool = True
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Hold:
    """Let a grant not be used, refreshed or delegated from until somebody re-authorises it; what hangs below goes on."""

    by: Admin
    grant_id: int
    grounds: Grounds | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Reauthorize:
    """Let a grant that is held be used again: an administrator's to say, or the person's on whose behalf it was given."""

    by: Admin | Person
    grant_id: int
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class RecordExecution:
    """Report how a tool call that a token was used for went: outcome and sizes, never contents."""

    token: str = field(repr=False)
    tool: str
    resource: str | None = None
    #: ``success`` or ``error``.
    outcome: str = "success"
    duration_us: int | None = None
    args_digest: str | None = None
    n_args: int | None = None
    arg_chars: int | None = None
    result_chars: int | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteRefusal:
    """Keep that requests were refused before they became operations; like ones may come as a count."""

    endpoint: str
    reason: str
    count: int | None = 1
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteKeyRotation:
    """Keep that another key signs from now on."""

    by: Admin
    kid: str
    alg: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NotePolicy:
    """Keep that other rules stand from now on."""

    by: Admin
    digest: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteTruncation:
    """Keep that old rows of an audit chain go: how many, up to which, and how many there have been up to there."""

    by: Admin
    chain: int
    last: int
    rows: int
    length: int
    source_ip: str | None = None


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
    | Verify
    | Introspect
    | Revoke
    | RecordExecution
    | NoteRefusal
    | NoteKeyRotation
    | NotePolicy
    | NoteSignIn
    | NoteTruncation
    | AskConsent
    | Authorize
    | Deny
    | Redeem
    | Withdraw
    | Hold
    | Reauthorize
)
