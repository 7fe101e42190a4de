"""Who asks the server: an administrator, an agent with its credentials, a person, the holder of a registration."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Admin:
    """The administrator or organisation that asks, already authenticated by whoever built this value."""

    owner: str
    #: Whether it may act for every owner: the administrator of the server rather than of one organisation.
    everywhere: bool = False


@dataclass(slots=True)
class Client:
    """An agent that authenticates itself with its own credentials (RFC 6749 section 2.3.1)."""

    client_id: str
    client_secret: str = field(repr=False)
    #: The owner that it must have, where its request came with others of one owner.
    owner: str | None = None


@dataclass(slots=True)
class ClientAssertion:
    """An agent that authenticates itself with a JWT signed by its own key (RFC 7523 section 2.2)."""

    client_id: str
    assertion: str = field(repr=False)
    owner: str | None = None


@dataclass(slots=True)
class Person:
    """Somebody who has signed in, already authenticated by whoever built this value."""

    account: str
    #: The organisation that the person belongs to.
    owner: str


@dataclass(slots=True)
class RegistrationAccess:
    """Whoever holds an agent's registration access token (RFC 7592 section 3)."""

    token: str = field(repr=False)


#: How an agent authenticates itself.
Credentials = Client | ClientAssertion
