"""Callers: who asks about a token, and whether it is theirs to ask about.

An administrator may ask about the tokens of its organisation, an agent about those of its owner (resource servers are
registered like agents) and about those in whose lineage it stands, which may be another owner's.
"""

from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.checks import authenticate
from agentsim.server.claims import Claims
from agentsim.server.credentials import writable_name
from agentsim.server.errors import AccessDenied
from agentsim.server.parties import Admin, Credentials


def identify(batch: Batch, by: Admin | Credentials | None, entry: Entry) -> Row | None:
    """The agent that asks, authenticated; None for an administrator and for who runs the server.

    Raises
    ------
    InvalidClient, UnauthorizedClient
        As :func:`agentsim.server.checks.authenticate`.
    """
    if by is None:
        return None
    if isinstance(by, Admin):
        entry.details["by"] = by.owner[:80]
        return None
    entry.details["by"] = writable_name(by.client_id)
    agent = authenticate(batch, by, entry)
    # The row is about the token's agent; who asked stands in the details.
    entry.client_id = None
    return agent


def is_in_lineage(caller: Row | None, claims: Claims) -> bool:
    """Whether the token was issued to the caller, or below a grant of the caller's."""
    return caller is not None and caller["client_id"] in (client for _, client, _ in claims.lineage)


def check_concerned(caller: Row | None, by: Admin | Credentials | None, claims: Claims) -> None:
    """Refuse callers whom a token does not concern.

    Raises
    ------
    AccessDenied
        ``not_entitled``.
    """
    if by is None:
        return
    if isinstance(by, Admin):
        concerned = by.everywhere or by.owner == claims.owner
    else:
        concerned = caller is not None and (caller["owner"] == claims.owner or is_in_lineage(caller, claims))
    if not concerned:
        raise AccessDenied("not_entitled", "the token is not yours to ask about")
