"""The administrator's token: told once, kept as a digest."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from agentsim.server.clock import Clock
from agentsim.server.credentials import SystemSecrets, digest
from agentsim.server.schema import Administrator
from agentsim.server.store import ConflictError, Store, table

#: The name of the one administrator that a server makes for itself.
NAME = "admin"
_ADMINISTRATORS = table(Administrator)


def stored_token_hash(store: Store) -> bytes | None:
    """The digest of the administrator's token, where one has been made."""
    query = select(_ADMINISTRATORS.c.token_hash).where(_ADMINISTRATORS.c.name == NAME)
    with store.reading() as connection:
        found: bytes | None = connection.execute(query).scalar()
    return found


def make_token(store: Store, clock: Clock) -> str:
    """Make the administrator's token, keep its digest, and return it: it is told here and never again.

    Raises
    ------
    ConflictError
        If there is one already: another process may have been faster.
    """
    token = SystemSecrets().new()
    row = {"name": NAME, "token_hash": digest(token), "created_at": clock.now()}
    try:
        with store.transaction() as connection:
            connection.execute(_ADMINISTRATORS.insert(), row)
    except IntegrityError as error:
        raise ConflictError("the administrator has a token already") from error
    return token
