"""Migrations: bring a served database to the tables that this program knows, SQLite or PostgreSQL.

A served database is migrated before it is opened; a throw-away one, as the simulator makes them, is created as the
models say (:class:`agentsim.server.Store`), which comes to the same tables and is faster. A new revision, after the
models have changed: ``python -m agentsim.server.migrations "what it adds"``, and read what it wrote.
"""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, delete, false, inspect

from agentsim.server.databases import open_database
from agentsim.server.schema import AuditChain, Base

_VERSIONS = "alembic_version"
_FOLDER = Path(__file__).parent
_WRITES_NOTHING = delete(Base.metadata.tables[AuditChain.__tablename__]).where(false())


class MigrationError(ValueError):
    """A database that this program cannot bring to its own tables."""


def migrate(database: Path | str) -> None:
    """Bring a database to the newest revision: whole, or not at all. Several processes may ask at once.

    Parameters
    ----------
    database : SQLite file, or a URL.

    Raises
    ------
    MigrationError
        If the database is newer than this program, or holds tables of ours that are not what they should be.
    ValueError
        If the URL is none, or names a kind of database that is not served.
    DBAPIError
        If it cannot be reached, or not be written.
    """
    opened = open_database(database, "FULL")
    try:
        with opened.engine.connect() as connection, connection.begin():
            opened.lock_tables(connection)
            _upgrade(connection)
            # Where there was nothing to bring up to date, nothing has been written yet: whether it can be shows here.
            connection.execute(_WRITES_NOTHING)
    finally:
        opened.close()


def check(database: Path | str) -> None:
    """Make sure that a database is one of this program's, and change nothing.

    Raises
    ------
    MigrationError
        If it holds no tables of ours, or is older or newer than this program.
    ValueError
        If the URL is none, or names a kind of database that is not served.
    """
    opened = open_database(database, "FULL")
    try:
        with opened.engine.connect().execution_options(reading=True) as connection, connection.begin():
            if not set(inspect(connection).get_table_names()) & Base.metadata.tables.keys():
                raise MigrationError("the database holds no tables of agentsim")
            found = _known_heads(connection)
            if found and found != set(ScriptDirectory.from_config(_configuration(connection)).get_heads()):
                raise MigrationError(
                    "the database is of an older agentsim: serve it, which brings it up to date"
                )
    finally:
        opened.close()


def add_revision(message: str) -> Path:
    """Write a revision file: from what the revisions so far make to what the models say."""
    database = open_database("sqlite://", "OFF")
    try:
        with database.engine.connect() as connection, connection.begin():
            config = _configuration(connection)
            command.upgrade(config, "head")
            number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
            script = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    finally:
        database.close()
    assert isinstance(script, Script)
    return Path(script.path)


def _upgrade(connection: Connection) -> None:
    config = _configuration(connection)
    _known_heads(connection)
    tables = set(inspect(connection).get_table_names())
    if _VERSIONS not in tables and tables & Base.metadata.tables.keys():
        _adopt(connection, config)
    command.upgrade(config, "head")


def _known_heads(connection: Connection) -> set[str]:
    """The revisions that a database is at: none where no migration has made it."""
    scripts = ScriptDirectory.from_config(_configuration(connection)).walk_revisions()
    heads = set(MigrationContext.configure(connection).get_current_heads())
    unknown = heads - {script.revision for script in scripts}
    if unknown:
        raise MigrationError(
            f"the database is at revision {', '.join(sorted(unknown))}, which this program does not know: "
            "a newer agentsim has migrated it; serve it with that one"
        )
    return heads


def _configuration(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def is_ours(thing: Any, name: str | None, kind: str, _reflected: bool, _compared_to: Any) -> bool:
    """Whether the models tell of this: PostgreSQL's column of places stands beside them."""
    return not (kind == "column" and name == "place" and thing.table.name == "revocations") and (
        kind != "unique_constraint" or name != "revocations_place_key"
    )


def _adopt(connection: Connection, config: Config) -> None:
    """Take a database that was created as the models say for one of the newest revision."""
    differences = compare_metadata(
        MigrationContext.configure(connection, opts={"include_object": is_ours}), Base.metadata
    )
    if differences:
        raise MigrationError(
            "the database holds tables of agentsim that no migration has made and that are not those of this "
            "program: an older or a newer one has created them; take an empty database"
        )
    command.stamp(config, "head")
