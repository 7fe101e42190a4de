"""A soak from its beginning to its record: one part after the other, each with a database of its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import pandas as pd
from sqlalchemy import make_url

from agentsim.experiments.bench.schemas import new_schemas
from agentsim.experiments.soak.faults.faults import faults
from agentsim.experiments.soak.hostile.inputs import inputs
from agentsim.experiments.soak.kills.crashes import crashes
from agentsim.experiments.soak.load.load import load
from agentsim.experiments.soak.load.traffic import CONNECTIONS, RATE
from agentsim.experiments.soak.record import PARTS, Manifest, Part, Soak, check_target, write
from agentsim.experiments.soak.tally import Tally
from agentsim.run.provenance import code, commit, versions

#: Of what is asked and when servers are killed.
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a soak does.

    Attributes
    ----------
    seconds : how long there is load.
    kills : how often a server is killed.
    database : URL of a PostgreSQL whose user may create schemas; None: temporary SQLite files.
    only : the one part that is done; None: all.
    """

    seconds: float = 900.0
    kills: int = 30
    database: str | None = None
    only: Part | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is done, in order."""
        return PARTS if self.only is None else (self.only,)


@dataclass(kw_only=True)
class Soaking:
    """A soak under way; what has been counted so far is in ``tallies``, whenever it is interrupted."""

    settings: Settings
    progress: bool = False
    tallies: list[Tally] = field(default_factory=list)

    def run(self, out: Path) -> Soak:
        """Do all that was asked for, and write it down.

        Raises
        ------
        SoakError
            If the directory holds something else.
        BenchError
            If a server does not come up, or the database cannot be used.
        """
        check_target(out)
        created, began = datetime.now(UTC).isoformat(timespec="seconds"), perf_counter()
        frame: pd.DataFrame | None = None
        for part in self.settings.parts:
            with _room(self.settings.database) as (folder, database):
                made = self._do(part, folder, database)
                frame = frame if made is None else made
        manifest = Manifest(
            seed=SEED,
            parts=self.settings.parts,
            seconds=self.settings.seconds,
            kills=self.settings.kills,
            database="PostgreSQL" if self.settings.database else "SQLite",
            rate=RATE,
            connections=CONNECTIONS,
            created_at=created,
            wall_seconds=perf_counter() - began,
            reproduce=_command(self.settings, out),
            versions=versions(),
            commit=commit(),
            code=code(),
            tallies=self.tallies,
        )
        return write(out, manifest, frame)

    def _do(self, part: Part, folder: Path, database: str | None) -> pd.DataFrame | None:
        """One part; a table where it is the load."""
        match part:
            case "load":
                return load(
                    seconds=self.settings.seconds,
                    folder=folder,
                    database=database,
                    seed=SEED,
                    tallies=self.tallies,
                    progress=self.progress,
                )
            case "kills":
                self.tallies += crashes(
                    kills=self.settings.kills,
                    folder=folder,
                    database=database,
                    seed=SEED,
                    progress=self.progress,
                )
            case "faults":
                self.tallies += faults(folder=folder, database=database, progress=self.progress)
            case "inputs":
                self.tallies += inputs(folder=folder, database=database, step=1, progress=self.progress)
        return None


@contextmanager
def _room(database: str | None) -> Iterator[tuple[Path, str | None]]:
    """An empty directory and, in a PostgreSQL, an empty schema."""
    with TemporaryDirectory(prefix="agentsim-soak-") as folder:
        if database is None:
            yield Path(folder), None
        else:
            with new_schemas(database, 1) as (url,):
                yield Path(folder), url


def _command(settings: Settings, out: Path) -> str:
    words = ["agentsim", "soak", "--out", str(out), "--seconds", f"{settings.seconds:g}"]
    words += ["--kills", str(settings.kills)]
    if settings.database:
        words += ["--db", make_url(settings.database).render_as_string(hide_password=True)]
    if settings.only:
        words += ["--only", settings.only]
    return shlex.join(words)
