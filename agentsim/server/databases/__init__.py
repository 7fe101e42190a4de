"""The databases that the server's tables may lie in: what differs between them, apart from the statements."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from agentsim.server.databases.base import ConflictError, Database
from agentsim.server.databases.postgresql import PostgreSQL
from agentsim.server.databases.sqlite import SQLite

__all__ = ["ConflictError", "Database", "PostgreSQL", "SQLite", "open_database", "parse_url"]

_KINDS: dict[str, type[Database]] = {
    "sqlite": SQLite,
    "postgresql": PostgreSQL,
    "postgresql+psycopg": PostgreSQL,
    "postgres": PostgreSQL,
}


def open_database(database: Path | str | None, synchronous: str) -> Database:
    """The database of a path, a URL, or in memory.

    Parameters
    ----------
    database : an SQLite file; a URL (``sqlite:///file``, ``postgresql://host/name``); None: SQLite in memory.
    synchronous : see :class:`agentsim.server.Store`.

    Raises
    ------
    ValueError
        If a text is no URL, or names a database that is not served. A URL may hold a password: it is not told.
    """
    if not isinstance(database, str):
        return SQLite(URL.create("sqlite", database=str(database) if database else None), synchronous)
    url = parse_url(database)
    kind = _KINDS.get(url.drivername)
    if kind is None:
        raise ValueError(
            f"databases of the kind {url.drivername!r} are not served: take sqlite or postgresql"
        )
    return kind(url, synchronous)


def parse_url(text: str) -> URL:
    """The URL of a database, in parts.

    Raises
    ------
    ValueError
        If it is none. It may hold a password, and is not told.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The latter of a port that is no number.
        raise ValueError(
            "a database is named by a URL, as sqlite:///agentsim.db or postgresql://host/name"
        ) from None
    if "@" in (url.host or ""):
        # A driver that looks for such a host says what it is called.
        raise ValueError("an @ in a password is written %40")
    return url
