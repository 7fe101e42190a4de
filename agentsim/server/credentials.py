"""Secrets: where they come from, how they are written, and how they are compared.

A secret is 256 random bits, so its SHA-256 is as safe to keep as a slow password hash would be, at a
four-hundred-thousandth of the cost. Refresh and registration tokens begin with the id of the row that they
belong to: that row is found by its primary key, and no index over random hashes is needed.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Protocol

_PERSON = "user:"


class Secrets(Protocol):
    """A source of secrets."""

    #: Secrets that can be made again from a seed: ``serve`` refuses them.
    simulated: bool

    def new(self) -> str:
        """43 characters that hold 256 bits."""


class SystemSecrets:
    """Secrets from the operating system."""

    simulated = False

    def new(self) -> str:
        """43 characters that hold 256 bits."""
        return secrets.token_urlsafe(32)


class SeededSecrets:
    """The same secrets for the same seed, for simulations alone."""

    simulated = True

    def __init__(self, seed: bytes) -> None:
        self._seed = hashlib.sha256(b"agentsim simulated secrets" + seed)
        self._count = 0

    def new(self) -> str:
        """43 characters that hold 256 bits."""
        self._count += 1
        state = self._seed.copy()
        state.update(self._count.to_bytes(8, "big"))
        return base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode()


def digest(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, stored: bytes | None) -> bool:
    """Whether a secret is the stored one, in a time that does not tell how nearly."""
    return stored is not None and hmac.compare_digest(digest(secret), stored)


def client_name(client_id: int) -> str:
    """A client_id as it is told: ``agent_123``."""
    return f"agent_{client_id}"


def parse_client_name(name: str) -> int | None:
    """The number in a client_id, or None where it is not one of ours."""
    prefix, _, number = name.partition("_")
    return _id(number) if prefix == "agent" else None


def writable_name(name: str) -> str | None:
    """A client_id that may be written down, None where it is not one of ours: it could be a secret in the wrong place."""
    return name if parse_client_name(name) is not None else None


def principal_of(account: str) -> str:
    """A person as ``sub`` of a token: neither an agent nor an organisation is ever called like this."""
    return f"{_PERSON}{account}"


def names_a_person(principal: str) -> bool:
    """Whether a principal is a person with an account, for whom nobody but they themselves may speak."""
    return principal.startswith(_PERSON)


def task_name(token_id: int) -> str:
    """The name of a task whose agent gave it none."""
    return f"task_{token_id}"


def keyed_token(kind: str, row_id: int, secret: str) -> str:
    """A refresh (``rt``), registration (``reg``) or registration access (``rat``) token: kind, row and secret."""
    return f"{kind}_{row_id}_{secret}"


def parse_keyed_token(kind: str, token: str) -> int | None:
    """The row that a token of this kind names, or None where it is not one."""
    prefix, _, rest = token.partition("_")
    number, _, secret = rest.partition("_")
    return _id(number) if prefix == kind and secret else None


def _id(number: str) -> int | None:
    # isdecimal alone would let other scripts' digits pass; leading zeros would make second names.
    if 0 < len(number) <= 19 and number.isascii() and number.isdecimal():
        value = int(number)
        return value if value < 1 << 63 and str(value) == number else None
    return None
