"""The database that a server serves, as commands are told of it: made, or opened where it is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.urls import without_password
from agentsim.errors import UserError

if TYPE_CHECKING:
    from agentsim.server import Store

_HOME = Path("data/server")
#: Where a served database and its keys are, unless told otherwise.
DATABASE = f"sqlite:///{_HOME}/agentsim.sqlite"
KEYS = _HOME / "keys.json"

Database = Annotated[
    str,
    typer.Option("--db", metavar="URL", help="The database: sqlite:///FILE or postgresql://USER@HOST/NAME."),
]


@contextmanager
def made_store(db: str) -> Iterator[Store]:
    """The database at a URL, made where there is none, and with the tables that this program knows.

    Raises
    ------
    UserError
        If it cannot be made, or is not one of this program's.
    """
    from agentsim.server.migrations import migrate

    if file := _sqlite_file(db):
        make_folder("--db", file.parent)
    store = _open(db, migrate)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_store(db: str) -> Iterator[Store]:
    """A served database, which is there already and of this program's tables.

    Raises
    ------
    UserError
        If there is none, or it is not one of this program's.
    """
    from agentsim.server.migrations import check

    file = _sqlite_file(db)
    # SQLite would make an empty one.
    if file is not None and not file.exists():
        raise UserError(f"--db {without_password(db)}: no such file; `agentsim serve` makes it")
    store = _open(db, check)
    try:
        yield store
    finally:
        store.close()


def make_folder(option: str, folder: Path) -> None:
    """Make a folder where there is none. Raises UserError, naming the option, where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UserError(f"{option}: cannot make the folder {folder}: {exc.strerror}") from None


def keep_time(text: str) -> int:
    """How long trees are kept, microseconds.

    Raises
    ------
    UserError
        If it is no duration, or shorter than what was announced is believed.
    """
    from agentsim.server.cleaning import LEAST_KEEP_US
    from agentsim.settings.durations import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as exc:
        raise UserError(f"--keep: {exc}") from None
    if found < LEAST_KEEP_US:
        raise UserError(f"--keep {text}: an hour at least, for which status lists may be believed")
    return found


def _open(url: str, prepare: Callable[[str], None]) -> Store:
    """The database at a URL, after it has been prepared: migrated, or only looked at."""
    from sqlalchemy.exc import DBAPIError

    from agentsim.server import Store

    try:
        prepare(url)
        return Store(url)
    except (ValueError, DBAPIError) as exc:
        reason = str(getattr(exc, "orig", exc)).strip().partition("\n")[0]
        raise UserError(f"--db {without_password(url)}: {reason}") from None


def _sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None where it is in memory or another database."""
    found = url.removeprefix("sqlite:///").partition("?")[0]
    return Path(found) if url.startswith("sqlite:///") and found else None
