"""What a resource server refuses with, and the challenge that says so (RFC 6750 section 3, RFC 9470, RFC 9728 section 5.1)."""

import re

#: What RFC 6749 section 5.2 allows in an ``error_description``.
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class Refusal(Exception):
    """A request is not honoured.

    Attributes
    ----------
    status : 400, 401, 403, 429 or 503.
    error : RFC 6750's or RFC 9470's code; None for whoever brought no token, and where it is not the token's fault.
    reason : machine code of the case.
    scope : what the route needs, where the token lacks it.
    retry_after : seconds, for 429 and 503.
    """

    def __init__(
        self,
        status: int,
        error: str | None,
        reason: str,
        description: str,
        *,
        scope: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(reason, description)
        self.status = status
        self.error = error
        self.reason = reason
        self.description = description
        self.scope = scope
        self.retry_after = retry_after

    def challenge(self, metadata_url: str) -> str:
        """The value of ``WWW-Authenticate``."""
        members = {
            "realm": "agents",
            "error": self.error,
            "error_description": _NOT_ALLOWED.sub("'", self.description) if self.error else None,
            "scope": self.scope,
            "resource_metadata": metadata_url,
        }
        return "Bearer " + ", ".join(
            f'{name}="{value}"' for name, value in members.items() if value is not None
        )

    def members(self) -> dict[str, str]:
        """The body of the response."""
        told = {"error": self.error, "error_description": self.description, "reason": self.reason}
        return {name: value for name, value in told.items() if value is not None}


def no_token() -> Refusal:
    """Nothing was presented: no error is told (RFC 6750 section 3.1)."""
    return Refusal(401, None, "no_token", "a bearer token is needed here")


def malformed(reason: str, description: str) -> Refusal:
    """The request cannot be understood."""
    return Refusal(400, "invalid_request", reason, description)


def invalid(reason: str, description: str) -> Refusal:
    """The token does not hold here."""
    return Refusal(401, "invalid_token", reason, description)


def insufficient(reason: str, description: str, scope: str | None) -> Refusal:
    """The token holds, but not for this."""
    return Refusal(403, "insufficient_scope", reason, description, scope=scope)


def step_up(reason: str, description: str) -> Refusal:
    """The token holds, but somebody has to vouch for its use first (RFC 9470 section 3)."""
    return Refusal(401, "insufficient_user_authentication", reason, description)


def unavailable(reason: str, description: str, retry_after: int = 1) -> Refusal:
    """Whether the token holds cannot be found out at present: never taken for a yes."""
    return Refusal(503, None, reason, description, retry_after=retry_after)
