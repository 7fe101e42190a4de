"""Access tokens: JWTs after RFC 9068, signed with Ed25519, with task and lineage claims.

``sub`` is the principal, ``act`` the agents that act for it, the outermost the current one (RFC 8693 section
4.1); ``lineage`` names the grants and tasks from the root down, so that an offline verifier can hold a token
against the marks. PyJWT makes and checks the signature; what the claims must say is checked here, and no
clock is asked: every expiry is the caller's to decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
import orjson

from agentsim.server.clock import SECOND
from agentsim.server.credentials import client_name, parse_client_name
from agentsim.server.errors import InvalidToken
from agentsim.server.keys import ALGORITHM, SigningKey
from agentsim.server.lineage import Lineage, task_key

TYPE = "at+jwt"
#: Longest token that is looked at, in characters.
LONGEST_TOKEN = 16_384
_REQUIRED = frozenset(
    "iss sub aud client_id iat exp jti scope task_id tools resources level owner grant_exp lineage act".split()
)
_KINDS = dict.fromkeys("iat exp grant_exp".split(), int) | dict.fromkeys(
    "sub scope tools resources level owner".split(), str
)


@dataclass(slots=True, kw_only=True)
class Claims:
    """What an access token says, checked and in the server's own types. Times are microseconds."""

    token_id: int
    client_id: int
    grant_id: int
    root_grant_id: int
    parent_grant_id: int | None
    depth: int
    lineage: Lineage
    tasks: tuple[str, ...]
    scope: str
    tools: str
    resources: str
    level: str
    principal: str
    owner: str
    issued_at: int
    expires_at: int
    grant_expires_at: int

    @property
    def task_id(self) -> str:
        return self.tasks[-1]

    @property
    def parent_task_id(self) -> str | None:
        return self.tasks[-2] if self.depth else None


class TokenCodec:
    """Signs claims and reads them back.

    Parameters
    ----------
    issuer, audience : ``iss`` and ``aud`` of every token.
    key : the signing key.
    cached_tokens : how many checked signatures are remembered. A remembered signature is still one that was
        checked; expiry, marks and context are decided anew each time.
    """

    def __init__(self, issuer: str, audience: str, key: SigningKey, *, cached_tokens: int = 32_768) -> None:
        self._issuer = issuer
        self._audience = audience
        self._key = key
        self._jws = jwt.PyJWS(algorithms=[ALGORITHM])
        self._headers = {"typ": TYPE, "kid": key.kid}
        # A failed check raises and is not remembered: junk cannot push good tokens out.
        self.decode = lru_cache(cached_tokens)(self._decode)

    def encode(self, claims: Claims) -> str:
        """The signed token."""
        act: dict[str, Any] = {}
        for _, client, _ in claims.lineage:
            act = {"sub": client_name(client), "act": act} if act else {"sub": client_name(client)}
        payload = {
            "iss": self._issuer,
            "sub": claims.principal,
            "aud": self._audience,
            "client_id": client_name(claims.client_id),
            "iat": claims.issued_at // SECOND,
            "exp": claims.expires_at // SECOND,
            "jti": str(claims.token_id),
            "scope": claims.scope,
            "task_id": claims.task_id,
            "parent_task_id": claims.parent_task_id,
            "tools": claims.tools,
            "resources": claims.resources,
            "level": claims.level,
            "owner": claims.owner,
            "grant_exp": claims.grant_expires_at // SECOND,
            "lineage": {"grants": [str(grant) for grant, _, _ in claims.lineage], "tasks": claims.tasks},
            "act": act,
        }
        return self._jws.encode(orjson.dumps(payload), self._key.private, ALGORITHM, self._headers)

    def _decode(self, token: str) -> Claims:
        """Check the signature and the form of a token and return its claims.

        Raises
        ------
        InvalidToken
            Reason ``token_malformed`` or ``bad_signature``.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken("token_malformed", "the token is too long")
        try:
            decoded = self._jws.decode_complete(token, self._key.public, algorithms=[ALGORITHM])
        except jwt.InvalidSignatureError:
            raise InvalidToken("bad_signature", "the signature does not verify") from None
        except jwt.PyJWTError:
            raise InvalidToken("token_malformed", "this is not a token of this server") from None
        header = decoded["header"]
        if header.get("typ") != TYPE or header.get("kid") != self._key.kid or "crit" in header:
            raise InvalidToken(
                "token_malformed", "the token's header is not that of an access token of this server"
            )
        # The signature is ours, so the form is too, unless the key is shared with something else.
        try:
            return self._read(orjson.loads(decoded["payload"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InvalidToken("token_malformed", "the claims are not those of an access token") from None

    def _read(self, claims: dict[str, Any]) -> Claims:
        if not _REQUIRED <= claims.keys() or claims["iss"] != self._issuer or claims["aud"] != self._audience:
            raise InvalidToken(
                "token_malformed", "the token is not an access token of this issuer and audience"
            )
        if any(type(claims[name]) is not kind for name, kind in _KINDS.items()):
            raise TypeError("a claim is of another type")
        grants = [int(grant) for grant in claims["lineage"]["grants"]]
        tasks = tuple(claims["lineage"]["tasks"])
        owner = claims["owner"]
        lineage = tuple(
            (grant, client, task_key(owner, task))
            for grant, client, task in zip(grants, _actors(claims["act"]), tasks, strict=True)
        )
        return Claims(
            token_id=int(claims["jti"]),
            client_id=lineage[-1][1],
            grant_id=grants[-1],
            root_grant_id=grants[0],
            parent_grant_id=grants[-2] if len(grants) > 1 else None,
            depth=len(grants) - 1,
            lineage=lineage,
            tasks=tasks,
            scope=claims["scope"],
            tools=claims["tools"],
            resources=claims["resources"],
            level=claims["level"],
            principal=claims["sub"],
            owner=owner,
            issued_at=claims["iat"] * SECOND,
            expires_at=claims["exp"] * SECOND,
            grant_expires_at=claims["grant_exp"] * SECOND,
        )


def _actors(act: dict[str, Any]) -> Sequence[int]:
    """The acting clients, root first."""
    actors = []
    current: dict[str, Any] | None = act
    while current:
        actors.append(parse_client_name(current["sub"]) or 0)
        current = current.get("act")
    return actors[::-1]
