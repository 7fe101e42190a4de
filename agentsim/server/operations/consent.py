"""What people let agents do: asked, consented to, denied, redeemed and withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentsim.server.parties import Credentials, Person


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
