"""The public keys that a client registers (RFC 7591 ``jwks``), to authenticate with assertions."""

from dataclasses import dataclass

import orjson

from agentsim.server.keys import PRIVATE_MEMBERS, VerifyingKey

MOST_KEYS = 10
#: The longest key set, and the longest name of a key, in characters.
LONGEST_JWKS = 16_384
LONGEST_KID = 256


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A client's public key, by the name that the client gave it, or else by its thumbprint."""

    kid: str
    verifying: VerifyingKey


def check_jwks(text: str) -> str:
    """Check a client's JWK set and return its canonical JSON: what makes the keys, and nothing else of it.

    Raises
    ------
    ValueError
        In plain words.
    """
    jwks = [{**key.verifying.public_jwk(), "kid": key.kid} for key in parse_jwks(text)]
    return orjson.dumps({"keys": jwks}, option=orjson.OPT_SORT_KEYS).decode()


def parse_jwks(text: str) -> tuple[ClientKey, ...]:
    """The keys of a JWK set (RFC 7517 section 5).

    Raises
    ------
    ValueError
        In plain words, naming the key by its place.
    """
    if len(text) > LONGEST_JWKS:
        raise ValueError(f"longer than {LONGEST_JWKS} characters")
    try:
        jwks = orjson.loads(text)
    except ValueError:
        raise ValueError("no JSON") from None
    members = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(members, list) or not 1 <= len(members) <= MOST_KEYS:
        raise ValueError(f'must be an object with "keys", a list of 1 to {MOST_KEYS} keys')
    keys = tuple(_client_key(place, jwk) for place, jwk in enumerate(members))
    if len({key.kid for key in keys}) != len(keys):
        raise ValueError("two keys have the same kid")
    return keys


def _client_key(place: int, jwk: object) -> ClientKey:
    where = f"keys[{place}]: "
    if not isinstance(jwk, dict):
        raise ValueError(f"{where}no object")
    if PRIVATE_MEMBERS & jwk.keys():
        raise ValueError(f"{where}holds a private or shared secret; register the public key alone")
    uses = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        raise ValueError(f"{where}is not for signatures")
    try:
        verifying = VerifyingKey.from_jwk(jwk)
    except ValueError as exc:
        raise ValueError(f"{where}{exc}") from None
    kid = jwk.get("kid", verifying.kid)
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise ValueError(f"{where}kid must be a text of 1 to {LONGEST_KID} characters")
    return ClientKey(kid, verifying)
