"""A soak on disk.

DIR/soak.json       what was done with what, and what each kind of trial counted; written last
DIR/load.parquet    a row for each second under load, where there was one
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentsim.errors import UserError
from agentsim.experiments.soak.tally import Tally
from agentsim.inputs import MEGABYTE, read_bounded, too_long
from agentsim.run.files import replacing, sha256

NAME, LOAD = "soak.json", "load.parquet"
_LARGEST, _LARGEST_LOAD = 16 * MEGABYTE, 64 * MEGABYTE
#: What each row must tell; there is a column for each kind of request beside these.
_COLUMNS = {"second", "errors", "dropped", "p50_ms", "p99_ms", "rss_mb"}

Part = Literal["load", "kills", "faults", "inputs"]
PARTS: tuple[Part, ...] = ("load", "kills", "faults", "inputs")


class SoakError(UserError):
    """A directory holds no soak, or a damaged or newer one, or something else where one is to be written."""


class Manifest(BaseModel):
    """What a soak says of itself."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[1] = 1
    kind: Literal["soak"] = "soak"
    seed: int
    #: What was done, in order.
    parts: tuple[Part, ...]
    seconds: float
    kills: int
    #: ``SQLite`` or ``PostgreSQL``.
    database: str
    #: Requests a second, and connections that carried them.
    rate: float
    connections: int
    created_at: str
    wall_seconds: float
    #: The command that makes another like it.
    reproduce: str
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    #: SHA-256 of the package's own source.
    code: str | None = None
    tallies: list[Tally]
    #: SHA-256 of ``load.parquet``; None where there was no load.
    load: str | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing went wrong."""
        return all(tally.sound for tally in self.tallies)


class Soak:
    """A soak opened for reading.

    Parameters
    ----------
    path : directory that holds ``soak.json``.

    Raises
    ------
    SoakError
        If there is none, it cannot be read, or was written by a newer format.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest = _read(self.path / NAME)

    @cached_property
    def load(self) -> pd.DataFrame:
        """A row for each second under load; empty where there was none.

        Raises
        ------
        SoakError
            If it is missing, not the one that was written, or cannot be read.
        """
        if self.manifest.load is None:
            return pd.DataFrame(columns=sorted(_COLUMNS), dtype=float)
        file = self.path / LOAD
        try:
            if file.stat().st_size > _LARGEST_LOAD:
                raise too_long(file, _LARGEST_LOAD)
            if sha256(file) != self.manifest.load:
                raise SoakError(f"{file}: not the file that was written; {_again(self.manifest)}")
            frame = pd.read_parquet(file)
        except OSError as exc:
            raise SoakError(
                f"{file}: cannot be read: {exc.strerror or exc}; {_again(self.manifest)}"
            ) from exc
        except pa.ArrowInvalid as exc:
            raise SoakError(f"{file}: cannot be read: {exc}; {_again(self.manifest)}") from exc
        if not _COLUMNS <= set(frame):
            raise SoakError(f"{file}: columns are missing; {_again(self.manifest)}")
        return frame

    @property
    def dropped(self) -> float:
        """The share of the requests that could not be sent in time: beyond a few, waits are cut off and say little."""
        asked = self.load.drop(columns=[name for name in _COLUMNS if name != "dropped"]).to_numpy().sum()
        return float(self.load["dropped"].sum() / asked) if asked else 0.0


def is_soak(path: Path) -> bool:
    """Whether a directory holds a soak, readable or not."""
    return (path / NAME).is_file()


def check_target(path: Path) -> None:
    """Whether a soak may be written there.

    Raises
    ------
    SoakError
        If the directory holds something else.
    """
    if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not is_soak(path))):
        raise SoakError(f"{path}: not empty and no soak; choose another directory")


def write(path: Path, manifest: Manifest, frame: pd.DataFrame | None) -> Soak:
    """Write a soak in place of whatever other soak is there; ``soak.json`` last, so that there is never half of one."""
    check_target(path)
    path.mkdir(parents=True, exist_ok=True)
    digest = None
    if frame is not None:
        with replacing(path / LOAD) as temporary:
            frame.to_parquet(temporary, index=False)
            digest = sha256(temporary)
    told = manifest.model_copy(update={"load": digest})
    with replacing(path / NAME) as temporary:
        temporary.write_text(told.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if frame is None:
        (path / LOAD).unlink(missing_ok=True)
    return Soak(path)


def _read(file: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(read_bounded(file, _LARGEST))
    except (FileNotFoundError, NotADirectoryError):
        raise SoakError(f"{file.parent}: no soak here (no {NAME}); make one with 'agentsim soak'") from None
    except OSError as exc:
        raise SoakError(f"{file}: cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        fault = exc.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise SoakError(f"{file}: cannot be read: {where + ': ' if where else ''}{fault['msg']}") from exc


def _again(manifest: Manifest) -> str:
    return f"make it again: {manifest.reproduce}"
