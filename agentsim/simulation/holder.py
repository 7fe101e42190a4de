"""What an agent holds while a simulation runs."""

from dataclasses import dataclass

from agentsim.server import Client, TokenGrant


@dataclass(slots=True)
class Holder:
    """An agent's credentials and tokens at the moment. A stopped agent asks for nothing any more."""

    client: Client
    registration_token: str
    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: int = 0
    #: Since when it holds its token, and the one that it held before.
    held_since: int = 0
    earlier_token: str | None = None
    #: How often it has asked for a grant.
    attempts: int = 0
    stopped: bool = False
    #: How often in a row it has been told to come again later.
    limited: int = 0
    #: The call that was let through last and whose outcome is still to be reported.
    open_call: int = -1

    def hold(self, grant: TokenGrant, now: int) -> None:
        """Take new tokens."""
        self.earlier_token, self.held_since = self.access_token, now
        self.access_token, self.refresh_token = grant.access_token, grant.refresh_token
        self.expires_at = grant.expires_at

    def token_at(self, moment: int) -> str | None:
        """What others could have of it then: rounds of one window may have gone on to a later token."""
        return self.access_token if moment >= self.held_since else self.earlier_token
