"""All endpoints: where they are, who may ask, what a request says. Routes and the OpenAPI description are made of it."""

from dataclasses import dataclass
from enum import Enum

from agentsim.server.http import admin, announcing, discovery, inspection, registration, tokens
from agentsim.server.http.context import Handler
from agentsim.server.http.models import (
    ConfirmationRequest,
    IntrospectionForm,
    KeyRequest,
    Model,
    ReasonRequest,
    RegistrationRequest,
    RevocationForm,
    RevocationRequest,
    TokenBatch,
    TokenForm,
    UpdateRequest,
    VerificationRequest,
)
from agentsim.server.http.responses import Manner


class Access(Enum):
    """Who may ask."""

    PUBLIC = "anybody"
    #: Credentials in the body: each request of a token batch, and the registration token.
    CARRIED = "whoever holds what the body carries"
    CLIENT = "a client"
    CLIENT_OR_ADMIN = "a client or the administrator"
    MANAGER = "the holder of the registration access token or the administrator"
    ADMIN = "the administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method at one path below the issuer; ``body`` is a form where its model's name says so."""

    name: str
    method: str
    path: str
    handler: Handler
    access: Access
    manner: Manner = Manner.BEARER
    body: type[Model] | None = None
    query: tuple[str, ...] = ()
    status: int = 200

    @property
    def is_form(self) -> bool:
        return self.body is not None and self.body.__name__.endswith("Form")


_AGENT = "/register/{client_id}"

#: The token endpoint first: routes are tried in order.
ENDPOINTS = (
    Endpoint(
        name="token",
        method="POST",
        path="/token",
        handler=tokens.token,
        access=Access.CLIENT,
        manner=Manner.TOKEN,
        body=TokenForm,
    ),
    Endpoint(
        name="verify",
        method="POST",
        path="/verify",
        handler=inspection.verify,
        access=Access.CLIENT_OR_ADMIN,
        body=VerificationRequest,
    ),
    Endpoint(
        name="introspect",
        method="POST",
        path="/introspect",
        handler=inspection.introspect,
        access=Access.CLIENT_OR_ADMIN,
        manner=Manner.TOKEN,
        body=IntrospectionForm,
    ),
    Endpoint(
        name="revoke",
        method="POST",
        path="/revoke",
        handler=inspection.revoke,
        access=Access.CLIENT_OR_ADMIN,
        manner=Manner.TOKEN,
        body=RevocationForm,
    ),
    Endpoint(
        name="token_batch",
        method="POST",
        path="/token/batch",
        handler=tokens.token_batch,
        access=Access.CARRIED,
        manner=Manner.TOKEN,
        body=TokenBatch,
    ),
    Endpoint(
        name="register",
        method="POST",
        path="/register",
        handler=registration.register,
        access=Access.ADMIN,
        manner=Manner.REGISTRATION,
        body=RegistrationRequest,
        status=201,
    ),
    Endpoint(
        name="confirm",
        method="POST",
        path="/register/confirm",
        handler=registration.confirm,
        access=Access.CARRIED,
        manner=Manner.TOKEN,
        body=ConfirmationRequest,
    ),
    Endpoint(
        name="read_agent", method="GET", path=_AGENT, handler=registration.read_agent, access=Access.MANAGER
    ),
    Endpoint(
        name="update_agent",
        method="PUT",
        path=_AGENT,
        handler=registration.update_agent,
        access=Access.MANAGER,
        manner=Manner.REGISTRATION,
        body=UpdateRequest,
    ),
    Endpoint(
        name="delete_agent",
        method="DELETE",
        path=_AGENT,
        handler=registration.delete_agent,
        access=Access.MANAGER,
        status=204,
    ),
    Endpoint(
        name="rotate_secret",
        method="POST",
        path=f"{_AGENT}/secret",
        handler=registration.rotate_secret,
        access=Access.MANAGER,
        manner=Manner.REGISTRATION,
    ),
    Endpoint(
        name="disable_agent",
        method="POST",
        path="/admin/agents/{client_id}/disable",
        handler=registration.disable_agent,
        access=Access.ADMIN,
        body=ReasonRequest,
    ),
    Endpoint(
        name="enable_agent",
        method="POST",
        path="/admin/agents/{client_id}/enable",
        handler=registration.enable_agent,
        access=Access.ADMIN,
    ),
    Endpoint(
        name="list_agents",
        method="GET",
        path="/admin/agents",
        handler=admin.agents,
        access=Access.ADMIN,
        query=("owner", "status", "after", "limit"),
    ),
    Endpoint(
        name="list_grants",
        method="GET",
        path="/admin/grants",
        handler=admin.grants,
        access=Access.ADMIN,
        query=("client_id", "owner", "principal", "task_id", "before", "limit"),
    ),
    Endpoint(
        name="tree",
        method="GET",
        path="/admin/grants/{grant_id}/tree",
        handler=admin.tree,
        access=Access.ADMIN,
        query=("after", "limit"),
    ),
    Endpoint(
        name="reauthorize_grant",
        method="POST",
        path="/admin/grants/{grant_id}/reauthorize",
        handler=admin.reauthorize,
        access=Access.ADMIN,
    ),
    Endpoint(
        name="audit",
        method="GET",
        path="/admin/audit",
        handler=admin.audit,
        access=Access.ADMIN,
        query=("client_id", "grant_id", "event_type", "status", "before", "limit"),
    ),
    Endpoint(name="policy", method="GET", path="/admin/policy", handler=admin.policy, access=Access.ADMIN),
    Endpoint(
        name="revoke_by_name",
        method="POST",
        path="/admin/revocations",
        handler=inspection.revoke_by_name,
        access=Access.ADMIN,
        body=RevocationRequest,
    ),
    Endpoint(
        name="rotate_key",
        method="POST",
        path="/admin/keys",
        handler=admin.rotate_key,
        access=Access.ADMIN,
        body=KeyRequest,
        status=201,
    ),
    Endpoint(
        name="marks",
        method="GET",
        path="/marks",
        handler=announcing.marks,
        access=Access.PUBLIC,
        query=("after",),
    ),
    Endpoint(
        name="status_list",
        method="GET",
        path="/statuslists/{number}",
        handler=announcing.status_list,
        access=Access.PUBLIC,
    ),
    Endpoint(name="jwks", method="GET", path="/jwks", handler=discovery.jwks, access=Access.PUBLIC),
    Endpoint(name="health", method="GET", path="/healthz", handler=discovery.health, access=Access.PUBLIC),
    Endpoint(name="metrics", method="GET", path="/metrics", handler=discovery.metrics, access=Access.PUBLIC),
)
