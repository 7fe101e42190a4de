"""Signing keys: Ed25519 (RFC 8037), parsed once and handed to PyJWT as objects."""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: The algorithm is pinned to the key, never taken from a token's header (RFC 8725 section 3.1).
ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair; ``kid`` is its JWK thumbprint (RFC 7638). ``simulated`` keys come from a seed."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey
    simulated: bool = False

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new random key."""
        return cls._of(Ed25519PrivateKey.generate(), simulated=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The same key for the same seed: for simulations alone, and marked so."""
        secret = hashlib.sha256(b"agentsim simulated key" + seed).digest()
        return cls._of(Ed25519PrivateKey.from_private_bytes(secret), simulated=True)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey, *, simulated: bool) -> "SigningKey":
        public = private.public_key()
        x = _base64url(public.public_bytes_raw())
        thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
        return cls(_base64url(thumbprint), private, public, simulated)


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
