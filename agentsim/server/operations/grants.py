"""What agents ask for: grants, grants below others, and fresh tokens of those they have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentsim.server.parties import Credentials


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
class Refresh:
    """Exchange a refresh token, once, for new tokens of the same grant (RFC 6749 section 6)."""

    by: Credentials
    refresh_token: str = field(repr=False)
    #: May narrow this access token, never widen it.
    scope: str | None = None
    #: The same of resource servers.
    resource: Sequence[str] = ()
    source_ip: str | None = None
