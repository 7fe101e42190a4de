"""What is asked and told about a token that somebody presents."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentsim.server.parties import Admin, Credentials


@dataclass(slots=True, kw_only=True)
class Verify:
    """Ask whether a token may be used for this, now: by the resource server that received it."""

    token: str = field(repr=False)
    scope: str | None = None
    task_id: str | None = None
    parent_task_id: str | None = None
    task_description: str | None = None
    required_tools: Sequence[str] = ()
    required_resources: Sequence[str] = ()
    #: Who asks. None: who runs the server in its own process.
    by: Admin | Credentials | None = None
    #: The resource server that asks, where the token must be meant for it.
    audience: str | None = None
    #: Who presented the token, as the resource server saw it.
    caller: str | None = None
    source_ip: str | None = None
    #: Whether to answer the agent's previous tasks and execution patterns; without, a verify costs one query less.
    include_history: bool = True


@dataclass(slots=True, kw_only=True)
class Introspect:
    """Ask what a token is (RFC 7662), with its task history where wanted."""

    token: str = field(repr=False)
    #: Who asks; others than those it concerns learn nothing. None: who runs the server in its own process.
    by: Admin | Credentials | None = None
    include_task_history: bool = False
    caller: str | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class RecordExecution:
    """Report how a tool call that a token was used for went: outcome and sizes, never contents."""

    token: str = field(repr=False)
    tool: str
    resource: str | None = None
    #: ``success`` or ``error``.
    outcome: str = "success"
    duration_us: int | None = None
    args_digest: str | None = None
    n_args: int | None = None
    arg_chars: int | None = None
    result_chars: int | None = None
    source_ip: str | None = None
