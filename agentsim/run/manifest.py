"""What a Run says of itself, in ``manifest.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agentsim.errors import UserError
from agentsim.fragments import one_line
from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.tables import DETERMINISTIC, FORMAT

NAME = "manifest.json"
#: A hundred thousand files take twenty.
_LARGEST = 64 * MEGABYTE
#: What comes before the digest of all that stands above it, in the last line.
_SEAL = ',\n "sha256": '
#: A table's file within the Run: a manifest leads nowhere else.
_FileName = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}/t[0-9]{4,9}-[0-9]{5,9}\.parquet$")]
#: In hexadecimal: digests are made of digests, and what is no text has none.
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]


class RunError(UserError):
    """A directory is not a Run that this version can read; the message says why and what to do."""


class FileEntry(BaseModel):
    """One finished table file."""

    model_config = ConfigDict(extra="forbid")
    sha256: _Digest
    rows: int
    bytes: int


class TenantEntry(BaseModel):
    """One finished tenant: its audit chain's head and length, and what it counted."""

    model_config = ConfigDict(extra="forbid")
    audit_head: str
    audit_rows: int
    #: The head once more, signed by the tenant's server (a JWS), and the public key (a JWK); None where no server played.
    audit_checkpoint: str | None = None
    audit_key: dict[str, str] | None = None
    #: Last simulated microsecond.
    end: int
    counts: dict[str, int] = Field(default_factory=dict)


class Failure(BaseModel):
    """Why a tenant has no tables: in which stage of its work, and what happened there."""

    model_config = ConfigDict(extra="forbid")
    stage: str
    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.type}: {self.message}"


class ForkEntry(BaseModel):
    """Where a Run goes on differently from another: which one, when, and what was set."""

    model_config = ConfigDict(extra="forbid")
    #: Directory and :meth:`Manifest.digest` of the other Run.
    run: str
    digest: str
    #: Microseconds since the simulated beginning.
    at: int
    #: Keys of the scenario with what they have from then on.
    settings: dict[str, Any]
    #: The server policy that was in force until then.
    policy: dict[str, Any]


class Manifest(BaseModel):
    """What a Run says of itself."""

    model_config = ConfigDict(extra="forbid")
    format: int = FORMAT
    #: ``simulation`` or ``replay``.
    kind: str
    name: str
    #: ``running`` until every tenant has been played, then ``complete``, or ``failed`` where some have failed.
    status: str = "running"
    seed: int | None = None
    #: The resolved scenario of a simulation; source, size and SHA-256 of the traces of a replay.
    source: dict[str, Any]
    #: The server policy that was in force, in a fork from its moment on.
    policy: dict[str, Any]
    #: None for a Run that is no fork.
    fork: ForkEntry | None = None
    #: SHA-256 of the thresholds by which uses were judged and acted upon; None where nobody judged.
    thresholds: str | None = None
    #: The command that makes the same Run again.
    reproduce: str
    created_at: str
    #: First and last simulated microsecond.
    start: int = 0
    end: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    #: SHA-256 of the package's own source: what a Run may be resumed by.
    code: str | None = None
    #: Of all sittings together, where the Run was resumed.
    wall_seconds: float = 0.0
    #: How many of the tenants the last sitting found finished.
    reused: int = 0
    tenants: dict[int, TenantEntry] = Field(default_factory=dict)
    failed: dict[int, Failure] = Field(default_factory=dict)
    files: dict[_FileName, FileEntry] = Field(default_factory=dict)

    def continues(self, other: Manifest) -> bool:
        """Whether the other Run's finished tenants are this one's: of the same input and the same code."""
        names = (
            "format",
            "kind",
            "name",
            "seed",
            "source",
            "policy",
            "fork",
            "thresholds",
            "versions",
            "code",
        )
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def digests(self) -> dict[str, str]:
        """One SHA-256 per deterministic table, over its files' names and digests in order."""
        result = {}
        for table in DETERMINISTIC:
            total = hashlib.sha256()
            for name in sorted(self.files):
                if name.startswith(f"{table}/"):
                    total.update(f"{name} {self.files[name].sha256}\n".encode())
            result[table] = total.hexdigest()
        return result

    def digest(self) -> str:
        """One SHA-256 over those of all deterministic tables."""
        return hashlib.sha256(json.dumps(self.digests(), sort_keys=True).encode()).hexdigest()

    def most(self, rule: str) -> int | None:
        """The highest value that a rule of the policy has had in this Run; None where it is not known."""
        policies = [self.policy, *([self.fork.policy] if self.fork else [])]
        values = [int(policy[rule]) for policy in policies if policy.get(rule) is not None]
        return max(values, default=None)


def write_manifest(file: Path, manifest: Manifest) -> None:
    """Write a manifest, with a digest of itself in its last line."""
    told = manifest.model_dump_json(indent=1).removesuffix("\n}")
    file.write_text(f'{told}{_SEAL}"{_digest(told)}"\n}}\n', encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """The manifest of the Run in a directory.

    Raises
    ------
    RunError
        If there is none, it cannot be read, is not what was written, or a newer version wrote it.
    """
    file = path / NAME
    try:
        text = read_bounded(file, _LARGEST).decode("utf-8")
        data = json.loads(text)
    except FileNotFoundError:
        raise RunError(f"{path}: no Run here (no {NAME}); make one with 'agentsim simulate'") from None
    except OSError as exc:
        raise RunError(f"{file}: cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise RunError(f"{file}: cannot be read: {exc}") from exc
    except RecursionError:
        raise RunError(f"{file}: cannot be read: nested too deeply") from None
    written = data.get("format") if isinstance(data, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise RunError(
            f"{path}: written in format {written}, this version reads up to {FORMAT}; update agentsim"
        )
    # Before there were digests, there was nothing to compare.
    seal = data.pop("sha256", None) if isinstance(data, dict) else None
    if seal is not None and seal != _digest(text.rpartition(_SEAL)[0]):
        raise RunError(f"{file}: not what was written; make it again: {one_line(data.get('reproduce'))}")
    try:
        return Manifest.model_validate(data)
    except ValidationError as exc:
        fault = exc.errors()[0]
        where = ".".join(map(repr, fault["loc"]))[:200]
        raise RunError(f"{file}: not a Run's manifest: {where}: {fault['msg']}") from exc


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
