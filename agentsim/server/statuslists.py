"""Token Status Lists (draft-ietf-oauth-status-list): one bit for each token, set once the fill has ended it."""

import base64
import zlib

from sqlalchemy import Connection, bindparam, select

from agentsim.server.schema import AuditChain, IssuedToken
from agentsim.server.statements import table
from agentsim.server.statusplaces import CHAIN_BITS, LIST_BITS, PLACES

_TOKENS, _CHAINS = table(IssuedToken), table(AuditChain)
_ENDED = select(_TOKENS.c.status_index).where(
    _TOKENS.c.is_revoked,
    _TOKENS.c.status_index.is_not(None),
    _TOKENS.c.status_index >= bindparam("first"),
    _TOKENS.c.status_index < bindparam("end"),
)


def read_list(connection: Connection, number: int) -> bytes | None:
    """The bits of a list, the lowest of each byte first (draft section 4.1); None where there is no such list."""
    chain, first = number >> (CHAIN_BITS - LIST_BITS), number << LIST_BITS
    head = connection.execute(select(_CHAINS.c.length).where(_CHAINS.c.chain == chain)).scalar()
    if head is None or chain << CHAIN_BITS | head < first:
        return None
    bits = bytearray(PLACES // 8)
    for index in connection.execute(_ENDED, {"first": first, "end": first + PLACES}).scalars():
        place = index - first
        bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)


def encode_list(bits: bytes) -> str:
    """A list as it is sent: DEFLATE in the zlib format, base64url without padding."""
    return base64.urlsafe_b64encode(zlib.compress(bits, 9)).rstrip(b"=").decode()


def decode_list(text: str, most: int = PLACES // 8) -> bytes:
    """The inverse of :func:`encode_list`; never more than ``most`` bytes, however well something packs.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unpacker = zlib.decompressobj()
        bits = unpacker.decompress(packed, most)
    except (ValueError, zlib.error) as fault:
        raise ValueError(f"not a status list: {fault}") from None
    if not unpacker.eof:
        raise ValueError("not a status list: it is too long, or cut off")
    return bits


def is_set(bits: bytes, place: int) -> bool:
    """Whether a token has been ended, as a list has it. Raises IndexError for a place that the list does not have."""
    return bool(bits[place >> 3] >> (place & 7) & 1)
