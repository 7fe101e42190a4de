"""Keys for signatures: Ed25519, ES256 and RS256, parsed once and handed to PyJWT as objects.

The algorithm is pinned to the key, never taken from a token's header (RFC 8725 section 3.1); ``kid`` is the key's
own thumbprint (RFC 7638), so it can neither be chosen nor collide.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Algorithm = Literal["EdDSA", "ES256", "RS256"]
#: What keys can sign with; the first is the default.
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

#: By key type and curve: the one algorithm that such a key is for (RFC 7518, RFC 8037).
_ALGORITHM_OF: dict[tuple[object, object], Algorithm] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
_TO_JWK: dict[Algorithm, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}
#: Members that make the public key, and with that its thumbprint (RFC 7638 section 3.2).
_PUBLIC: dict[Algorithm, tuple[str, ...]] = {
    "EdDSA": ("crv", "kty", "x"),
    "ES256": ("crv", "kty", "x", "y"),
    "RS256": ("e", "kty", "n"),
}
#: Members that make a key private or are a shared secret (RFC 7518 section 6).
PRIVATE_MEMBERS = frozenset("d p q dp dq qi oth k".split())
_RSA_BITS = range(2048, 8193)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, the one algorithm that it verifies and its thumbprint."""

    kid: str
    alg: Algorithm
    public: PublicKey

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "VerifyingKey":
        """The public key of a JWK (RFC 7517); of a private one, its public half.

        Raises
        ------
        ValueError
            In plain words, without the key's material.
        """
        alg = _algorithm_of(jwk)
        return _verifying(alg, _parse(alg, {name: jwk.get(name) for name in _PUBLIC[alg]}))

    def public_jwk(self) -> dict[str, str]:
        """The public key as it is served: ``kty`` and what makes the key, ``kid``, ``use`` and ``alg``."""
        members = _public_members(self.alg, self.public)
        return {**members, "kid": self.kid, "use": "sig", "alg": self.alg}


@dataclass(frozen=True, slots=True)
class SigningKey(VerifyingKey):
    """One key pair. ``simulated`` keys come from a seed."""

    private: PrivateKey
    simulated: bool = False

    @classmethod
    def generate(cls, alg: Algorithm = "EdDSA") -> "SigningKey":
        """A new random key."""
        match alg:
            case "EdDSA":
                return cls._of(alg, Ed25519PrivateKey.generate(), simulated=False)
            case "ES256":
                return cls._of(alg, generate_private_key(SECP256R1()), simulated=False)
            case "RS256":
                return cls._of(alg, generate_rsa_key(65_537, _RSA_BITS.start), simulated=False)
        raise ValueError(f"no such algorithm: {alg!r}; there are {', '.join(ALGORITHMS)}")

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The same Ed25519 key for the same seed: for simulations alone, and marked so."""
        secret = hashlib.sha256(b"agentsim simulated key" + seed).digest()
        return cls._of("EdDSA", Ed25519PrivateKey.from_private_bytes(secret), simulated=True)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "SigningKey":
        """The key pair of a private JWK.

        Raises
        ------
        ValueError
            In plain words, without the key's material.
        """
        alg = _algorithm_of(jwk)
        if "d" not in jwk:
            raise ValueError("a signing key needs its private member, d")
        names = PRIVATE_MEMBERS & jwk.keys()
        private = _parse(alg, {name: jwk.get(name) for name in (*_PUBLIC[alg], *names)})
        return cls._of(alg, private, simulated=bool(jwk.get("simulated", False)))

    @classmethod
    def _of(cls, alg: Algorithm, private: PrivateKey, *, simulated: bool) -> "SigningKey":
        half = _verifying(alg, private.public_key())
        return cls(half.kid, alg, half.public, private, simulated)

    def private_jwk(self) -> dict[str, object]:
        """The whole key pair. Whoever reads it can sign; a simulated key goes on saying so."""
        members = _TO_JWK[self.alg].to_jwk(self.private, as_dict=True)
        secret = {name: members[name] for name in members if name in PRIVATE_MEMBERS}
        return {**self.public_jwk(), **secret, **({"simulated": True} if self.simulated else {})}

    def public_half(self) -> VerifyingKey:
        """What is left of the key when it no longer signs."""
        return VerifyingKey(self.kid, self.alg, self.public)


def _algorithm_of(jwk: Mapping[str, object]) -> Algorithm:
    kind = (jwk.get("kty"), jwk.get("crv") if jwk.get("kty") != "RSA" else None)
    alg = _ALGORITHM_OF.get(kind) if all(isinstance(word, str | None) for word in kind) else None
    if alg is None:
        raise ValueError("a key must be OKP with Ed25519, EC with P-256, or RSA")
    # RFC 9864 says Ed25519 for what RFC 8037 calls EdDSA.
    if jwk.get("alg", alg) not in (alg, "Ed25519" if alg == "EdDSA" else alg):
        raise ValueError(f"a key of this type is for {alg}, not for another alg")
    return alg


def _parse(alg: Algorithm, members: dict[str, object]) -> Any:
    if not all(isinstance(value, str) for value in members.values()):
        raise ValueError(f"members of a key for {alg} are missing or no texts")
    try:
        key = _TO_JWK[alg].from_jwk(members)
    # What the library says may quote the key.
    except (jwt.InvalidKeyError, TypeError, ValueError):
        raise ValueError(f"this is no sound key for {alg}") from None
    if isinstance(key, RSAPublicKey | RSAPrivateKey) and key.key_size not in _RSA_BITS:
        raise ValueError(
            f"RSA keys need {_RSA_BITS.start} to {_RSA_BITS[-1]} bits, this one has {key.key_size}"
        )
    return key


def _verifying(alg: Algorithm, public: PublicKey) -> VerifyingKey:
    members = orjson.dumps(_public_members(alg, public), option=orjson.OPT_SORT_KEYS)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(members).digest()).rstrip(b"=").decode()
    return VerifyingKey(thumbprint, alg, public)


def _public_members(alg: Algorithm, public: PublicKey) -> dict[str, str]:
    members = _TO_JWK[alg].to_jwk(public, as_dict=True)
    return {name: members[name] for name in _PUBLIC[alg]}
