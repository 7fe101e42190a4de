"""Schemas of a benchmark's own in a PostgreSQL: made when they are needed, and dropped whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from agentsim.experiments.bench.errors import BenchError
from agentsim.server.databases import parse_url


@contextmanager
def new_schemas(database: str, count: int) -> Iterator[list[str]]:
    """Empty schemas beside what the database holds already, until the block ends.

    Parameters
    ----------
    database : URL of a PostgreSQL whose user may create schemas.

    Yields
    ------
    A URL for each: its connections see that schema alone.

    Raises
    ------
    BenchError
        If it is no URL of a PostgreSQL, cannot be reached, or lets nobody create schemas.
    """
    try:
        url = parse_url(database)
    except ValueError as exc:
        raise BenchError(f"--db: {exc}") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise BenchError(f"--db: a PostgreSQL is named here, not {url.drivername}; SQLite is always measured")
    url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    names = [f"bench_{uuid4().hex}" for _ in range(count)]
    try:
        _run(engine, [f"CREATE SCHEMA {name}" for name in names])
    except DBAPIError as exc:
        reason = str(exc.orig).strip().partition("\n")[0]
        raise BenchError(f"--db: {reason}") from None
    try:
        targets = [url.update_query_dict({"options": f"-csearch_path={name}"}) for name in names]
        yield [target.render_as_string(hide_password=False) for target in targets]
    finally:
        _run(engine, [f"DROP SCHEMA {name} CASCADE" for name in names])


def _run(engine: Engine, statements: list[str]) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
