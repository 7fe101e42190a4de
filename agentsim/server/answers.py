"""What the server answers: one class per operation, with the document's field names.

``log_id`` is the audit row of the decision. A refused operation is answered by an
:class:`~agentsim.server.errors.OAuthError` value instead; only :class:`Verification` and
:class:`Introspection` say no in an answer of their own, as RFC 7662 does.
"""

from dataclasses import dataclass, field
from typing import Any

from agentsim.server.errors import OAuthError


@dataclass(slots=True, kw_only=True)
class AgentProfile:
    """What is registered of an agent; times in microseconds."""

    client_id: str
    #: ``pending`` until confirmed, then ``active``; ``disabled`` after.
    status: str
    agent_name: str
    description: str
    allowed_tools: list[str]
    resource_access: list[str]
    scope: str
    allowed_scopes: list[str]
    max_scope_level: str
    role: str
    owner: str
    actor_class: str
    grant_types: list[str]
    redirect_uris: list[str]
    token_endpoint_auth_method: str
    jwks: str | None
    created_at: int
    updated_at: int


@dataclass(slots=True, kw_only=True)
class AgentRecord:
    """An agent's profile, as it is or has become."""

    log_id: int
    profile: AgentProfile


@dataclass(slots=True, kw_only=True)
class NewSecret:
    """An agent's new secret, told here and never again."""

    log_id: int
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Registration:
    """A registered agent's credentials. The secret and the token are told here and never again."""

    log_id: int
    client_id: str
    #: None for an agent that authenticates itself with its own key.
    client_secret: str | None = field(repr=False)
    allowed_scopes: list[str]
    registration_token: str = field(repr=False)
    registration_expires_at: int
    registration_access_token: str = field(repr=False)
    profile: "AgentProfile"


@dataclass(slots=True, kw_only=True)
class Activation:
    """An agent's registration has been confirmed."""

    log_id: int
    client_id: str
    status: str = "active"


@dataclass(slots=True, kw_only=True)
class TokenGrant:
    """Tokens of a new or refreshed grant. ``expires_in`` in seconds, ``expires_at`` in microseconds."""

    log_id: int
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int
    expires_at: int
    scope: str
    task_id: str
    parent_task_id: str | None
    allowed_tools: list[str]
    allowed_resources: list[str]
    scope_inheritance: str
    grant_id: int
    root_grant_id: int
    depth: int
    audience: list[str]
    level: str
    #: Whether the grant was asked for with ``authorization_details`` (RFC 9396).
    authorization_details: bool = False
    #: What the grant may spend, in the policy's units; None: it is not budgeted.
    budget: int | None = None
    token_type: str = "Bearer"
    task_bound: bool = True


@dataclass(slots=True, kw_only=True)
class Verification:
    """Whether a token may be used for what was asked, and why not."""

    log_id: int
    is_valid: bool
    scope: str = ""
    task_context_valid: bool = False
    #: Null where no matcher is at work.
    historical_pattern_match: bool | None = None
    execution_pattern: str | None = None
    #: ``low``, ``medium`` or ``high``, and why.
    risk_assessment: str | None = None
    risk_reasons: list[str] = field(default_factory=list)
    previous_tasks: list[str] = field(default_factory=list)
    execution_patterns: dict[str, Any] = field(default_factory=dict)
    grant_id: int | None = None
    #: What this use has cost, and what the grant may spend still; None where it is not budgeted.
    cost: int | None = None
    budget_left: int | None = None
    error: OAuthError | None = None

    def _repr_html_(self) -> str:
        # Only notebooks ask, and the display needs this class.
        from agentsim.server.display import verification_html

        return verification_html(self)


@dataclass(slots=True, kw_only=True)
class Introspection:
    """What a token is; an inactive one says nothing but that (RFC 7662 section 2.2)."""

    log_id: int
    active: bool
    scope: str | None = None
    client_id: str | None = None
    sub: str | None = None
    exp: int | None = None
    iat: int | None = None
    jti: str | None = None
    aud: list[str] | None = None
    act: dict[str, Any] | None = None
    task_id: str | None = None
    parent_task_id: str | None = None
    allowed_tools: list[str] | None = None
    allowed_resources: list[str] | None = None
    level: str | None = None
    #: ``Bearer``, or ``refresh_token`` for one of those.
    token_type: str | None = None
    authorization_details: bool = False
    budget: int | None = None
    budget_left: int | None = None
    task_history: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Revocation:
    """What a revocation ended. ``count`` is grants, known once ``closure`` is ``closed``: to revoke again tells it.

    ``affected_task_chain`` is what was named; the tasks of all that hung below are told by the fill.
    """

    log_id: int
    revocation_id: int | None
    #: All marks that stand for it: the one above, and one for each further task that was named.
    revocation_ids: list[int] = field(default_factory=list)
    revoked: bool = True
    affected_task_chain: list[str] = field(default_factory=list)
    affected_tasks_terminated: bool = True
    count: int = 0
    #: ``pending`` while rows below are being filled in, ``closed`` after. What was marked is dead at once.
    closure: str = "pending"


@dataclass(slots=True, kw_only=True)
class Consent:
    """What a person lets an agent do, or would; ``lifetime_us`` in microseconds."""

    log_id: int
    #: Empty where it was only asked.
    code: str = field(repr=False)
    agent_name: str
    description: str
    owner: str
    task_id: str | None
    task_description: str
    scope: str
    level: str
    audience: list[str]
    budget: int | None
    lifetime_us: int


@dataclass(slots=True, kw_only=True)
class Noted:
    """It has been written down."""

    log_id: int


@dataclass(slots=True, kw_only=True)
class ExecutionReceipt:
    """A tool call's outcome has been recorded."""

    log_id: int


#: Any of the answers.
Answer = (
    Registration
    | Activation
    | AgentRecord
    | NewSecret
    | TokenGrant
    | Verification
    | Introspection
    | Revocation
    | ExecutionReceipt
    | Noted
    | Consent
)
