"""What may be registered of an agent: the checks that registering and updating share (RFC 7591 section 2)."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from agentsim.server import scopes
from agentsim.server.answers import AgentProfile
from agentsim.server.batch import Batch, Row
from agentsim.server.checks import check_text
from agentsim.server.clientkeys import check_jwks
from agentsim.server.credentials import client_name
from agentsim.server.errors import InvalidClientMetadata, InvalidRedirectUri

ACTOR_CLASSES = ("agent", "human")
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
CLIENT_CREDENTIALS = "client_credentials"
REFRESH_TOKEN = "refresh_token"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
AUTHORIZATION_CODE = "authorization_code"
GRANT_TYPES = (AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE)
MOST_REDIRECT_URIS = 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: The characters of a URI (RFC 3986) but the hash. What else there is, browsers read in ways of their own.
_URI = re.compile(r"[!$%&'()*+,./:;=?@\[\]_~0-9A-Za-z-]+")
_PRIVATE_USE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")


def one_of(name: str, asked: str, allowed: Sequence[str]) -> str:
    """The value itself, where it is one of those allowed.

    Raises
    ------
    InvalidClientMetadata
        Naming the member and what would be allowed.
    """
    if asked not in allowed:
        raise InvalidClientMetadata(
            "invalid_client_metadata", f"unknown {name}", asked=asked[:80], allowed=list(allowed)
        )
    return asked


def check_level(batch: Batch, level: str) -> str:
    """A level that the policy knows."""
    return one_of("max_scope_level", level, batch.policy.levels)


def check_grant_types(names: Sequence[str] | None, redirect_uris: Sequence[str]) -> str:
    """The grants that an agent may ask for, as canonical text; None: all that it can use.

    Raises
    ------
    InvalidClientMetadata
        For a grant that is not offered, and for the code grant where a code could be sent nowhere.
    """
    if names is None:
        names = GRANT_TYPES if redirect_uris else [name for name in GRANT_TYPES if name != AUTHORIZATION_CODE]
    if AUTHORIZATION_CODE in names and not redirect_uris:
        raise InvalidClientMetadata(
            "invalid_client_metadata", "the authorization code grant needs redirect_uris"
        )
    return " ".join(sorted({one_of("grant_types", name, GRANT_TYPES) for name in names}))


def check_redirect_uris(uris: Sequence[str]) -> str:
    """Redirect URIs as text: absolute, no fragment, https, http on loopback, or a private-use scheme (RFC 8252).

    Nothing may stand before the host, where people would read it for the host.

    Raises
    ------
    InvalidRedirectUri
        Naming the first bad one.
    """
    if len(uris) > MOST_REDIRECT_URIS:
        raise InvalidRedirectUri("invalid_redirect_uri", f"at most {MOST_REDIRECT_URIS} redirect URIs")
    for uri in uris:
        check_text(redirect_uris=uri)
        if not _is_good_redirect(uri):
            raise InvalidRedirectUri(
                "invalid_redirect_uri",
                "a redirect URI must be absolute, without a fragment, and https unless it is loopback",
                asked=uri[:256],
            )
    return " ".join(uris)


def check_keys(method: str, jwks: str | None) -> str | None:
    """An agent's public keys as canonical JSON; ``private_key_jwt`` cannot do without.

    Raises
    ------
    InvalidClientMetadata
        Where they are missing or bad.
    """
    if jwks is None:
        if method == "private_key_jwt":
            raise InvalidClientMetadata("invalid_client_metadata", "private_key_jwt needs a jwks")
        return None
    try:
        return check_jwks(jwks)
    except ValueError as exc:
        raise InvalidClientMetadata("invalid_client_metadata", f"jwks: {exc}") from None


def profile_of(agent: Row) -> AgentProfile:
    """What a row says of an agent, without its secrets."""
    tools, resources = agent["registered_allowed_tools"], agent["registered_allowed_res"]
    extra = agent["registered_scope"]
    return AgentProfile(
        client_id=client_name(agent["client_id"]),
        status=status_of(agent),
        agent_name=agent["agent_name"],
        description=agent["description"],
        allowed_tools=list(scopes.members(tools)),
        resource_access=list(scopes.members(resources)),
        scope=extra,
        allowed_scopes=list(scopes.members(scopes.union(scopes.product(tools, resources), extra))),
        max_scope_level=agent["max_scope_level"],
        role=agent["role"],
        owner=agent["owner"],
        actor_class=agent["actor_class"],
        grant_types=agent["grant_types"].split(),
        redirect_uris=agent["redirect_uris"].split(),
        token_endpoint_auth_method=agent["token_endpoint_auth_method"],
        jwks=agent["jwks"],
        created_at=agent["created_at"],
        updated_at=agent["updated_at"],
    )


def status_of(agent: Row) -> str:
    """``pending``, ``active`` or ``disabled``."""
    if agent["is_active"]:
        return "active"
    return "pending" if agent["disabled_at"] is None else "disabled"


def _is_good_redirect(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        host, named_user, _ = parts.hostname, parts.username is not None, parts.port
    except ValueError:
        return False
    if named_user or not _URI.fullmatch(uri):
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme == "http":
        return host in _LOOPBACK
    return _PRIVATE_USE_SCHEME.fullmatch(parts.scheme) is not None
