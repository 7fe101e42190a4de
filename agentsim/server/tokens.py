"""Access tokens: JWTs after RFC 9068 (:mod:`agentsim.server.claims`), signed by the key ring's current key.

PyJWT makes and checks the signature; what header and claims must say is checked here, and no clock is asked:
every expiry is the caller's to decide.
"""

from functools import lru_cache, partial
from typing import Any

import jwt
import orjson
from jwt.utils import base64url_encode

from agentsim.server.claims import Claims, read_claims, write_claims
from agentsim.server.errors import InvalidToken
from agentsim.server.keyring import KeyRing, Keys
from agentsim.server.keys import ALGORITHMS, VerifyingKey
from agentsim.server.segments import decode_segment

TYPE = "at+jwt"
#: Longest token that is looked at, in characters.
LONGEST_TOKEN = 16_384
#: How many checked tokens are remembered, at one to three kilobytes each. A remembered signature is still one that was
#: checked; expiry, marks and context are decided anew each time.
_REMEMBERED = 4_096


class TokenCodec:
    """Signs claims and reads them back.

    Parameters
    ----------
    issuer : ``iss`` of every token.
    audiences : whom tokens may be for; the first is whom they are for unless their claims say otherwise.
    keyring : the keys. Once they are others, new tokens bear the new key and old ones are checked anew.
    """

    def __init__(self, issuer: str, audiences: tuple[str, ...], keyring: KeyRing) -> None:
        self._issuer = issuer
        self._audiences = audiences
        self._known = frozenset(audiences)
        self._keyring = keyring
        self._jws = jwt.PyJWS(algorithms=list(ALGORITHMS))
        self._view = _View(self, keyring.keys)

    def encode(self, claims: Claims) -> str:
        """The signed token."""
        view = self._current()
        audience = claims.audience or self._audiences[:1]
        return view.sign(orjson.dumps(write_claims(claims, self._issuer, audience)))

    def decode(self, token: str) -> Claims:
        """Check the signature and the form of a token and return its claims.

        Raises
        ------
        InvalidToken
            Reason ``token_malformed`` or ``bad_signature``.
        """
        return self._current().decode(token)

    def algorithm(self, alg: str) -> jwt.algorithms.Algorithm:
        """What signs with this algorithm."""
        return self._jws.get_algorithm_by_name(alg)

    def _current(self) -> "_View":
        view = self._view
        if view.keys is not self._keyring.keys:
            view = self._view = _View(self, self._keyring.keys)
        return view

    def _decode(self, view: "_View", token: str) -> Claims:
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken("token_malformed", "the token is too long")
        key, keep_until = self._key_of(view, token)
        payload = self._open(key, token)
        # The signature is ours, so the form is too, unless the key is shared with something else.
        try:
            claims = self._read(orjson.loads(payload))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InvalidToken("token_malformed", "the claims are not those of an access token") from None
        if keep_until is not None and claims.expires_at > keep_until:
            raise InvalidToken("token_malformed", "its key was retired before it can have signed this")
        return claims

    def _open(self, key: VerifyingKey, token: str) -> bytes:
        """The payload of a JWS compact serialisation whose header is known to be this key's (RFC 7515 section 5.2).

        PyJWT's own ``decode`` looks at each character of a token in Python, which takes longer than the signature. The
        check and the decoding are PyJWT's here, too; only what is written as they would write it again is let
        through, so a token has one spelling.
        """
        signed, _, signature_text = token.rpartition(".")
        payload_text = signed.partition(".")[2]
        try:
            payload, signature = decode_segment(payload_text), decode_segment(signature_text)
        except ValueError:
            raise InvalidToken("token_malformed", "this is not a token of this server") from None
        if not self.algorithm(key.alg).verify(signed.encode(), key.public, signature):
            raise InvalidToken("bad_signature", "the signature does not verify")
        return payload

    def _key_of(self, view: "_View", token: str) -> tuple[VerifyingKey, int | None]:
        """The key that must have signed a token, and when the last of its tokens has expired.

        All tokens of a key begin with the same text. What begins otherwise is none of ours, whatever algorithm,
        type, extension or key its header names: nothing is ever taken from there.
        """
        header, _, _ = token.partition(".")
        found = view.by_header.get(header)
        if found is None and self._keyring.reload():
            found = self._current().by_header.get(header)
        if found is None:
            raise InvalidToken(
                "token_malformed", "the token's header is not that of an access token of this server"
            )
        return found

    def _read(self, payload: dict[str, Any]) -> Claims:
        claims = read_claims(payload)
        if payload["iss"] != self._issuer or not self._known.issuperset(claims.audience):
            raise InvalidToken(
                "token_malformed", "the token is not an access token of this issuer and audience"
            )
        return claims


class _View:
    """What the codec makes of the keys at one moment, and what it remembers while they are these."""

    def __init__(self, codec: TokenCodec, keys: Keys) -> None:
        self.keys = keys
        self.key = keys.signing
        self._header = _header(self.key).encode()
        self._algorithm = codec.algorithm(self.key.alg)
        self.by_header: dict[str, tuple[VerifyingKey, int | None]] = {
            _header(retired.key): (retired.key, retired.keep_until) for retired in keys.retired
        }
        self.by_header[_header(self.key)] = (self.key, None)
        # A failed check raises and is not remembered: junk cannot push good tokens out.
        self.decode = lru_cache(_REMEMBERED)(partial(codec._decode, self))

    def sign(self, payload: bytes) -> str:
        """The JWS compact serialisation (RFC 7515 section 3.1), as PyJWT's own ``encode`` makes it.

        That one writes and checks the header anew for each token, which costs as much as the signature; here it is
        the same text for all tokens of a key. Signature and encoding are PyJWT's.
        """
        signed = self._header + b"." + base64url_encode(payload)
        signature = self._algorithm.sign(signed, self.key.private)
        return (signed + b"." + base64url_encode(signature)).decode()


def _header(key: VerifyingKey) -> str:
    """The first segment of each token of a key, as PyJWT writes it."""
    members = {"typ": TYPE, "kid": key.kid, "alg": key.alg}
    return base64url_encode(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).decode()
