"""What a client finds before it knows anything: metadata (RFC 8414), keys (RFC 7517), and whether the server is well."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.errors import database_away
from agentsim.server.http.context import context_of
from agentsim.server.http.metrics import exposition
from agentsim.server.http.responses import json_response
from agentsim.server.http.rich import TYPE
from agentsim.server.keys import ALGORITHMS
from agentsim.server.metadata import AUTH_METHODS, GRANT_TYPES
from agentsim.server.policy import Policy

#: Where each endpoint is, below the issuer.
ENDPOINTS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "introspection_endpoint": "/introspect",
    "revocation_endpoint": "/revoke",
    "registration_endpoint": "/register",
    "jwks_uri": "/jwks",
    "verification_endpoint": "/verify",
    "registration_confirmation_endpoint": "/register/confirm",
    "token_batch_endpoint": "/token/batch",
    "marks_endpoint": "/marks",
}


def metadata_path(issuer: str) -> str:
    """Where the metadata of an issuer stands: its path comes after the well-known one (RFC 8414 section 3)."""
    return "/.well-known/oauth-authorization-server" + base_path(issuer)


def base_path(issuer: str) -> str:
    """The path that all endpoints begin with."""
    return urlsplit(issuer).path.rstrip("/")


def metadata_members(policy: Policy) -> dict[str, Any]:
    """The metadata of the server; ``issuer`` is the very text that tokens hold."""
    issuer = policy.issuer
    members: dict[str, Any] = {"issuer": issuer}
    members |= {name: issuer.rstrip("/") + path for name, path in ENDPOINTS.items()}
    members |= {
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "grant_types_supported": list(GRANT_TYPES),
    }
    for endpoint in ("token", "introspection", "revocation"):
        members[f"{endpoint}_endpoint_auth_methods_supported"] = list(AUTH_METHODS)
        members[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(ALGORITHMS)
    members["authorization_details_types_supported"] = [TYPE]
    members["protected_resources"] = list(policy.audiences)
    return members


async def metadata(request: Request) -> Response:
    """The server's metadata."""
    body = orjson.dumps(metadata_members(context_of(request).server.policy))
    return Response(body, media_type="application/json", headers={"Cache-Control": "max-age=300"})


async def jwks(request: Request) -> Response:
    """The public keys, the signing one first."""
    keys = context_of(request).server.jwks()
    headers = {"Cache-Control": "max-age=60"}
    return Response(orjson.dumps(keys), media_type="application/jwk-set+json", headers=headers)


async def health(request: Request) -> Response:
    """Whether the database answers."""
    context = context_of(request)
    try:
        await asyncio.to_thread(context.server.store.ping)
    except Exception:
        raise database_away() from None
    return json_response({"status": "ok"})


async def metrics(_request: Request) -> Response:
    """Metrics for Prometheus."""
    return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
