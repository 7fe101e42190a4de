"""What ends grants, or lets them not be used for a while, and on what grounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from agentsim.server.parties import Admin, Credentials, Person


@dataclass(slots=True)
class Grounds:
    """Why something is done about an agent or a grant: what was to be done, how strange it was, and why, in words."""

    action: str
    score: float
    reasons: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class Revoke:
    """End a grant, a task, an agent's grants or a principal's grants, and all that hangs below.

    Exactly one of ``token``, ``grant_id``, ``task_id``, ``client_id`` and ``principal`` names what ends. A client may
    name only a token, of its own or of a grant below its own, and no further tasks.
    """

    by: Admin | Credentials
    #: The owner whose task or principal is named; None: the administrator itself.
    owner: str | None = None
    token: str | None = None
    grant_id: int | None = None
    task_id: str | None = None
    client_id: str | None = None
    principal: str | None = None
    reason: str = "unspecified"
    grounds: Grounds | None = None
    #: Further tasks to end with it; an administrator's to name.
    affected_task_chain: Sequence[str] = ()
    #: False ends the named grant alone; only with ``token`` or ``grant_id``.
    cascade: bool = True
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Hold:
    """Let a grant not be used, refreshed or delegated from until somebody re-authorises it; what hangs below goes on."""

    by: Admin
    grant_id: int
    grounds: Grounds | None = None
    source_ip: str | None = None


@dataclass(slots=True, kw_only=True)
class Reauthorize:
    """Let a grant that is held be used again: an administrator's to say, or the person's on whose behalf it was given."""

    by: Admin | Person
    grant_id: int
    source_ip: str | None = None
