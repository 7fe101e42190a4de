"""Client assertions: agents that authenticate with a key of their own (RFC 7523, ``private_key_jwt``).

The client signs a short-lived JWT that names itself twice, this server as audience, and an id that is used once.
No clock is asked here, and whether an id has been used before is the caller's to know: it gets a key for that.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

import jwt
import orjson
from jwt.algorithms import OKPAlgorithm

from agentsim.server.clientkeys import ClientKey, parse_jwks
from agentsim.server.clock import SECOND
from agentsim.server.errors import InvalidClient
from agentsim.server.segments import is_compact

#: The longest assertion that is looked at and the longest ``jti``, in characters.
LONGEST_ASSERTION = 8_192
LONGEST_JTI = 256
#: How far a client's clock may be ahead of ours, and how far ahead ``exp`` may be: libraries sign for an hour where
#: they are not told otherwise.
LEEWAY = 60 * SECOND
LONGEST_LIFE = 3600 * SECOND + LEEWAY
#: JWTs of other kinds say so and are not taken for assertions (RFC 8725 section 3.11).
_TYPES = (None, "jwt", "client-authentication+jwt")
#: By what a header may say: the algorithm that a key is pinned to. RFC 9864 renames EdDSA with Ed25519.
_ALGORITHMS = {"EdDSA": "EdDSA", "Ed25519": "EdDSA", "ES256": "ES256", "RS256": "RS256"}

_JWS = jwt.PyJWS(algorithms=["EdDSA", "ES256", "RS256"])
_JWS.register_algorithm("Ed25519", OKPAlgorithm())


@dataclass(frozen=True, slots=True)
class Peek:
    """What an assertion says, believed by nobody yet: enough to load what it is checked against."""

    client_id: str
    jti: str

    @property
    def key(self) -> bytes:
        """What a used assertion is remembered by."""
        return _key(self.client_id, self.jti)


@dataclass(frozen=True, slots=True)
class CheckedAssertion:
    """An assertion that holds. ``key`` must be remembered until ``expires_at_us`` and not be accepted again."""

    client_id: str
    key: bytes
    expires_at_us: int


def peek(assertion: str) -> Peek | None:
    """The client and id that an assertion names, unverified; None where it is none."""
    if len(assertion) > LONGEST_ASSERTION:
        return None
    try:
        payload = _read(_JWS.decode(assertion, options={"verify_signature": False}))
    except (InvalidClient, jwt.PyJWTError, ValueError):
        return None
    client_id, jti = payload.get("iss"), payload.get("jti")
    if not isinstance(client_id, str) or client_id != payload.get("sub") or not _is_id(jti):
        return None
    return Peek(client_id, jti)


def check(
    assertion: str, jwks_text: str, client_id: str, audiences: tuple[str, ...], now_us: int
) -> CheckedAssertion:
    """Check a client assertion against the client's registered keys.

    Parameters
    ----------
    jwks_text : what :func:`agentsim.server.clientkeys.check_jwks` made of the keys at registration.
    audiences : names of this server: ``aud`` must hold one of them.

    Raises
    ------
    InvalidClient
        Reason ``assertion_invalid``, with what is wrong.
    """
    if len(assertion) > LONGEST_ASSERTION:
        raise _refused("it is too long")
    if not is_compact(assertion):
        raise _refused("it is not a signed JWT")
    payload = _read(_verified(assertion, jwks_text))
    if payload.get("iss") != client_id or payload.get("sub") != client_id:
        raise _refused("iss and sub must both be the client_id")
    aud = payload.get("aud")
    if not any(name in audiences for name in (aud if isinstance(aud, list) else [aud])):
        raise _refused("aud must name this server")
    expires_at = _check_times(payload, now_us)
    if not _is_id(payload.get("jti")):
        raise _refused(f"jti must be a text of 1 to {LONGEST_JTI} characters")
    return CheckedAssertion(client_id, _key(client_id, payload["jti"]), expires_at)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        claims = orjson.loads(payload)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise _refused("its payload is no JSON object")
    return claims


def _verified(assertion: str, jwks_text: str) -> bytes:
    """The payload, once the signature has been checked with the registered key that the header leads to."""
    try:
        header = _JWS.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError):
        raise _refused("it is not a signed JWT") from None
    named, typ = header.get("alg"), header.get("typ")
    if not isinstance(named, str) or named not in _ALGORITHMS:
        raise _refused("alg must be EdDSA, ES256 or RS256")
    if (typ.lower() if isinstance(typ, str) else typ) not in _TYPES:
        raise _refused("typ is that of another kind of token")
    if "crit" in header or "b64" in header:
        raise _refused("its header asks for extensions that are not understood")
    key = _key_for(_ALGORITHMS[named], header.get("kid"), jwks_text)
    try:
        payload: bytes = _JWS.decode(assertion, key.verifying.public, algorithms=[named])
    except jwt.PyJWTError:
        raise _refused("the signature does not verify") from None
    return payload


def _key_for(alg: str, kid: str | None, jwks_text: str) -> ClientKey:
    """The registered key that is named or, where none is, the only one for this algorithm."""
    try:
        keys = _parsed(jwks_text)
    except ValueError:
        raise _refused("the registered keys cannot be read") from None
    fitting = [key for key in keys if key.verifying.alg == alg and kid in (None, key.kid)]
    if not fitting:
        raise _refused("no registered key has this kid and alg")
    if len(fitting) > 1:
        raise _refused("several registered keys have this alg: name one with kid")
    return fitting[0]


def _check_times(payload: dict[str, Any], now_us: int) -> int:
    """When the assertion expires, in microseconds; its times are sane."""
    times = {name: _moment(payload, name) for name in ("exp", "nbf", "iat")}
    expires_at = times["exp"]
    if expires_at is None:
        raise _refused("exp is missing")
    if expires_at <= now_us:
        raise _refused("it has expired")
    if expires_at > now_us + LONGEST_LIFE:
        raise _refused(f"exp is more than {LONGEST_LIFE // SECOND} seconds ahead")
    for name in ("nbf", "iat"):
        begins = times[name]
        if begins is not None and begins > min(now_us + LEEWAY, expires_at):
            raise _refused(f"{name} is in the future")
    return expires_at


def _moment(payload: dict[str, Any], name: str) -> int | None:
    """A NumericDate (RFC 7519 section 2) in microseconds, rounded down."""
    seconds = payload.get(name)
    if seconds is None:
        return None
    # JSON knows one kind of number; booleans are none, and what is beyond any date would not fit.
    if type(seconds) not in (int, float) or not 0 <= seconds < 1e12:
        raise _refused(f"{name} is no date")
    return math.floor(float(seconds) * SECOND)


def _is_id(jti: object) -> TypeGuard[str]:
    return isinstance(jti, str) and 0 < len(jti) <= LONGEST_JTI


def _key(client_id: str, jti: str) -> bytes:
    # The length before the words: no two different pairs read the same.
    return hashlib.sha256(f"{len(client_id)}:{client_id}{jti}".encode()).digest()


def _refused(why: str) -> InvalidClient:
    return InvalidClient("assertion_invalid", f"the client assertion does not hold: {why}")


_parsed = lru_cache(4_096)(parse_jwks)
