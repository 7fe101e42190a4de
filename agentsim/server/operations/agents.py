"""What can be asked about agents themselves: how they come, change and go."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentsim.server.operations.ends import Grounds
from agentsim.server.parties import Admin, RegistrationAccess


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
class Confirm:
    """Redeem a registration token, once, and activate the agent."""

    registration_token: str = field(repr=False)
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
