"""The Runs of a directory as one table, the newest first: what a notebook begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import overload

import pandas as pd

import agentsim
from agentsim import fragments
from agentsim.run.manifest import NAME, RunError
from agentsim.run.reading import Run

#: What the table tells of each Run, and of what is none.
COLUMNS = ("name", "kind", "scenario", "agents", "grants", "operations", "seed", "made", "status")
#: Counted as ``agentsim inspect`` counts: people are no agents, rows of the fill no operations.
_COUNTS = """
    SELECT (SELECT count(*) FROM agents WHERE actor_class <> 'human') AS agents,
           (SELECT count(*) FROM tokens WHERE token_id = grant_id) AS grants,
           (SELECT count(*) FROM audit WHERE event_type <> 'token_ended') AS operations
"""


@dataclass(frozen=True)
class Unreadable:
    """A directory with a manifest that this version cannot read, and why in one line."""

    path: Path
    reason: str


class Runs(Sequence[Run]):
    """The Runs that lie in a directory, the newest first; a notebook shows them as a table.

    Runs that are not finished, have failed or lack files are among the items, and the table says so. What cannot be
    opened as a Run at all is no item: it stands at the end of the table, and in ``unreadable``.

    Parameters
    ----------
    directory : where the Runs are, each in a directory of its own.

    Raises
    ------
    RunError
        If there is no such directory.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        try:
            folders = sorted(each for each in self.directory.iterdir() if each.is_dir())
        except OSError as exc:
            raise RunError(f"{self.directory}: no directory of Runs: {exc.strerror}") from exc
        opened, unreadable = [], []
        for folder in folders:
            if (folder / NAME).is_file():
                try:
                    opened.append(Run(folder))
                except RunError as exc:
                    unreadable.append(Unreadable(folder, fragments.one_line(exc)))
        self._runs = tuple(sorted(opened, key=_made, reverse=True))
        self.unreadable = tuple(unreadable)
        #: Directories that are no Runs but hold some: of a sweep, of companions.
        self.below = tuple(folder for folder in folders if any(folder.glob(f"*/{NAME}")))

    def __len__(self) -> int:
        return len(self._runs)

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Run]: ...
    def __getitem__(self, place: int | slice) -> Run | Sequence[Run]:
        return self._runs[place]

    @cached_property
    def _rows(self) -> list[tuple[object, ...]]:
        rows = [_told(run) for run in self._runs]
        return rows + [
            (each.path.name, None, None, None, None, None, None, None, f"unreadable: {each.reason}")
            for each in self.unreadable
        ]

    def frame(self) -> pd.DataFrame:
        """The table: ``COLUMNS``, with seeds as text since they may have 128 bits, and ``made`` as a time (UTC)."""
        frame = pd.DataFrame(self._rows, columns=list(COLUMNS))
        frame["made"] = pd.to_datetime(frame["made"], utc=True)
        return frame.astype(dict.fromkeys(("agents", "grants", "operations"), "Int64"))

    def __repr__(self) -> str:
        lines = [f"{self.directory}: {self._title()}"]
        if self._rows:
            shown = pd.DataFrame(
                [map(fragments.one_line, row) for row in self._shown()], columns=list(COLUMNS)
            )
            lines.append(shown.to_string(index=False, max_colwidth=90))
        return "\n".join([*lines, *self._notes()])

    def _repr_html_(self) -> str:
        notes = map(fragments.paragraph, self._notes())
        return fragments.fragment(
            f"{self.directory}: {self._title()}", fragments.table(COLUMNS, self._shown()), *notes
        )

    def _shown(self) -> list[tuple[object, ...]]:
        """The rows for people: of a moment, the minute is enough."""
        return [
            (*row[:7], f"{row[7]:%Y-%m-%d %H:%M}" if isinstance(row[7], datetime) else None, row[8])
            for row in self._rows
        ]

    def _title(self) -> str:
        return f"{len(self)} Run{'' if len(self) == 1 else 's'}"

    def _notes(self) -> list[str]:
        if self.below:
            names = ", ".join(str(folder) for folder in self.below)
            return [f"More Runs are in {names}."]
        return [] if self._rows else ["No Run here yet; make one with 'agentsim simulate'."]


def runs(directory: Path | str = "data/runs") -> Runs:
    """The Runs of a directory; a relative one is looked up here, then in the checkout (for notebooks opened elsewhere)."""
    path = Path(directory)
    checkout = Path(agentsim.__file__).resolve().parent.parent / path
    return Runs(checkout if not path.exists() and checkout.is_dir() else path)


def state(run: Run) -> str:
    """How far a Run has come, and what is wrong with it, in one line."""
    manifest = run.manifest
    gone = [name for name in manifest.files if not (run.path / name).is_file()]
    if gone:
        return f"damaged: {len(gone)} of its files are missing, the first is {gone[0]}"
    if manifest.failed:
        tenant, failure = next(iter(manifest.failed.items()))
        return fragments.one_line(f"failed: tenant {tenant} in stage {failure}")
    if manifest.status != "complete":
        return f"not finished: {len(manifest.tenants)} tenants are; the same command goes on"
    return manifest.status


def _told(run: Run) -> tuple[object, ...]:
    manifest, status = run.manifest, state(run)
    try:
        counts: list[int | None] = [int(value) for value in run.sql(_COUNTS).iloc[0]]
    except RunError as exc:
        counts = [None, None, None]
        status = status if status.startswith("damaged") else f"damaged: {fragments.one_line(exc)}"
    seed = None if manifest.seed is None else str(manifest.seed)
    name = run.path.resolve().name
    return (name, manifest.kind, manifest.name, *counts, seed, _moment(manifest.created_at), status)


def _made(run: Run) -> tuple[datetime, str]:
    return _moment(run.manifest.created_at) or datetime.min.replace(tzinfo=UTC), run.path.name


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
