"""The token server as a resource server meets it: metadata, keys, and requests that may fail."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import orjson

from agentsim.resources.refusals import Refusal, invalid, unavailable
from agentsim.server.clock import SECOND, Clock, SystemClock
from agentsim.server.keys import VerifyingKey
from agentsim.server.segments import is_compact

#: Microseconds between two fetches of the keys: unknown ones must not make anybody a flood.
_FLOOR = 10 * SECOND
#: Microseconds that metadata are kept, and keys at most: where the token server does not say, or cannot be asked.
_KEPT = 3600 * SECOND
_MAX_AGE = re.compile(r"\bmax-age=([0-9]{1,9})\b")
_TIMEOUT = 5.0
#: Longer answers are not read.
_LONGEST = 16 * 1024 * 1024
_HEADER = frozenset(("alg", "kid", "typ"))


class Issuer:
    """One token server, known by its issuer alone (RFC 8414).

    Parameters
    ----------
    url : the issuer.
    client : id and secret of this resource server, for what must be asked online.
    clock, http : time, and the HTTP client; by default the system's and one of its own.
    """

    def __init__(
        self,
        url: str,
        *,
        client: tuple[str, str] | None = None,
        clock: Clock | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = url
        self.client = client
        self.clock = clock or SystemClock()
        self._http = http or httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        self._metadata: Mapping[str, Any] = {}
        self._metadata_at = self._keys_at = -_KEPT
        #: When the keys are to be fetched anew: one that was retired is none of them then.
        self._keys_due = -_KEPT
        self._keys: dict[str, VerifyingKey] = {}
        self._turn = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections to the token server."""
        await self._http.aclose()

    async def endpoint(self, name: str) -> str:
        """The URL of an endpoint, as the metadata has it.

        Raises
        ------
        Refusal
            If the token server cannot be reached, is another one, or has no such endpoint.
        """
        if self.clock.now() - self._metadata_at > _KEPT:
            parts = urlsplit(self.url)
            path = f"/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"
            found = await self.json("GET", f"{parts.scheme}://{parts.netloc}{path}")
            # RFC 8414 section 3.3: else one server could speak for another.
            if found.get("issuer") != self.url:
                raise unavailable("wrong_issuer", "the token server is not the one it should be")
            self._metadata, self._metadata_at = found, self.clock.now()
        if name not in self._metadata:
            raise unavailable("not_offered", f"the token server has no {name}")
        return str(self._metadata[name])

    async def verified(self, token: str, kind: str) -> dict[str, Any]:
        """The payload of a JWT of this issuer, signed by one of its keys; its algorithm is the key's, not the header's.

        Raises
        ------
        Refusal
            If it is none, of another type, or the keys cannot be had.
        """
        if not is_compact(token):
            raise invalid("token_malformed", "this is not a token")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise invalid("token_malformed", "this is not a token") from None
        # The server writes these and no others: what asks for an extension, or brings a key, is not from there.
        if header.keys() != _HEADER:
            raise invalid("token_malformed", "the header is not that of a token of the token server")
        # "application/" may be left out (RFC 7515 section 4.1.9).
        if str(header.get("typ", "")).lower().removeprefix("application/") != kind:
            raise invalid("wrong_type", f"this is not a {kind}")
        key = await self._key(str(header.get("kid", "")))
        try:
            payload = orjson.loads(jwt.PyJWS([key.alg]).decode(token, key.public, algorithms=[key.alg]))
        except jwt.PyJWTError:
            raise invalid("bad_signature", "the signature does not verify") from None
        except orjson.JSONDecodeError:
            raise invalid("token_malformed", "this is not a token") from None
        if not isinstance(payload, dict):
            raise invalid("token_malformed", "this is not a token")
        return payload

    async def json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """A JSON answer. Raises Refusal where there is none."""
        return _object(await self.text(method, url, **options))

    async def text(self, method: str, url: str, **options: Any) -> bytes:
        """The body of an answer that is granted. Raises Refusal where it is not: nobody is let in meanwhile."""
        return (await self._ask(method, url, **options)).content

    async def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, url, **options)
        except httpx.HTTPError:
            raise unavailable("unreachable", "the token server cannot be reached") from None
        if answer.status_code == 429:
            # The agent's limit, not ours: whoever presents the token must wait.
            raise Refusal(
                429, None, "rate_limited", "this token is used too often", retry_after=_seconds(answer)
            )
        if answer.status_code != 200 or len(answer.content) > _LONGEST:
            raise unavailable("refused", "the token server does not answer this resource server")
        return answer

    async def _key(self, kid: str) -> VerifyingKey:
        now = self.clock.now()
        if kid not in self._keys or now >= self._keys_due:
            async with self._turn:
                is_due = kid not in self._keys or now >= self._keys_due
                if is_due and now - self._keys_at > _FLOOR:
                    await self._renew_keys(kid, now)
        if kid not in self._keys:
            raise invalid("unknown_key", "the token is not signed by a key of the token server")
        return self._keys[kid]

    async def _renew_keys(self, kid: str, now: int) -> None:
        try:
            answer = await self._ask("GET", await self.endpoint("jwks_uri"))
        except Refusal:
            # What is known holds for a while, as it does where the token server names no age.
            if kid not in self._keys or now - self._keys_at > _KEPT:
                raise
            self._keys_due = now + _FLOOR
            return
        keys = [VerifyingKey.from_jwk(jwk) for jwk in _object(answer.content).get("keys", ())]
        self._keys, self._keys_at = {key.kid: key for key in keys}, now
        self._keys_due = now + max(_FLOOR, min(_age(answer), _KEPT))


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise unavailable("malformed_answer", "the token server's answer cannot be read") from None
    return answer


def _age(answer: httpx.Response) -> int:
    """How long an answer may be kept, microseconds, by its own word (RFC 9111 section 5.2.2.1)."""
    told = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    return _KEPT if told is None else int(told[1]) * SECOND


def _seconds(answer: httpx.Response) -> int:
    told = answer.headers.get("retry-after", "")
    return int(told) if told.isdecimal() else 1
