"""What answers hold, as types: the OpenAPI description is made from them, and the tests hold the answers against it."""

from typing import Any, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

#: Nothing beyond what is described: a member that nobody has described is one that nobody can rely on.
_closed = with_config(ConfigDict(extra="forbid"))


class _Evidence(TypedDict, total=False):
    """Why something was refused."""

    error: str
    reason: str
    asked: Any
    allowed: Any
    hint: str
    #: Seconds, where too much was asked.
    retry_after: int


@_closed
class ErrorReply(_Evidence):
    """A refusal (RFC 6749 section 5.2); without ``error`` for whoever brought no credentials (RFC 6750 section 3.1)."""

    error_description: str


@_closed
class TokenReply(TypedDict):
    """Tokens (RFC 6749 section 5.1) and the task that they are for."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    task_id: str
    task_bound: bool
    allowed_tools: list[str]
    allowed_resources: list[str]
    refresh_token: NotRequired[str]
    parent_task_id: NotRequired[str]
    scope_inheritance: NotRequired[str]
    issued_token_type: NotRequired[str]
    budget: NotRequired[int]
    authorization_details: NotRequired[list[dict[str, Any]]]


@_closed
class TokenBatchReply(TypedDict):
    """An answer for each request, in their order."""

    responses: list[TokenReply | ErrorReply]


@_closed
class IntrospectionReply(TypedDict):
    """RFC 7662 section 2.2; of an inactive token ``active`` alone."""

    active: bool
    iss: NotRequired[str]
    scope: NotRequired[str]
    client_id: NotRequired[str]
    token_type: NotRequired[str]
    exp: NotRequired[int]
    iat: NotRequired[int]
    sub: NotRequired[str]
    aud: NotRequired[str | list[str]]
    jti: NotRequired[str]
    act: NotRequired[dict[str, Any]]
    task_id: NotRequired[str]
    parent_task_id: NotRequired[str]
    allowed_tools: NotRequired[list[str]]
    allowed_resources: NotRequired[list[str]]
    task_history: NotRequired[dict[str, Any]]
    budget: NotRequired[int]
    budget_left: NotRequired[int]
    authorization_details: NotRequired[list[dict[str, Any]]]


@_closed
class RevocationReply(TypedDict):
    """What was ended. ``closure`` is ``pending`` while rows below are being filled in; the tokens are dead already."""

    revoked: bool
    affected_tasks_terminated: bool
    affected_task_chain: list[str]
    count: int
    closure: str
    revocation_id: NotRequired[str]


@_closed
class VerificationReply(_Evidence):
    """Whether a token may be used for what was asked, and the error where it may not."""

    is_valid: bool
    error_description: NotRequired[str]
    scope: NotRequired[str]
    task_context_valid: NotRequired[bool]
    historical_pattern_match: NotRequired[bool | None]
    execution_pattern: NotRequired[str]
    risk_assessment: NotRequired[str]
    risk_reasons: NotRequired[list[str]]
    previous_tasks: NotRequired[list[str]]
    execution_patterns: NotRequired[dict[str, Any]]
    cost: NotRequired[int]
    budget_left: NotRequired[int]


@_closed
class VerificationBatchReply(TypedDict):
    """A verification for each request, in their order."""

    responses: list[VerificationReply]


@_closed
class AgentReply(TypedDict):
    """What is registered of an agent (RFC 7591 section 3.2.1), and what the document says of it."""

    client_id: str
    client_id_issued_at: int
    client_name: str
    agent_name: str
    description: str
    status: str
    allowed_tools: list[str]
    resource_access: list[str]
    allowed_scopes: list[str]
    scope: str
    max_scope_level: str
    role: str
    owner: str
    actor_class: str
    grant_types: list[str]
    redirect_uris: list[str]
    token_endpoint_auth_method: str
    jwks: NotRequired[dict[str, Any]]
    registration_client_uri: str
    registration_access_token: NotRequired[str]


@_closed
class RegistrationReply(AgentReply):
    """A new agent's record and its credentials; the secret and the tokens are told here and never again."""

    registration_token: str
    registration_expires_at: int
    client_secret: NotRequired[str]
    client_secret_expires_at: NotRequired[int]


@_closed
class ConfirmationReply(TypedDict):
    """The agent is active."""

    client_id: str
    status: str


@_closed
class SecretReply(TypedDict):
    """A new secret, told here and never again."""

    client_id: str
    client_secret: str
    client_secret_expires_at: int


@_closed
class ReauthorizationReply(TypedDict):
    """The grant may be used again."""

    grant_id: str
    status: str


@_closed
class PolicyReply(TypedDict):
    """The rules that stand; ``digest`` names them in the audit trail."""

    digest: str
    policy: dict[str, Any]


@_closed
class KeyReply(TypedDict):
    """The key that signs from now on."""

    kid: str
    alg: str


@_closed
class Page(TypedDict):
    """Rows, and the id to go on from where there may be more."""

    next: str | None


@_closed
class AgentsPage(Page):
    """Agents, oldest first."""

    agents: list[dict[str, Any]]


@_closed
class GrantsPage(Page):
    """Grants: to whom, by whom, for what, and how they are used."""

    grants: list[dict[str, Any]]


@_closed
class AuditPage(Page):
    """The audit trail, newest first."""

    audit: list[dict[str, Any]]


@_closed
class KeySet(TypedDict):
    """Public keys (RFC 7517 section 5), the signing one first."""

    keys: list[dict[str, str]]


@_closed
class HealthReply(TypedDict):
    """The database answers."""

    status: str


#: By name of the endpoint; what is not here answers with text or with nothing.
REPLIES: dict[str, Any] = {
    "token": TokenReply,
    "token_batch": TokenBatchReply,
    "introspect": IntrospectionReply,
    "verify": VerificationReply | VerificationBatchReply,
    "revoke": RevocationReply,
    "revoke_by_name": RevocationReply,
    "register": RegistrationReply,
    "confirm": ConfirmationReply,
    "read_agent": AgentReply,
    "update_agent": AgentReply,
    "rotate_secret": SecretReply,
    "disable_agent": AgentReply,
    "enable_agent": AgentReply,
    "list_agents": AgentsPage,
    "list_grants": GrantsPage,
    "tree": GrantsPage,
    "reauthorize_grant": ReauthorizationReply,
    "audit": AuditPage,
    "rotate_key": KeyReply,
    "policy": PolicyReply,
    "jwks": KeySet,
    "health": HealthReply,
}
