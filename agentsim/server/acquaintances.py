"""Acquaintances: what the door knows of clients before anybody has looked into the database."""

from collections.abc import Mapping

from agentsim.server.batch import Row
from agentsim.server.credentials import matches, parse_client_name
from agentsim.server.parties import Client, Credentials

#: Clients that are remembered; beyond that the ones learned first are forgotten.
_MOST = 65_536
#: The class of those who come first.
PEOPLE = "human"


class Acquaintances:
    """The clients that have authenticated themselves lately, or whose tokens were good, as their rows were then."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, bytes | None, str]] = {}

    def learn(self, met: Mapping[int, Row]) -> None:
        """Remember clients that a committed batch has met."""
        for client_id, row in met.items():
            self._known[client_id] = (row["actor_class"], row["client_secret_hash"], row["role"])
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def actor_class(self, client_id: int) -> str | None:
        """The class that a client had; None where it is not known."""
        known = self._known.get(client_id)
        return None if known is None else known[0]

    def role(self, client_id: int) -> str | None:
        """The role of a client, which never changes; None where it is not known."""
        known = self._known.get(client_id)
        return None if known is None else known[2]

    def recognises(self, by: Credentials) -> bool:
        """Whether these are the credentials of a client that is remembered; the database decides, later, whether they still hold.

        The secret is looked at because a client_id is none: whoever names another's must not pass for it. Assertions
        cannot be checked here.
        """
        known = self._known.get(parse_client_name(by.client_id) or 0)
        return known is not None and isinstance(by, Client) and matches(by.client_secret, known[1])

    def is_person(self, by: Credentials) -> bool:
        """Whether these are, beyond that, the credentials of a person's client."""
        known = self._known.get(parse_client_name(by.client_id) or 0)
        return known is not None and known[0] == PEOPLE and self.recognises(by)
