"""Throttling: who has asked too often is refused before anything is looked at or changed.

Whoever has not authenticated is charged for nothing, and so is a token that no longer holds: with a guessed client_id or
with an old token anybody could use up another's share.
"""

from __future__ import annotations

from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.clock import SECOND
from agentsim.server.errors import TooManyRequests
from agentsim.server.limits import Shortage

_WHOSE = {
    "client": "the client",
    "tree": "the tree of delegation that the token belongs to",
    "class": "all clients of this class together",
}


def charge(batch: Batch, entry: Entry, client_id: int, agent: Row | None, tree: int | None = None) -> None:
    """Take one request out of the buckets of a client, of its class and of a tree.

    Parameters
    ----------
    entry : the audit row of the request; it will name the bucket that is empty.
    agent : the client's row; None where it is not loaded, and then no class is charged.
    tree : the root grant of the tree; None where there is none yet.

    Raises
    ------
    TooManyRequests
        ``rate_limited``: one of them is empty, and none has been charged.
    """
    actor_class = None if agent is None else agent["actor_class"]
    short = batch.buckets.charge(entry.timestamp, client_id, actor_class, tree)
    if short is not None:
        entry.details["bucket"] = short.bucket
        raise too_many(short, actor_class)


def too_many(short: Shortage, actor_class: str | None) -> TooManyRequests:
    """The refusal for want of room in a bucket."""
    limit = short.limit
    return TooManyRequests(
        "rate_limited",
        f"{_WHOSE[short.bucket]} may not ask as often as this",
        retry_after=-(-short.wait_us // SECOND),
        bucket=short.bucket,
        actor_class=actor_class,
        allowed={"bucket": short.bucket, "per_second": limit.per_second, "burst": limit.burst},
    )
