"""The server's keys: one that signs, and retired ones that still verify.

A rotation lets a new key sign from now on. The old one loses its private half at once; its public half is served
and believed until the last token that it signed has expired, and whoever holds a copy of it can make nothing that
lives longer (:class:`agentsim.server.tokens.TokenCodec` sees to that).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

import orjson

from agentsim.server.clock import SECOND
from agentsim.server.keys import Algorithm, SigningKey, VerifyingKey


class KeyFileError(ValueError):
    """Keys cannot be read or kept as the user wants it; ``str()`` says why and what to do."""


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """A key that signs no more. ``keep_until`` (microseconds) is when the last token that it signed has expired."""

    key: VerifyingKey
    keep_until: int


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys at one moment: never changed, only replaced. ``since`` is when the signing key was made."""

    signing: SigningKey
    since: int = 0
    retired: tuple[RetiredKey, ...] = ()

    def rotated(self, alg: Algorithm, now: int, keep_until: int) -> "Keys":
        """These keys after a rotation at ``now``; what need not be kept any longer is dropped."""
        # Upwards to the second, so that memory and file agree and no token outlives its key.
        old = RetiredKey(self.signing.public_half(), -(-keep_until // SECOND) * SECOND)
        kept = tuple(retired for retired in (*self.retired, old) if retired.keep_until > now)
        return Keys(SigningKey.generate(alg), now, kept)

    def as_json(self) -> bytes:
        """The private JWK set (RFC 7517): ``iat`` beside the signing key, ``exp`` beside public retired ones."""
        signing = {**self.signing.private_jwk(), "iat": self.since // SECOND}
        retired = [{**kept.key.public_jwk(), "exp": kept.keep_until // SECOND} for kept in self.retired]
        return orjson.dumps({"keys": [signing, *retired]}, option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Keys":
        """The inverse of :meth:`as_json`.

        Raises
        ------
        KeyFileError
            If this is not one key that signs and any number of retired ones, all distinct and sound.
        """
        try:
            members = _members(text)
            signing = [jwk for jwk in members if "exp" not in jwk]
            old = [jwk for jwk in members if "exp" in jwk]
            if len(signing) != 1:
                raise ValueError(f"{len(signing)} keys without exp; exactly one must sign")
            retired = tuple(RetiredKey(VerifyingKey.from_jwk(jwk), _moment(jwk, "exp")) for jwk in old)
            keys = cls(SigningKey.from_jwk(signing[0]), _moment(signing[0], "iat"), retired)
            kids = [keys.signing.kid, *(kept.key.kid for kept in retired)]
            if kids != [jwk.get("kid") for jwk in (*signing, *old)] or len(set(kids)) != len(kids):
                raise ValueError("each key must bear its own thumbprint (RFC 7638) as kid, and be there once")
        except ValueError as exc:
            raise KeyFileError(f"these are not the keys of a server: {exc}") from None
        return keys


class KeyRing:
    """Holds the server's keys. Readers take ``keys`` as it is, without a lock: it is replaced whole."""

    def __init__(self, keys: Keys | SigningKey) -> None:
        self.keys = Keys(keys) if isinstance(keys, SigningKey) else keys
        self._lock = Lock()

    @classmethod
    def from_json(cls, text: str) -> "KeyRing":
        """Keys out of an environment variable's text, of the form of a key file. They cannot be rotated.

        Raises
        ------
        KeyFileError
            If the text is not of that form, or the key a simulated one.
        """
        keys = Keys.from_json(text)
        check_not_simulated(keys)
        return _GivenKeys(keys)

    def rotate(
        self,
        alg: Algorithm,
        now: int,
        keep_until: int,
        before: Callable[[SigningKey], None] = lambda _key: None,
    ) -> SigningKey:
        """Let a new key sign from now on.

        Parameters
        ----------
        keep_until : when the last token that the old key signed has expired (microseconds); where other workers
            share the keys, with the time that they may take to notice.
        before : is given the new key when all is prepared and before it signs; where that fails, nothing has changed.

        Raises
        ------
        KeyFileError
            If these keys cannot be rotated here.
        """
        return self._replace(lambda keys: keys.rotated(alg, now, keep_until), before)

    def _replace(self, change: Callable[[Keys], Keys], before: Callable[[SigningKey], None]) -> SigningKey:
        """Put what ``change`` makes of the keys in their place, wherever they are kept; the key that signs then."""
        with self._lock:
            changed = change(self.keys)
            before(changed.signing)
            self.keys = changed
            return changed.signing

    def reload(self) -> bool:
        """Look whether another worker has rotated; whether there are other keys now."""
        return False

    def jwks(self, now: int) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set (RFC 7517 section 5), the signing one first."""
        keys = self.keys
        kept = [retired.key for retired in keys.retired if retired.keep_until > now]
        return {"keys": [key.public_jwk() for key in (keys.signing, *kept)]}


class _GivenKeys(KeyRing):
    def _replace(self, change: Callable[[Keys], Keys], before: Callable[[SigningKey], None]) -> SigningKey:
        raise KeyFileError(
            "keys from the environment cannot be rotated here: other workers would not learn of it. "
            "Change the variable and start again, or keep the keys in a file"
        )


def check_not_simulated(keys: Keys) -> None:
    """Refuse keys that come from a seed.

    Raises
    ------
    KeyFileError
        Saying why.
    """
    if keys.signing.simulated:
        raise KeyFileError(
            "a simulated key can be made again by anyone who knows its seed: it is neither kept nor served"
        )


def _members(text: str | bytes) -> list[Mapping[str, object]]:
    read = orjson.loads(text)
    members = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(members, list) or not all(isinstance(jwk, dict) for jwk in members):
        raise ValueError('not an object with "keys", a list of JWKs')
    return members


def _moment(jwk: Mapping[str, object], name: str) -> int:
    seconds = jwk.get(name)
    # Beyond that, microseconds would not fit where times are stored.
    if type(seconds) is not int or not 0 <= seconds <= (1 << 63) // SECOND:
        raise ValueError(f"{name} must be whole seconds since 1970")
    return seconds * SECOND
