"""The OpenAPI 3.1 description, made from the endpoints and the models of their bodies."""

import inspect
import re
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from agentsim.server.http.bodies import REPEATABLE
from agentsim.server.http.endpoints import ENDPOINTS, Access, Endpoint
from agentsim.server.http.replies import REPLIES, ErrorReply

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_MEDIA = {
    "jwks": "application/jwk-set+json",
    "marks": "application/marks+jwt",
    "status_list": "application/statuslist+jwt",
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
#: Introspection refuses who takes nothing but a signed answer; how often may be asked for grants and verifications is limited.
_MORE_STATUSES = {
    "marks": [400],
    "status_list": [400, 404, 406],
    "introspect": [406],
    "token": [429],
    "verify": [429],
}
#: Numbers that pages go by.
_IDS = ("after", "before", "limit", "grant_id")
#: The name beside the endpoints' under which the schema of a refusal stands.
_REFUSED = "refused"
_REFERENCES = "#/components/schemas/{model}"


def describe(issuer: str) -> dict[str, Any]:
    """The description of a server with this issuer."""
    replies, definitions = _replies()
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, replies)
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
            "schemas": _bodies() | definitions,
            "securitySchemes": {
                "client": {"type": "http", "scheme": "basic", "description": "client_id and client_secret"},
                "admin": {"type": "http", "scheme": "bearer", "description": "the administrator's token"},
                "registration_access_token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _bodies() -> dict[str, Any]:
    """The schemas of what requests hold; a form knows no null and no lists, only a parameter that comes again."""
    models = {each.body for each in ENDPOINTS if each.body is not None}
    forms = {each.body.__name__ for each in ENDPOINTS if each.body is not None and each.is_form}
    _, found = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_REFERENCES,
    )
    schemas: dict[str, Any] = found["$defs"]
    for name in forms:
        for parameter, schema in schemas[name]["properties"].items():
            told = {key: schema[key] for key in ("title", "description") if key in schema}
            text = {"type": "string", **told}
            repeatable = {"type": "array", "items": {"type": "string"}, **told}
            schemas[name]["properties"][parameter] = repeatable if parameter in REPEATABLE else text
    return schemas


def _replies() -> tuple[dict[str, Any], dict[str, Any]]:
    """What each endpoint answers with, by its name, and the schemas that this refers to."""
    types = {**REPLIES, _REFUSED: ErrorReply}
    found, definitions = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(kind)) for name, kind in types.items()], ref_template=_REFERENCES
    )
    return {name: schema for (name, _), schema in found.items()}, definitions["$defs"]


def _operation(endpoint: Endpoint, replies: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": (inspect.getdoc(endpoint.handler) or "").partition("\n")[0],
        "description": f"For {endpoint.access.value}.",
        "security": _SECURITY[endpoint.access],
        "responses": _responses(endpoint, replies),
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


def _responses(endpoint: Endpoint, replies: dict[str, Any]) -> dict[str, Any]:
    granted: dict[str, Any] = {"description": "granted"}
    if endpoint.status != 204:
        reply = {"schema": replies[endpoint.name]} if endpoint.name in replies else {}
        granted["content"] = {_MEDIA.get(endpoint.name, _JSON): reply}
    refused = {"description": "refused", "content": {_JSON: {"schema": replies[_REFUSED]}}}
    statuses = [503] if endpoint.access is Access.PUBLIC else [400, 401, 403, 503]
    statuses += _MORE_STATUSES.get(endpoint.name, [])
    return {str(endpoint.status): granted} | {str(status): refused for status in statuses}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name in _IDS:
        schema = {"type": "integer", "minimum": 1 if name == "limit" else 0}
        schema["maximum"] = 1_000 if name == "limit" else (1 << 63) - 1
    return {"name": name, "in": "query", "schema": schema}
