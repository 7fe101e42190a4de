"""What nobody asks for, and the audit trail keeps all the same."""

from dataclasses import dataclass

from agentsim.server.parties import Admin


@dataclass(slots=True, kw_only=True)
class NoteSignIn:
    """Keep that somebody signed in, or tried to."""

    account: str
    granted: bool
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteRefusal:
    """Keep that requests were refused before they became operations; like ones may come as a count."""

    endpoint: str
    reason: str
    count: int | None = 1
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteKeyRotation:
    """Keep that another key signs from now on."""

    by: Admin
    kid: str
    alg: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NotePolicy:
    """Keep that other rules stand from now on."""

    by: Admin
    digest: str
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class NoteTruncation:
    """Keep that old rows of an audit chain go: how many, up to which, and how many there have been up to there."""

    by: Admin
    chain: int
    last: int
    rows: int
    length: int
    source_ip: str | None = None
