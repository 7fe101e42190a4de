"""What the server refuses with: values that carry their evidence.

    OAuthError
    ├── InvalidRequest       400 invalid_request        RFC 6749 section 5.2
    ├── InvalidClient        401 invalid_client         RFC 6749 section 5.2
    ├── InvalidGrant         400 invalid_grant          RFC 6749 section 5.2
    ├── UnauthorizedClient   400 unauthorized_client    RFC 6749 section 5.2
    ├── InvalidScope         400 invalid_scope          RFC 6749 section 5.2
    ├── UnsupportedGrantType 400 unsupported_grant_type RFC 6749 section 5.2
    ├── InvalidTarget        400 invalid_target         RFC 8707 section 2
    ├── InvalidAuthorizationDetails
    │                        400 invalid_authorization_details  RFC 9396 section 5
    ├── InvalidClientMetadata
    │                        400 invalid_client_metadata        RFC 7591 section 3.2.2
    ├── InvalidRedirectUri   400 invalid_redirect_uri   RFC 7591 section 3.2.2
    ├── InvalidSoftwareStatement
    │                        400 invalid_software_statement     RFC 7591 section 3.2.2
    ├── UnapprovedSoftwareStatement
    │                        400 unapproved_software_statement  RFC 7591 section 3.2.2
    ├── InvalidToken         401 invalid_token          RFC 6750 section 3.1
    ├── InsufficientScope    403 insufficient_scope     RFC 6750 section 3.1
    ├── InsufficientUserAuthentication
    │                        401 insufficient_user_authentication RFC 9470 section 3
    ├── AccessDenied         403 access_denied          RFC 6749 section 4.1.2.1
    ├── TooManyRequests      429 too_many_requests      RFC 6585 section 4
    └── TemporarilyUnavailable
                             503 temporarily_unavailable        RFC 6749 section 4.1.2.1

Decisions raise them; :meth:`agentsim.server.Server.execute` returns them, one per refused operation.
"""

from typing import Any, ClassVar


class OAuthError(Exception):
    """A refusal: an RFC error code and HTTP status per class, a finer machine ``reason`` per case."""

    error: ClassVar[str]
    status: ClassVar[int]
    #: Whether a person's browser may be sent back with it: the address to answer to is known to be the agent's.
    answerable: bool = False

    def __init__(
        self,
        reason: str,
        description: str,
        *,
        asked: Any = None,
        allowed: Any = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(reason, description)
        #: Machine code of the case, finer than ``error``; what the audit row keeps.
        self.reason = reason
        self.description = description
        #: What was asked for and what would have been allowed, where that may be told.
        self.asked = asked
        self.allowed = allowed
        #: What the client can do next.
        self.hint = hint
        #: The audit row of the refusal; set when it has been written.
        self.log_id: int | None = None

    def __str__(self) -> str:
        return f"{self.error} ({self.reason}): {self.description}"

    def as_dict(self) -> dict[str, Any]:
        """The members of an OAuth error response (RFC 6749 section 5.2) and the evidence beside them."""
        members = {
            "error": self.error,
            "error_description": self.description,
            "reason": self.reason,
            "asked": self.asked,
            "allowed": self.allowed,
            "hint": self.hint,
        }
        return {name: value for name, value in members.items() if value is not None}


class InvalidRequest(OAuthError):
    """The request is malformed."""

    error, status = "invalid_request", 400


class InvalidClient(OAuthError):
    """The client is unknown, or its secret is wrong."""

    error, status = "invalid_client", 401


class InvalidGrant(OAuthError):
    """The refresh token, registration token or parent token does not hold."""

    error, status = "invalid_grant", 400


class UnauthorizedClient(OAuthError):
    """The client is known but may not do this."""

    error, status = "unauthorized_client", 400


class InvalidScope(OAuthError):
    """More was asked for than may be given: scope, tools, resources or level."""

    error, status = "invalid_scope", 400


class UnsupportedGrantType(OAuthError):
    """The server offers no such grant."""

    error, status = "unsupported_grant_type", 400


class InvalidTarget(OAuthError):
    """The token would be for a resource server that is unknown, or that the parent's token is not for."""

    error, status = "invalid_target", 400


class InvalidAuthorizationDetails(OAuthError):
    """The authorization details are malformed, of an unknown type, or contradict the other parameters."""

    error, status = "invalid_authorization_details", 400


class InvalidClientMetadata(OAuthError):
    """What is to be registered of a client does not hold together."""

    error, status = "invalid_client_metadata", 400


class InvalidRedirectUri(OAuthError):
    """A redirect URI that nobody should be sent to."""

    error, status = "invalid_redirect_uri", 400


class InvalidSoftwareStatement(OAuthError):
    """A software statement that is no JWT."""

    error, status = "invalid_software_statement", 400


class UnapprovedSoftwareStatement(OAuthError):
    """A software statement whose issuer this server does not trust: it trusts none."""

    error, status = "unapproved_software_statement", 400


class InvalidToken(OAuthError):
    """The access token is malformed, expired, revoked or not ours."""

    error, status = "invalid_token", 401


class InsufficientScope(OAuthError):
    """The access token is good, but not for this."""

    error, status = "insufficient_scope", 403


class InsufficientUserAuthentication(OAuthError):
    """The access token is good, but somebody has to vouch for it first: its grant is held."""

    error, status = "insufficient_user_authentication", 401


class AccessDenied(OAuthError):
    """The caller may not ask this of that object."""

    error, status = "access_denied", 403


class TooManyRequests(OAuthError):
    """A bucket is empty: of the client, of its tree or of all agents. Nothing has been done.

    Attributes
    ----------
    retry_after : whole seconds after which the bucket has room again, if nobody else is faster.
    bucket : ``client``, ``tree`` or ``class``.
    actor_class : of the client; None where it is not known.
    """

    error, status = "too_many_requests", 429

    def __init__(
        self,
        reason: str,
        description: str,
        *,
        retry_after: int,
        bucket: str,
        actor_class: str | None,
        allowed: Any = None,
    ) -> None:
        hint = f"come again after {retry_after} s"
        super().__init__(reason, description, allowed=allowed, hint=hint)
        self.retry_after = retry_after
        self.bucket = bucket
        self.actor_class = actor_class

    def as_dict(self) -> dict[str, Any]:
        """The same, and ``retry_after`` for whoever reads no headers."""
        return {**super().as_dict(), "retry_after": self.retry_after}


class TemporarilyUnavailable(OAuthError):
    """Too much is waiting, or the database is away: ask again later."""

    error, status = "temporarily_unavailable", 503


def database_away() -> TemporarilyUnavailable:
    """What everybody is told while the database does not do what it is asked for."""
    return TemporarilyUnavailable("database_away", "the database cannot be reached at present")
