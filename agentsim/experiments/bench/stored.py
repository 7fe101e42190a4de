"""After a benchmark: whether the database holds what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jwt
from sqlalchemy import Connection, func, select

from agentsim.server import Store
from agentsim.server.credentials import digest
from agentsim.server.schema import AuditRow, IssuedToken


class Newest(NamedTuple):
    """The largest ids in a database: what has larger ones came later."""

    token_id: int
    log_id: int


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What was answered, and what of it was found.

    Attributes
    ----------
    answered : grants that were answered with status 200, warm-ups included.
    tokens, audit_rows : rows that came with them.
    sampled, found : tokens that were kept from the answers, and those whose hash their row holds.
    """

    answered: int
    tokens: int
    audit_rows: int
    sampled: int
    found: int

    @property
    def complete(self) -> bool:
        """Whether nothing that was answered is missing. There may be more rows: others may use the database."""
        return min(self.tokens, self.audit_rows) >= self.answered and self.found == self.sampled


def newest_rows(database: str) -> Newest:
    """The largest ids that are in a database now."""
    store = Store(database)
    try:
        with store.transaction() as connection:
            token_id = connection.execute(select(func.max(IssuedToken.token_id))).scalar_one()
            log_id = connection.execute(select(func.max(AuditRow.log_id))).scalar_one()
    finally:
        store.close()
    return Newest(token_id or 0, log_id or 0)


def look_up(database: str, before: Newest, answered: int, tokens: Sequence[str]) -> Stored:
    """Look for what was answered.

    Parameters
    ----------
    database : URL; nobody needs to serve it any more.
    before : what was there before.
    answered : how many grants were answered since.
    tokens : some of their access tokens.
    """
    store = Store(database)
    try:
        with store.transaction() as connection:
            rows = select(func.count()).where(IssuedToken.token_id > before.token_id)
            audit = select(func.count()).where(
                AuditRow.log_id > before.log_id,
                AuditRow.event_type == "token_issued",
                AuditRow.status == "granted",
            )
            return Stored(
                answered=answered,
                tokens=connection.execute(rows).scalar_one(),
                audit_rows=connection.execute(audit).scalar_one(),
                sampled=len(tokens),
                found=sum(_is_stored(connection, token) for token in tokens),
            )
    finally:
        store.close()


def _is_stored(connection: Connection, token: str) -> bool:
    # Its number leads to its row; that the row is this very token's is told by the hash.
    number = int(jwt.decode(token, options={"verify_signature": False})["jti"])
    row_hash = select(IssuedToken.access_token_hash).where(IssuedToken.token_id == number)
    return connection.execute(row_hash).scalar_one_or_none() == digest(token)
