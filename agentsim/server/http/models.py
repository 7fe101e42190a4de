"""What requests may say, as models: they check the bodies, and the OpenAPI description is made from them.

Forms are flat, and their lists are space-delimited strings as OAuth's ``scope`` is; JSON takes such a string or a
list. Members that are not named here are ignored (RFC 6749 section 3.2).
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MOST_TOGETHER = 1_000
#: What a client is told of its registration and must not send back (RFC 7592 section 2.2).
_NOT_TO_SEND = frozenset(
    "registration_access_token registration_client_uri client_secret_expires_at client_id_issued_at".split()
)


def _as_list(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    joinable = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return " ".join(value) if joinable else value


def _as_number(value: Any) -> Any:
    is_number = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 18
    return int(value) if is_number else value


#: A whole number; its digits are one, too, since forms hold texts alone.
Units = Annotated[int, BeforeValidator(_as_number, json_schema_input_type=int | str)]
#: A list of names; a space-delimited string is one, too.
Names = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=list[str] | str)]
#: A space-delimited string; a list of strings is one, too.
Text = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | list[str])]


class Model(BaseModel):
    """Strict about types, deaf to unknown members."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class ClientForm(Model):
    """Authentication in the body: ``client_secret_post`` or ``private_key_jwt``."""

    client_id: str | None = None
    client_secret: str | None = None
    client_assertion_type: str | None = None
    client_assertion: str | None = None


class TaskForm(Model):
    """What a request for a grant says of the task that it is for."""

    scope: Text | None = Field(None, description="What the token is for; space-delimited.")
    resource: Names | None = Field(None, description="Resource servers that it is for (RFC 8707).")
    audience: Names | None = Field(None, description="The same, by RFC 8693.")
    task_id: str | None = Field(None, description="The task that the token is bound to; made up if left out.")
    task_description: str = ""
    required_tools: Names | None = None
    required_resources: Names | None = None
    scope_level: str | None = None
    budget: Units | None = Field(None, description="What the grant may spend, in the policy's units.")
    authorization_details: str | list[Any] | None = Field(
        None,
        description="RFC 9396, of type agent_task: tools, resources, task and level in the standard way.",
    )


class AuthorizationForm(TaskForm):
    """An authorization request (RFC 6749 section 4.1.1) with PKCE (RFC 7636), and what the person decides."""

    client_id: str | None = None
    redirect_uri: str | None = None
    response_type: str | None = None
    state: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    lifetime: Units | None = Field(None, description="Seconds that the grant may last.")


class TokenForm(ClientForm, TaskForm):
    """A token request: client_credentials, authorization_code, token exchange (RFC 8693) or refresh_token."""

    grant_type: str | None = None
    code: str | None = None
    redirect_uri: str | None = None
    code_verifier: str | None = None
    may_act: str | None = Field(
        None, description="The one agent of another owner that may take a child token."
    )
    parent_token: str | None = Field(None, description="Makes it a request for a child token.")
    parent_task_id: str | None = None
    scope_inheritance: str = "restricted"
    subject_token: str | None = None
    subject_token_type: str | None = None
    actor_token: str | None = None
    actor_token_type: str | None = None
    requested_token_type: str | None = None
    refresh_token: str | None = None


class TokenBatch(Model):
    """Token requests of one owner's agents, each answered by itself."""

    owner: str = Field(description="The owner of all agents that ask here.")
    requests: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_TOGETHER)


class IntrospectionForm(ClientForm):
    """RFC 7662 section 2.1, and whether to tell the task history."""

    token: str | None = None
    token_type_hint: str | None = None
    include_task_history: str | None = Field(None, description="true or false")


class RevocationForm(ClientForm):
    """RFC 7009 section 2.1."""

    token: str | None = None
    token_type_hint: str | None = None


class Use(Model):
    """What a token is to be used for, and by whom."""

    scope: Text | None = None
    task_id: str | None = None
    parent_task_id: str | None = None
    task_description: str | None = None
    required_tools: Names = []
    required_resources: Names = []
    audience: str | None = Field(None, description="The resource server that asks: the token must be for it.")
    caller: str | None = Field(None, description="Who presented the token.")
    include_history: bool = True


class VerificationItem(Use):
    """One token and what it is to be used for."""

    token: str


class VerificationRequest(Use, ClientForm):
    """One token, or up to a thousand under ``requests``."""

    token: str | None = None
    requests: list[VerificationItem] | None = Field(None, min_length=1, max_length=MOST_TOGETHER)


class RegistrationRequest(Model):
    """Client metadata (RFC 7591 section 2) and what the document registers of an agent."""

    client_name: str | None = None
    agent_name: str | None = Field(None, description="The same as client_name.")
    description: str = ""
    allowed_tools: Names
    resource_access: Names
    max_scope_level: str = "restricted"
    scope: Text = Field("", description="Scopes beside each tool with each resource, such as email.read.")
    role: str = "agent"
    owner: str | None = Field(None, description="Whose agent it is; the administrator's if left out.")
    actor_class: str = "agent"
    grant_types: Names | None = None
    redirect_uris: list[str] = []
    token_endpoint_auth_method: str = "client_secret_basic"
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    software_statement: str | None = None


class ConfirmationRequest(Model):
    """The registration token that activates an agent."""

    registration_token: str


class UpdateRequest(Model):
    """New metadata of an agent (RFC 7592 section 2.2); what is left out stays as it is."""

    client_id: str
    client_secret: str | None = Field(None, description="Where given, the present one.")
    client_name: str | None = None
    agent_name: str | None = None
    description: str | None = None
    allowed_tools: Names | None = None
    resource_access: Names | None = None
    max_scope_level: str | None = None
    scope: Text | None = None
    grant_types: Names | None = None
    redirect_uris: list[str] | None = None
    jwks: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _leaves_out_what_the_server_decides(cls, data: Any) -> Any:
        held = sorted(_NOT_TO_SEND & data.keys()) if isinstance(data, dict) else []
        if held:
            raise ValueError(f"must not hold {', '.join(held)}")
        return data


class RevocationRequest(Model):
    """What an administrator ends: exactly one of token, task_id, client_id and principal."""

    token: str | None = None
    task_id: str | None = None
    client_id: str | None = None
    principal: str | None = None
    owner: str | None = Field(None, description="Whose task or principal; the administrator's if left out.")
    reason: str = "unspecified"
    affected_task_chain: list[str] = []
    cascade: bool = True


class ReasonRequest(Model):
    """Why an agent is disabled."""

    reason: str = "disabled"


class KeyRequest(Model):
    """The algorithm of the next signing key."""

    alg: str = "EdDSA"
