"""The floor: a bare Starlette handler that signs one access token and answers it; no rules, no database.

Its token says what a served one says, claim for claim, and uvicorn is set up as for serving, so the ratio of the
two is what deciding, storing and auditing cost. ``python -P floor.py PORT`` serves it; as a file, and importing
nothing of agentsim, so that nothing is loaded that a bare server would not have.
"""

from __future__ import annotations

import itertools
import sys
import time

import jwt
import orjson
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TOKEN_PATH = "/token"
_ALGORITHM = "EdDSA"
_HEADERS = {"typ": "at+jwt", "kid": "x" * 43}
#: As large as the server's time-ordered ids are these days.
_FIRST_ID = 910_000_000_000_000_000


class BareSigner:
    """Signs tokens with the claims of a root grant, as cheaply as PyJWT allows: key object, orjson, no checks."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
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
        return self._jws.encode(orjson.dumps(claims), self._key, _ALGORITHM, _HEADERS)


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
