"""Checkpoints of the audit trail: heads of its chains, signed now and then.

A hash chain alone can be made anew by whoever may write to the database. A signed head cannot: it proves every row up to
its own. It is a JWS with a type of its own, so nobody takes it for a token; its header holds the public key, so that
it can be read when the key has long been retired. Whether that key is to be believed, the reader decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from sqlalchemy import Row, bindparam, func, select, update

from agentsim.server.audit import Head
from agentsim.server.clock import SECOND, Clock
from agentsim.server.keyring import KeyRing
from agentsim.server.keys import ALGORITHMS, SigningKey, VerifyingKey
from agentsim.server.statements import CHAINS, CHECKPOINTS
from agentsim.server.store import Store

TYPE = "audit-checkpoint+jws"
#: A server signs its own chain's head after so many further rows, or so long after the last time.
MOST_ROWS, PERIOD_US = 10_000, 60 * SECOND
#: The head of another writer's chain only when that one has not done so for long: it may have ended.
OTHERS_US = 5 * PERIOD_US
_LONGEST = 8_192
_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))

_newest = (
    select(CHECKPOINTS.c.chain, func.max(CHECKPOINTS.c.length).label("length"))
    .group_by(CHECKPOINTS.c.chain)
    .subquery()
)
_NEWEST = select(CHECKPOINTS).join(
    _newest, (CHECKPOINTS.c.chain == _newest.c.chain) & (CHECKPOINTS.c.length == _newest.c.length)
)
#: On the condition that nobody has signed it anew meanwhile.
RENEW = (
    update(CHECKPOINTS)
    .where(CHECKPOINTS.c.chain == bindparam("of"), CHECKPOINTS.c.length == bindparam("at_length"))
    .where(CHECKPOINTS.c.jws == bindparam("before"))
    .values(
        signed_at=bindparam("now"), kid=bindparam("by"), truncated=bindparam("cut"), jws=bindparam("text")
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is signed of a chain's head.

    Attributes
    ----------
    log_id, row_hash, length : the newest row, and how many rows there were.
    signed_at : microseconds.
    truncated : whether the rows up to this one have been removed on purpose: what is left begins after it.
    """

    issuer: str
    chain: int
    log_id: int
    row_hash: bytes
    length: int
    signed_at: int
    truncated: bool = False


def of_head(head: Head, issuer: str, now: int, *, truncated: bool = False) -> Checkpoint:
    """The checkpoint of a chain's head at this moment."""
    return Checkpoint(
        issuer=issuer,
        chain=head.chain,
        log_id=head.log_id,
        row_hash=head.row_hash,
        length=head.length,
        signed_at=now,
        truncated=truncated,
    )


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    """A checkpoint as a JWS in compact serialisation (RFC 7515). Ids and times are text: JSON's numbers are too short."""
    payload = {
        "iss": checkpoint.issuer,
        "chain": checkpoint.chain,
        "log_id": str(checkpoint.log_id),
        "row_hash": checkpoint.row_hash.hex(),
        "length": checkpoint.length,
        "signed_at": str(checkpoint.signed_at),
        "truncated": checkpoint.truncated,
    }
    header = {"typ": TYPE, "kid": key.kid, "jwk": key.public_jwk()}
    return _JWS.encode(orjson.dumps(payload), key.private, key.alg, header)


def read(jws: str) -> tuple[Checkpoint, VerifyingKey]:
    """A checkpoint and the key that signed it, which its own header names: whether to believe that one is not decided here.

    Raises
    ------
    ValueError
        If this is no checkpoint, or not signed by the key that it names.
    """
    if len(jws) > _LONGEST:
        raise ValueError("no checkpoint: too long")
    try:
        header = _JWS.get_unverified_header(jws)
        if header.get("typ") != TYPE or "crit" in header or not isinstance(header.get("jwk"), dict):
            raise ValueError("not the header of a checkpoint")
        key = VerifyingKey.from_jwk(header["jwk"])
        if header.get("kid") != key.kid:
            raise ValueError("kid is not the key's thumbprint")
        payload = orjson.loads(_JWS.decode(jws, key.public, algorithms=[key.alg]))
        return _parsed(payload), key
    except (jwt.PyJWTError, ValueError, KeyError, TypeError) as fault:
        raise ValueError(f"no checkpoint: {fault}") from None


def _parsed(payload: dict[str, Any]) -> Checkpoint:
    numbers = {name: payload[name] for name in ("chain", "length")}
    texts = {name: payload[name] for name in ("log_id", "signed_at")}
    if any(type(number) is not int for number in numbers.values()):
        raise ValueError("chain and length are whole numbers")
    if not all(isinstance(text, str) and text.isdecimal() and len(text) < 20 for text in texts.values()):
        raise ValueError("log_id and signed_at are whole numbers as text")
    if not isinstance(payload["iss"], str) or not isinstance(payload["truncated"], bool):
        raise ValueError("iss is a text, truncated a truth value")
    return Checkpoint(
        issuer=payload["iss"],
        row_hash=bytes.fromhex(payload["row_hash"]),
        truncated=payload["truncated"],
        **numbers,
        **{name: int(text) for name, text in texts.items()},
    )


class Notary:
    """Signs the heads of all chains of one database, beside the writer. Several workers may each have one.

    Parameters
    ----------
    chain : the chain of the server that this one belongs to.
    """

    def __init__(self, store: Store, keyring: KeyRing, issuer: str, clock: Clock, chain: int) -> None:
        self._store = store
        self._keyring = keyring
        self._issuer = issuer
        self._clock = clock
        self._chain = chain

    def step(self, own: Head, *, closing: bool = False) -> int:
        """Sign what is due; returns how many heads that were.

        Parameters
        ----------
        own : the head of the server's own chain as the server knows it, which nobody else can have changed.
        closing : whether the server ends: then its head is due whenever it has moved.

        Raises
        ------
        ConflictError, SQLAlchemyError
            If the database is away, or another worker stood in the way: the next step does it.
        """
        now = self._clock.now()
        with self._store.reading() as connection:
            heads = [Head(*row) for row in connection.execute(_HEADS)]
            newest = {row.chain: row for row in connection.execute(_NEWEST)}
        # In the order of chains, so that two workers never wait for each other.
        heads = sorted(
            [own, *(head for head in heads if head.chain != self._chain)], key=lambda head: head.chain
        )
        keys = self._keyring.keys
        made: list[dict[str, Any]] = []
        renewed: list[dict[str, Any]] = []
        for head in heads:
            last = newest.get(head.chain)
            if self._is_due(head, last, now, closing=closing):
                made.append(as_row(of_head(head, self._issuer, now), keys.signing))
            elif last is not None and last.kid != keys.signing.kid:
                renewed += self._renewed(last, now)
        if made or renewed:
            # Lost with what it signs, if at all: commits are in order.
            with self._store.transaction(hurried=True) as connection:
                self._store.put_checkpoints(connection, made)
                for row in renewed:
                    connection.execute(RENEW, row)
        return len(made) + len(renewed)

    def _is_due(self, head: Head, last: Row[Any] | None, now: int, *, closing: bool) -> bool:
        if head.length <= (0 if last is None else last.length):
            return False
        if last is None:
            return True
        if head.chain != self._chain:
            return bool(now - last.signed_at >= OTHERS_US)
        return bool(closing or head.length - last.length >= MOST_ROWS or now - last.signed_at >= PERIOD_US)

    def _renewed(self, last: Row[Any], now: int) -> Iterable[dict[str, Any]]:
        """A head that a retired key has signed, signed by the present one, while it is still known whose that was."""
        keys = self._keyring.keys
        try:
            found, key = read(last.jws)
        except ValueError:
            return
        if key.kid not in {retired.key.kid for retired in keys.retired}:
            return
        head = Head(found.chain, found.log_id, found.row_hash, found.length)
        row = as_row(of_head(head, self._issuer, now, truncated=found.truncated), keys.signing)
        yield renewal(last.jws, row)


_HEADS = select(CHAINS.c.chain, CHAINS.c.log_id, CHAINS.c.row_hash, CHAINS.c.length)


def renewal(before: str, row: dict[str, Any]) -> dict[str, Any]:
    """What lets a checkpoint's row say something else."""
    return {
        "of": row["chain"],
        "at_length": row["length"],
        "before": before,
        "now": row["signed_at"],
        "by": row["kid"],
        "cut": row["truncated"],
        "text": row["jws"],
    }


def as_row(checkpoint: Checkpoint, key: SigningKey) -> dict[str, Any]:
    """A checkpoint's row, signed by a key."""
    return {
        "chain": checkpoint.chain,
        "length": checkpoint.length,
        "log_id": checkpoint.log_id,
        "row_hash": checkpoint.row_hash,
        "signed_at": checkpoint.signed_at,
        "kid": key.kid,
        "truncated": checkpoint.truncated,
        "jws": sign(checkpoint, key),
    }
