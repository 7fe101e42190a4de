"""The OpenAPI 3.1 description, made from the endpoints and the models of their bodies."""

import inspect
import re
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from agentsim.server.http.endpoints import ENDPOINTS, Access, Endpoint

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_MEDIA = {
    "jwks": "application/jwk-set+json",
    "metrics": "text/plain; version=0.0.4; charset=utf-8",
}
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.PUBLIC: [],
    Access.CARRIED: [],
    Access.CLIENT: [{"client": []}, {}],
    Access.CLIENT_OR_ADMIN: [{"client": []}, {"admin": []}, {}],
    Access.MANAGER: [{"registration_access_token": []}, {"admin": []}],
    Access.ADMIN: [{"admin": []}],
}
#: Numbers that pages go by.
_IDS = ("after", "before", "limit", "grant_id")
_ERROR = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "error_description": {"type": "string"},
        "reason": {"type": "string"},
        "hint": {"type": "string"},
    },
}


def describe(issuer: str) -> dict[str, Any]:
    """The description of a server with this issuer."""
    models = sorted(
        {each.body for each in ENDPOINTS if each.body is not None}, key=lambda model: model.__name__
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "agentsim",
            "version": version("agentsim"),
            "description": "A token server for AI agents: tasks, delegation, lineage and revocation on OAuth 2.",
        },
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {
            "schemas": {**definitions["$defs"], "Error": _ERROR},
            "securitySchemes": {
                "client": {"type": "http", "scheme": "basic", "description": "client_id and client_secret"},
                "admin": {"type": "http", "scheme": "bearer", "description": "the administrator's token"},
                "registration_access_token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": (inspect.getdoc(endpoint.handler) or "").partition("\n")[0],
        "description": f"For {endpoint.access.value}.",
        "security": _SECURITY[endpoint.access],
        "responses": _responses(endpoint),
    }
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", endpoint.path)]
    parameters += [_query_parameter(name) for name in endpoint.query]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        schema = {"$ref": f"#/components/schemas/{endpoint.body.__name__}"}
        media = _FORM if endpoint.is_form else _JSON
        operation["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    granted: dict[str, Any] = {"description": "granted"}
    if endpoint.status != 204:
        granted["content"] = {_MEDIA.get(endpoint.name, _JSON): {}}
    refused = {
        "description": "refused",
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    statuses = [503] if endpoint.access is Access.PUBLIC else [400, 401, 403, 503]
    return {str(endpoint.status): granted} | {str(status): refused for status in statuses}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name in _IDS:
        schema = {"type": "integer", "minimum": 1 if name == "limit" else 0}
        schema["maximum"] = 1_000 if name == "limit" else (1 << 63) - 1
    return {"name": name, "in": "query", "schema": schema}
