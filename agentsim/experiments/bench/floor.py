"""The floor: a bare Starlette handler that signs one access token and answers it; no rules, no database.

Its token says what a served one says, claim for claim, and uvicorn is set up as for serving, so the ratio of the
two is what deciding, storing and auditing cost. ``python -P floor.py PORT`` serves it; as a file, and importing
nothing of agentsim, so that nothing is loaded that a bare server would not have.
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

import orjson
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.utils import base64url_decode, base64url_encode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TOKEN_PATH = "/token"
_HEADERS = {"typ": "at+jwt", "kid": "x" * 43, "alg": "EdDSA"}
#: As large as the server's time-ordered ids are these days.
_FIRST_ID = 910_000_000_000_000_000


class BareSigner:
    """Signs tokens with the claims of a root grant, and checks them, as cheaply as it goes.

    One key, the header encoded once (RFC 7515 section 3.1), and nothing looked at but the signature.
    """

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._public = self._key.public_key()
        self._header = base64url_encode(orjson.dumps(_HEADERS)) + b"."
        self._ids = itertools.count(_FIRST_ID)

    def sign(self) -> str:
        """The next token."""
        number, now = next(self._ids), int(time.time())
        agent, task = f"agent_{number}", f"task-{number % 1_000_000_000:09}-00"
        claims = {
            "iss": "https://auth.agentsim.example",
            "sub": "bench",
            "aud": "https://resources.agentsim.example",
            "client_id": agent,
            "iat": now,
            "exp": now + 300,
            "jti": str(number),
            "scope": "file_read:github",
            "task_id": task,
            "parent_task_id": None,
            "tools": "file_read",
            "resources": "github",
            "level": "restricted",
            "owner": "bench",
            "grant_exp": now + 86_400,
            "lineage": {"grants": [str(number)], "tasks": (task,)},
            "act": {"sub": agent},
        }
        signed = self._header + base64url_encode(orjson.dumps(claims))
        return (signed + b"." + base64url_encode(self._key.sign(signed))).decode()

    def check(self, token: str) -> dict[str, Any]:
        """The claims of one of its tokens. Raises InvalidSignature for any other."""
        signed, _, signature = token.rpartition(".")
        self._public.verify(base64url_decode(signature), signed.encode())
        claims: dict[str, Any] = orjson.loads(base64url_decode(signed.partition(".")[2]))
        return claims


def make_app() -> Starlette:
    """The application with its one route."""
    signer = BareSigner()

    async def token(_request: Request) -> Response:
        answer = {"access_token": signer.sign(), "token_type": "Bearer", "expires_in": 300}
        return Response(orjson.dumps(answer), media_type="application/json")

    return Starlette(routes=[Route(TOKEN_PATH, token, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        make_app(),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
    )
