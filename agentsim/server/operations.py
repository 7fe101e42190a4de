"""What can be asked of the server: one small class per operation.

:meth:`agentsim.server.Server.execute` takes a sequence of these and answers each in order. Scopes are
space-delimited strings (RFC 6749 section 3.3); tools and resources are sequences of names. An operation is a
value: nothing changes it once it is made (it is not frozen only because that doubles its cost).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Admin:
    """The administrator or organisation that asks, already authenticated by whoever built this value."""

    owner: str


@dataclass(slots=True)
class Client:
    """An agent that authenticates itself with its own credentials (RFC 6749 section 2.3.1)."""

    client_id: str
    client_secret: str


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
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Confirm:
    """Redeem a registration token, once, and activate the agent."""

    registration_token: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Issue:
    """Ask for a root grant bound to a task (client credentials, RFC 6749 section 4.4)."""

    by: Client
    task_id: str
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
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class IssueChild:
    """Ask for a grant below a parent's token (token exchange, RFC 8693)."""

    by: Client
    parent_token: str
    task_id: str
    #: The parent's task, checked where given.
    parent_task_id: str | None = None
    scope: str | None = None
    task_description: str = ""
    required_tools: Sequence[str] | None = None
    required_resources: Sequence[str] | None = None
    scope_level: str | None = None
    #: ``restricted``: what is asked for; ``full``: all that the parent has and the child's registration allows.
    scope_inheritance: str = "restricted"
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Refresh:
    """Exchange a refresh token, once, for new tokens of the same grant (RFC 6749 section 6)."""

    by: Client
    refresh_token: str
    #: May narrow this access token, never widen it.
    scope: str | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Verify:
    """Ask whether a token may be used for this, now: by the resource server that received it."""

    token: str
    scope: str | None = None
    task_id: str | None = None
    parent_task_id: str | None = None
    task_description: str | None = None
    required_tools: Sequence[str] = ()
    required_resources: Sequence[str] = ()
    #: Who presented the token, as the resource server saw it.
    caller: str | None = None
    source_ip: str | None = None
    #: Whether to answer the agent's previous tasks and execution patterns; without, a verify costs one query less.
    include_history: bool = True


@dataclass(slots=True, kw_only=True)
class Introspect:
    """Ask what a token is (RFC 7662), with its task history where wanted."""

    token: str
    include_task_history: bool = False
    caller: str | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Revoke:
    """End a grant, a task, an agent's grants or a principal's grants, and all that hangs below.

    Exactly one of ``token``, ``task_id``, ``client_id`` and ``principal`` names what ends. A client may name only
    a token, of its own or of a grant below its own, and no further tasks.
    """

    by: Admin | Client
    token: str | None = None
    task_id: str | None = None
    client_id: str | None = None
    principal: str | None = None
    reason: str = "unspecified"
    #: Further tasks to end with it; an administrator's to name.
    affected_task_chain: Sequence[str] = ()
    #: False ends the named grant alone; only with ``token``.
    cascade: bool = True
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class RecordExecution:
    """Report how a tool call that a token was used for went: outcome and sizes, never contents."""

    token: str
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


#: Any of the operations.
Operation = Register | Confirm | Issue | IssueChild | Refresh | Verify | Introspect | Revoke | RecordExecution
