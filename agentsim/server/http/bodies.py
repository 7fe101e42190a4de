"""Bodies of requests: forms as OAuth wants them, JSON as the extensions have it; bounded, and refused in words."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from agentsim.server.admission import is_text
from agentsim.server.errors import InvalidRequest

LONGEST_FORM = 128 * 1024
LONGEST_JSON = 8 * 1024 * 1024
MOST_PARAMETERS = 200
#: Parameters that may come more than once (RFC 8707 section 2, RFC 8693 section 2.1).
REPEATABLE = frozenset(("resource", "audience"))
_Model = TypeVar("_Model", bound=BaseModel)


async def read_form(request: Request) -> dict[str, Any]:
    """The parameters of a form; those that may be repeated as lists, empty ones left out (RFC 6749 section 3.2).

    Raises
    ------
    InvalidRequest
        Another content type, too long, not UTF-8, or a parameter given twice.
    """
    _check_type(request, "application/x-www-form-urlencoded")
    body = await _read(request, LONGEST_FORM)
    form: dict[str, Any] = {}
    for name, value in _pairs(body):
        if name in REPEATABLE:
            form.setdefault(name, []).append(value)
        elif name in form:
            raise InvalidRequest("repeated_parameter", f"{name[:80]} is given twice")
        else:
            form[name] = value
    return form


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """Names and values, decoded. The library's parser decodes what needs none, too, and takes three times as long."""
    try:
        fields = body.decode("ascii").split("&")
        if len(fields) > MOST_PARAMETERS:
            raise ValueError
        for field in fields:
            name, _, value = field.partition("=")
            if value:
                yield _decoded(name), _decoded(value)
    except ValueError:
        raise InvalidRequest(
            "malformed_body", f"the body is not a form in UTF-8 of at most {MOST_PARAMETERS} parameters"
        ) from None


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


async def read_json(request: Request, model: type[_Model]) -> _Model:
    """A JSON body, checked against its model.

    Raises
    ------
    InvalidRequest
        Another content type, too long, not JSON, or not of the model's form: all faults at once, each with its path.
    """
    _check_type(request, "application/json")
    body = await _read(request, LONGEST_JSON)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequest("malformed_body", "the body is not JSON") from None
    return checked(model, data)


def checked(model: type[_Model], data: Any) -> _Model:
    """Data as its model.

    Raises
    ------
    InvalidRequest
        With all faults, each with its path.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False, include_context=False)
        words = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:20]
        )
        raise InvalidRequest("malformed_body", words[:2000]) from None


def query_of(request: Request) -> Mapping[str, str]:
    """The parameters of a query.

    Raises
    ------
    InvalidRequest
        If there are too many, one is given twice, or is no text that a database could hold.
    """
    names = [name for name, _ in pairs_of_query(request)]
    if not all(is_text(value) for value in request.query_params.values()):
        raise InvalidRequest("malformed_query", "a parameter holds characters that no name has")
    if len(names) != len(set(names)):
        raise InvalidRequest("repeated_parameter", "a parameter is given twice")
    return dict(request.query_params)


def pairs_of_query(request: Request) -> list[tuple[str, str]]:
    """Names and values of a query, as often as each is given.

    Raises
    ------
    InvalidRequest
        If there are too many.
    """
    pairs = request.query_params.multi_items()
    if len(pairs) > MOST_PARAMETERS:
        raise InvalidRequest("malformed_query", f"a query has at most {MOST_PARAMETERS} parameters")
    return pairs


def _check_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise InvalidRequest("unsupported_content_type", f"the body must be {wanted}")


async def _read(request: Request, longest: int) -> bytes:
    body = b""
    more = True
    while more:
        # The request's own stream makes two generators for what is one message, nearly always.
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > longest:
            raise InvalidRequest("body_too_long", f"the body must be at most {longest} bytes")
    return body
