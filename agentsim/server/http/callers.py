"""Who is calling: a client by RFC 6749 section 2.3 or RFC 7523, or an administrator by bearer token (RFC 6750)."""

import base64
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import Request

from agentsim.server.assertions import peek
from agentsim.server.credentials import digest
from agentsim.server.errors import InvalidClient, InvalidRequest, InvalidToken
from agentsim.server.parties import Admin, Client, ClientAssertion, Credentials

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The administrator of the server, and the owner of agents that are registered without another.
ADMINISTRATOR = Admin("admin", everywhere=True)
_SECRET_MEMBERS = ("client_secret", "client_assertion", "client_assertion_type")


class NoCredentials(InvalidToken):
    """A protected place was asked for without credentials: the challenge names no error (RFC 6750 section 3.1)."""


def client_of(request: Request, parameters: Mapping[str, Any]) -> Credentials:
    """The client that a request's header or body names, still to be authenticated by the server.

    Raises
    ------
    InvalidRequest
        If two ways of authentication are used at once (RFC 6749 section 2.3).
    InvalidClient
        If none is.
    """
    header = _authorization(request)
    in_body = any(name in parameters for name in _SECRET_MEMBERS)
    if header is None:
        return credentials_in(parameters)
    if in_body:
        raise InvalidRequest("two_authentications", "the client must authenticate in one way only")
    client = _basic(header)
    if parameters.get("client_id", client.client_id) != client.client_id:
        raise InvalidRequest("two_clients", "client_id in the body is not the client of the header")
    return client


def credentials_in(parameters: Mapping[str, Any], owner: str | None = None) -> Credentials:
    """The client that parameters name with a secret or an assertion.

    Raises
    ------
    InvalidRequest
        If both are given.
    InvalidClient
        If neither is.
    """
    client_id, secret = parameters.get("client_id"), parameters.get("client_secret")
    assertion = parameters.get("client_assertion")
    if assertion is not None and secret is not None:
        raise InvalidRequest("two_authentications", "the client must authenticate in one way only")
    if assertion is not None:
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClient("assertion_invalid", f"client_assertion_type must be {ASSERTION_TYPE}")
        claimed = peek(assertion)
        name = client_id if client_id is not None else claimed.client_id if claimed else ""
        return ClientAssertion(name, assertion, owner)
    if client_id is None or secret is None:
        raise InvalidClient("no_credentials", "the client must authenticate")
    return Client(client_id, secret, owner)


def bearer_of(request: Request) -> str:
    """The bearer token of a request.

    Raises
    ------
    NoCredentials
        If there is none.
    InvalidRequest
        If there is a second ``Authorization`` header.
    """
    scheme, _, token = (_authorization(request) or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NoCredentials("no_credentials", "a bearer token is needed here")
    return token.strip()


class AdminGate:
    """Knows the administrator's token by its digest.

    Parameters
    ----------
    token_hash : SHA-256 of the administrator's token.
    """

    def __init__(self, token_hash: bytes) -> None:
        self._token_hash = token_hash

    def is_admin(self, token: str) -> bool:
        """Whether this is the administrator's token, in a time that does not tell how nearly."""
        return hmac.compare_digest(digest(token), self._token_hash)

    def admit(self, request: Request) -> Admin:
        """The administrator, by bearer token.

        Raises
        ------
        NoCredentials, InvalidToken, InvalidRequest
            If the request does not bear the administrator's token, or more than one.
        """
        if not self.is_admin(bearer_of(request)):
            raise InvalidToken("not_admin", "this is not the administrator's token")
        return ADMINISTRATOR

    def admin_or_client(self, request: Request, parameters: Mapping[str, Any]) -> Admin | Credentials:
        """The administrator by bearer token, or else a client.

        Raises
        ------
        InvalidToken
            If a bearer token is not the administrator's: an agent's token authenticates nobody here.
        InvalidRequest, InvalidClient
            As :func:`client_of`.
        """
        if (_authorization(request) or "").lower().startswith("bearer "):
            if any(name in parameters for name in _SECRET_MEMBERS):
                raise InvalidRequest("two_authentications", "the caller must authenticate in one way only")
            return self.admit(request)
        return client_of(request, parameters)


def _authorization(request: Request) -> str | None:
    """The ``Authorization`` header; two would be two ways of authentication, and which one counts nobody could say."""
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise InvalidRequest("two_authentications", "the caller must authenticate in one way only")
    return headers[0] if headers else None


def _basic(header: str) -> Client:
    """Id and secret of an Authorization header, each form-encoded before base64 (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient(
            "unsupported_authentication", "the client must authenticate with Basic or in the body"
        )
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        client_id, client_secret = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise InvalidClient("malformed_credentials", "the Authorization header cannot be read") from None
    if not colon:
        raise InvalidClient("malformed_credentials", "the Authorization header cannot be read")
    return Client(client_id, client_secret)
