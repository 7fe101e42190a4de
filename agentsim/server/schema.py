"""The server's tables, as declarative models.

Agents, IssuedTokens and TaskAuditLog keep the column names of the document that this server
implements; grant ids, lineage keys, marks and the audit chain are what the work needs beside them.
The hot path uses ``Model.__table__`` with SQLAlchemy Core; people may use the models.

Conventions: times are integer microseconds since the epoch; ids are time-ordered 63-bit integers
(:mod:`agentsim.server.ids`); scopes, tools and resources are canonical text, sorted and separated by
single spaces; every ``*_hash`` and ``registration_token`` is a SHA-256 digest, never the secret itself.
"""

from typing import ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The metadata that all tables share."""

    type_annotation_map: ClassVar = {int: BigInteger, str: Text, bytes: LargeBinary}


class Agent(Base):
    """A registered agent. It may act once it has been confirmed (``is_active``)."""

    __tablename__ = "agents"

    client_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Null for an agent that authenticates itself with its own key.
    client_secret_hash: Mapped[bytes | None]
    agent_name: Mapped[str]
    description: Mapped[str]
    registered_allowed_tools: Mapped[str]
    registered_allowed_res: Mapped[str]
    #: Scopes beside tool x resource, mostly atoms such as ``email.read`` (RFC 7591 ``scope``).
    registered_scope: Mapped[str]
    max_scope_level: Mapped[str]
    #: SHA-256 of the registration token; null once it has been used.
    registration_token: Mapped[bytes | None]
    registration_expires_at: Mapped[int]
    is_active: Mapped[bool]
    disabled_at: Mapped[int | None]
    #: SHA-256 of the registration access token (RFC 7592 section 3).
    registration_access_hash: Mapped[bytes]
    grant_types: Mapped[str]
    redirect_uris: Mapped[str]
    token_endpoint_auth_method: Mapped[str]
    #: The agent's public keys (RFC 7517) as JSON.
    jwks: Mapped[str | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]
    owner: Mapped[str]
    role: Mapped[str]
    actor_class: Mapped[str]


class IssuedToken(Base):
    """One issue of a grant: an access token and, mostly, the refresh token that came with it.

    The first issue of a grant has ``token_id == grant_id``; every refresh adds a row with the same
    ``grant_id``. ``lineage`` holds (grant, client, task key) of the root, ..., of the grant itself as
    little-endian int64 triples.
    """

    __tablename__ = "issued_tokens"
    __table_args__ = (
        # The newest tasks of an agent are looked up whenever one of its tokens is verified.
        Index("ix_issued_tokens_client", "client_id", "token_id"),
        Index("ix_issued_tokens_root", "root_grant_id", "token_id"),
        Index("ix_issued_tokens_task", "task_key"),
        # A principal is the same in a whole tree, so its roots tell where to look.
        Index(
            "ix_issued_tokens_principal",
            "principal",
            "token_id",
            sqlite_where=text("token_id = root_grant_id"),
            postgresql_where=text("token_id = root_grant_id"),
        ),
        # No index names what a fill changes, not even in its condition, and a page has room for a second version of each
        # of its rows: so PostgreSQL changes a row within its page and touches no index (HOT), four times as fast.
        Index(
            "ix_issued_tokens_status",
            "status_index",
            sqlite_where=text("status_index IS NOT NULL"),
            postgresql_where=text("status_index IS NOT NULL"),
        ),
        # A root ends last in its tree: what a clean-up may remove.
        Index(
            "ix_issued_tokens_end",
            "grant_expires_at",
            sqlite_where=text("token_id = root_grant_id"),
            postgresql_where=text("token_id = root_grant_id"),
        ),
        {"postgresql_with": {"fillfactor": 50}},
    )

    token_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    client_id: Mapped[int] = mapped_column(ForeignKey("agents.client_id"))
    access_token_hash: Mapped[bytes]
    refresh_token_hash: Mapped[bytes | None]
    scope: Mapped[str]
    granted_tools: Mapped[str]
    granted_resources: Mapped[str]
    max_scope_level: Mapped[str]
    task_id: Mapped[str]
    parent_task_id: Mapped[str | None]
    #: The very token that bounded this grant when it was made (null for a root).
    parent_token_id: Mapped[int | None]
    task_description: Mapped[str]
    scope_inheritance_type: Mapped[str]
    issued_at: Mapped[int]
    expires_at: Mapped[int]
    #: Filled in after a mark; whether a token is active never depends on it.
    is_revoked: Mapped[bool]
    revoked_at: Mapped[int | None]
    revocation_reason: Mapped[str | None]
    revocation_id: Mapped[int | None]
    grant_id: Mapped[int]
    parent_grant_id: Mapped[int | None]
    root_grant_id: Mapped[int]
    depth: Mapped[int]
    lineage: Mapped[bytes]
    #: SHA-256 of (owner, task_id), first eight bytes as a signed integer: what a task mark names.
    task_key: Mapped[int]
    #: No refresh carries the grant beyond this moment; never later than the parent's.
    grant_expires_at: Mapped[int]
    #: The token whose refresh token was exchanged for this one.
    previous_token_id: Mapped[int | None]
    refresh_consumed_at: Mapped[int | None]
    #: The resource servers that the token is for, separated by spaces.
    audience: Mapped[str]
    #: The one agent of another owner that may take a child token below (RFC 8693 section 4.4).
    may_act: Mapped[int | None]
    #: Whether the grant was asked for with ``authorization_details`` (RFC 9396).
    authorization_details: Mapped[bool]
    principal: Mapped[str]
    owner: Mapped[str]
    role: Mapped[str]
    actor_class: Mapped[str]
    #: What the grant may spend, in the policy's units; null: it is not budgeted.
    budget: Mapped[int | None]
    #: The token's place in the status lists of its writer; null where its policy has none.
    status_index: Mapped[int | None]


class AuditRow(Base):
    """One decision, granted or refused, or one row filled in after a mark.

    ``row_hash`` is SHA-256 over the previous row's hash of the same chain and this row's other columns.
    ``grant_id`` is the grant that the decision was about: the new one of a successful issue, the one asked
    on (the parent's) of a refused delegation. ``access_token_hash`` is kept where what was presented does
    not lead to a token of ours.
    """

    __tablename__ = "task_audit_log"
    __table_args__ = (Index("ix_task_audit_log_grant", "grant_id", "log_id"),)

    log_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chain: Mapped[int]
    client_id: Mapped[int | None]
    token_id: Mapped[int | None]
    access_token_hash: Mapped[bytes | None]
    grant_id: Mapped[int | None]
    parent_grant_id: Mapped[int | None]
    root_grant_id: Mapped[int | None]
    task_id: Mapped[str | None]
    parent_task_id: Mapped[str | None]
    event_type: Mapped[str]
    timestamp: Mapped[int]
    #: ``granted`` or ``refused``.
    status: Mapped[str]
    #: Why it was refused, or why a token was ended: a machine code.
    reason: Mapped[str | None]
    source_ip: Mapped[str | None]
    details: Mapped[str]
    row_hash: Mapped[bytes]


class RevocationMark(Base):
    """A mark: from its commit on, nothing that carries its key is active.

    ``closure`` is ``pending`` until the rows below have been filled in, then ``closed``; ``cursor`` is the
    last token the fill has dealt with, so that it can resume.
    """

    __tablename__ = "revocations"
    __table_args__ = (
        Index(
            "ix_revocations_pending",
            "revocation_id",
            sqlite_where=text("closure = 'pending'"),
            postgresql_where=text("closure = 'pending'"),
        ),
    )

    revocation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: ``grant``, ``grant_only`` (no cascade), ``task``, ``client`` or ``principal``.
    kind: Mapped[str]
    key: Mapped[int]
    #: The key in words: a grant id, a task_id, a client_id, a principal.
    subject: Mapped[str]
    owner: Mapped[str]
    reason: Mapped[str]
    revoked_by: Mapped[str]
    revoked_at: Mapped[int]
    closure: Mapped[str]
    cursor: Mapped[int]
    affected_grants: Mapped[int]
    affected_tokens: Mapped[int]


class EndedTasks(Base):
    """The first tasks whose grants a mark has ended, in order of issue, as a JSON array."""

    __tablename__ = "ended_tasks"

    revocation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tasks: Mapped[str]


class Administrator(Base):
    """Whose bearer token opens the administrators' endpoints, where none is given from outside."""

    __tablename__ = "administrators"

    name: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes]
    created_at: Mapped[int]


class UsedAssertion(Base):
    """A client assertion that has been used, once (RFC 7523 section 3, ``jti``); of no use after its expiry."""

    __tablename__ = "used_assertions"
    __table_args__ = (Index("ix_used_assertions_expiry", "expires_at"),)

    #: SHA-256 of the client and the assertion's ``jti``.
    assertion_key: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[int]


class BudgetRow(Base):
    """What a grant may spend, and has. Rows are there for budgeted grants alone."""

    __tablename__ = "budgets"
    __table_args__ = (
        # Those that have ended and whose rest is still to flow back to the parent.
        Index(
            "ix_budgets_open",
            "ends_at",
            sqlite_where=text("returned_at IS NULL"),
            postgresql_where=text("returned_at IS NULL"),
        ),
    )

    grant_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parent_grant_id: Mapped[int | None]
    root_grant_id: Mapped[int]
    #: ``carve-out`` or ``shared-pool``: the model of the policy under which the tree's root was granted.
    model: Mapped[str]
    #: What it was given, and how much of that it has spent or set aside for children that live.
    given: Mapped[int]
    used: Mapped[int]
    #: Of a root in the shared-pool model: what its whole tree has spent together.
    pooled: Mapped[int]
    #: From then on no token of the grant can be active.
    ends_at: Mapped[int]
    returned_at: Mapped[int | None]


class Account(Base):
    """A person who may sign in and let agents act for them."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(primary_key=True)
    #: The organisation that the person belongs to: agents of this owner may ask for consent.
    owner: Mapped[str]
    #: scrypt with its parameters and salt, as text (RFC 7914).
    password_hash: Mapped[str]
    created_at: Mapped[int]
    disabled_at: Mapped[int | None]


class SessionRow(Base):
    """A person who is signed in."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_account", "account"), Index("ix_sessions_expiry", "expires_at"))

    #: SHA-256 of the cookie's value.
    session_hash: Mapped[bytes] = mapped_column(primary_key=True)
    account: Mapped[str]
    created_at: Mapped[int]
    expires_at: Mapped[int]


class AuthorizationCode(Base):
    """A code that a person's consent made, to be redeemed once (RFC 6749 section 4.1.2)."""

    __tablename__ = "authorization_codes"

    code_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code_hash: Mapped[bytes]
    client_id: Mapped[int]
    account: Mapped[str]
    redirect_uri: Mapped[str]
    #: PKCE, always S256 (RFC 7636).
    code_challenge: Mapped[str]
    #: What was consented to, as JSON.
    terms: Mapped[str]
    created_at: Mapped[int]
    expires_at: Mapped[int]
    consumed_at: Mapped[int | None]
    #: The grant that it was redeemed for: a replay ends it.
    grant_id: Mapped[int | None]


class GrantStateRow(Base):
    """The small integer state of a grant: what it has done so far, as JSON."""

    __tablename__ = "grant_states"

    grant_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]


class AuditChain(Base):
    """The head of one audit chain: where the next row links."""

    __tablename__ = "audit_chains"

    chain: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    log_id: Mapped[int]
    row_hash: Mapped[bytes]
    length: Mapped[int]


class AuditCheckpoint(Base):
    """The head of an audit chain as it was, signed by the server (:mod:`agentsim.server.checkpoints`)."""

    __tablename__ = "audit_checkpoints"

    chain: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Rows of the chain so far.
    length: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    log_id: Mapped[int]
    row_hash: Mapped[bytes]
    signed_at: Mapped[int]
    #: Thumbprint of the key that signed.
    kid: Mapped[str]
    #: Whether the rows up to this one have been removed on purpose.
    truncated: Mapped[bool]
    #: What is signed, and the only thing to be believed: the columns beside it are there to be looked up by.
    jws: Mapped[str]
