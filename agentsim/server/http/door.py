"""The door: agents whose share is used up are refused here, before they cost a place in a batch and a row each.

It goes by the name that a request gives and charges nobody, so a wrong name gains nothing and costs its owner nothing.
Decisions alone charge; they are asked again for whoever is let in.
"""

from agentsim.server.acquaintances import PEOPLE
from agentsim.server.core import Server
from agentsim.server.credentials import parse_client_name
from agentsim.server.errors import TooManyRequests
from agentsim.server.http.metrics import count_limited
from agentsim.server.operations import Credentials


class Door:
    """Looks at who comes before anything is done for them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def admit_client(self, by: Credentials) -> None:
        """Let a client ask for a grant.

        Raises
        ------
        TooManyRequests
            If one of its buckets is empty at present.
        """
        client_id = parse_client_name(by.client_id)
        if client_id is not None:
            self._refuse(self._server.peek(client_id))

    def admit_token(self, token: str) -> bool:
        """Let a token be verified; whether it is a person's.

        Raises
        ------
        TooManyRequests
            If a bucket of the token's client, class or tree is empty at present.
        """
        claims = self._server.claims_of(token)
        if claims is None:
            return False
        self._refuse(self._server.peek(claims.client_id, claims.root_grant_id))
        return self._server.acquaintances.actor_class(claims.client_id) == PEOPLE

    @staticmethod
    def _refuse(refusal: TooManyRequests | None) -> None:
        if refusal is not None:
            count_limited(refusal)
            raise refusal
