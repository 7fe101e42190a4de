"""Needs: the keys of the rows that operations lead to, so that one load serves a whole batch."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agentsim.server.assertions import peek
from agentsim.server.credentials import parse_client_name, parse_keyed_token
from agentsim.server.errors import InvalidToken
from agentsim.server.operations import Operation
from agentsim.server.operations.agents import (
    Confirm,
    Disable,
    Enable,
    ReadAgent,
    Register,
    RotateSecret,
    UpdateAgent,
)
from agentsim.server.operations.consent import AskConsent, Deny, Redeem, Withdraw
from agentsim.server.operations.ends import Hold, Reauthorize, Revoke
from agentsim.server.operations.grants import Issue, IssueChild, Refresh
from agentsim.server.operations.notes import (
    NoteKeyRotation,
    NotePolicy,
    NoteRefusal,
    NoteSignIn,
    NoteTruncation,
)
from agentsim.server.operations.uses import Introspect, RecordExecution, Verify
from agentsim.server.parties import Admin, ClientAssertion, Credentials
from agentsim.server.tokens import TokenCodec


@dataclass(slots=True)
class Needs:
    """The keys that a batch's operations lead to: what to load for it."""

    #: Whether all agents in the lineage of each token are wanted: the policy has lists of agents.
    with_lineage: bool = False
    clients: set[int] = field(default_factory=set)
    tokens: set[int] = field(default_factory=set)
    grants: set[int] = field(default_factory=set)
    #: Clients and owners whose previous tasks, and grants whose execution logs, are wanted.
    task_history_of: set[tuple[int, str]] = field(default_factory=set)
    logs_of: set[int] = field(default_factory=set)
    codes: set[int] = field(default_factory=set)
    #: Grants whose budgets are wanted.
    budgets: set[int] = field(default_factory=set)
    #: Keys of client assertions: which of them have been used.
    assertions: set[bytes] = field(default_factory=set)


def collect(
    codec: TokenCodec, operation: Operation, needs: Needs, *, with_agent: Callable[[int], bool]
) -> None:
    """Add the keys that an operation leads to.

    Parameters
    ----------
    with_agent : whether the agent of a token that is asked about is wanted, too.
    """
    match operation:
        # What comes most often comes first.
        case Verify(by=by, token=token, include_history=history):
            _collect_caller(by, needs)
            _collect_token(codec, token, needs, with_agent=with_agent, tasks=history)
        case RecordExecution(token=token):
            _collect_token(codec, token, needs)
        case Register():
            pass
        case NoteRefusal() | NoteKeyRotation() | NotePolicy() | NoteSignIn() | NoteTruncation():
            pass
        case AskConsent() | Deny():
            _add(needs.clients, parse_client_name(operation.client_id))
        case Redeem(by=by, code=code):
            _collect_caller(by, needs)
            _add(needs.codes, parse_keyed_token("ac", code))
        case Withdraw(grant_id=grant_id) | Hold(grant_id=grant_id) | Reauthorize(grant_id=grant_id):
            _add(needs.tokens, grant_id)
        case Confirm(registration_token=token):
            _add(needs.clients, parse_keyed_token("reg", token))
        case ReadAgent() | UpdateAgent() | RotateSecret() | Disable() | Enable():
            _add(needs.clients, parse_client_name(operation.client_id))
        case Issue(by=by):
            _collect_caller(by, needs)
        case IssueChild(by=by, parent_token=token):
            _collect_caller(by, needs)
            _collect_token(codec, token, needs)
        case Refresh(by=by, refresh_token=token):
            _collect_caller(by, needs)
            _add(needs.tokens, parse_keyed_token("rt", token))
        case Introspect(by=by, token=token, include_task_history=history):
            _collect_caller(by, needs)
            _add(needs.tokens, parse_keyed_token("rt", token))
            _collect_token(codec, token, needs, with_agent=with_agent, logs=history)
        case Revoke(by=by, token=revoked, client_id=client_id, grant_id=grant_id):
            _collect_caller(by, needs)
            _add(needs.tokens, grant_id)
            if revoked is not None:
                _add(needs.tokens, parse_keyed_token("rt", revoked))
            if client_id is not None:
                _add(needs.clients, parse_client_name(client_id))


def _collect_caller(by: Admin | Credentials | None, needs: Needs) -> None:
    if by is None or isinstance(by, Admin):
        return
    _add(needs.clients, parse_client_name(by.client_id))
    if isinstance(by, ClientAssertion):
        seen = peek(by.assertion)
        if seen is not None:
            needs.assertions.add(seen.key)


def _collect_token(
    codec: TokenCodec,
    token: str,
    needs: Needs,
    *,
    with_agent: Callable[[int], bool] | None = None,
    tasks: bool = False,
    logs: bool = False,
) -> None:
    try:
        claims = codec.decode(token)
    except InvalidToken:
        return
    needs.grants.add(claims.grant_id)
    if claims.budget is not None:
        needs.budgets.add(claims.grant_id)
    if needs.with_lineage:
        needs.clients.update(client for _, client, _ in claims.lineage)
    if with_agent is not None and with_agent(claims.client_id):
        needs.clients.add(claims.client_id)
    if tasks:
        needs.task_history_of.add((claims.client_id, claims.owner))
    if logs:
        needs.logs_of.add(claims.grant_id)


def _add(keys: set[int], key: int | None) -> None:
    if key is not None:
        keys.add(key)
