"""Forged tokens: what an attacker makes of a good one, with keys of its own and, from inside, with the true one."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agentsim.server import SigningKey

Sign = Callable[[bytes], bytes]


@cache
def foreign() -> dict[str, SigningKey]:
    """Keys that no server has, by algorithm."""
    return {
        "EdDSA": SigningKey.generate("EdDSA"),
        "ES256": SigningKey.generate("ES256"),
        "RS256": SigningKey.generate("RS256"),
    }


def b64(value: bytes) -> str:
    """As JOSE writes bytes."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def opened(segment: str) -> dict[str, Any]:
    """What a segment holds."""
    return dict(json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))))


class Forge:
    """A good token, and what can be made of it.

    Parameters
    ----------
    good : the token.
    key : the one that signed it: attacks that take it are those of somebody inside.
    """

    def __init__(self, good: str, key: SigningKey) -> None:
        self.good, self.key = good, key
        self.head, self.body, self.tail = good.split(".")
        self.header, self.payload = opened(self.head), opened(self.body)

    def sign(self, header: Any, payload: Any, by: SigningKey | Sign | None = None) -> str:
        by = by or self.key
        signed = f"{b64(self.text(header))}.{b64(self.text(payload))}"
        signature = by(signed.encode()) if callable(by) else self.bare(by, signed.encode())
        return f"{signed}.{b64(signature)}"

    def text(self, part: Any) -> bytes:
        # As the server writes its headers, whose every byte counts.
        return (
            part
            if isinstance(part, bytes)
            else json.dumps(part, separators=(",", ":"), sort_keys=True).encode()
        )

    def bare(self, key: SigningKey, message: bytes) -> bytes:
        return bytes(
            jwt.PyJWS(algorithms=[key.alg]).get_algorithm_by_name(key.alg).sign(message, key.private)
        )

    def headed(self, **members: Any) -> str:
        """With another header and the signature of somebody else's key."""
        return self.sign(self.header | members, self.payload, foreign()["EdDSA"])

    def claiming(self, **claims: Any) -> str:
        """With other claims, signed with the true key."""
        return self.sign(self.header, self.payload | claims)

    def mac(self, secret: bytes, digest: str = "sha256") -> Sign:
        return lambda message: hmac.new(secret, message, digest).digest()

    @property
    def public_texts(self) -> dict[str, bytes]:
        """The public key, in each form in which somebody may have it."""
        public = self.key.public
        return {
            "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "JWK": json.dumps(self.key.public_jwk()).encode(),
            "x": str(self.key.public_jwk().get("x")).encode(),
            "kid": self.key.kid.encode(),
            "empty": b"",
        }
