"""Migrations: a served database comes to the tables that the models tell of, or is refused in words."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, MetaData, Text, inspect
from sqlalchemy.exc import DBAPIError

from agentsim.server import Admin, Register, Registration, Server, Store, migrations
from agentsim.server.databases import open_database
from agentsim.server.migrations import MigrationError, migrate
from agentsim.server.schema import Base

pytestmark = pytest.mark.on_both

NewDatabase = Callable[[], Path | str]


def change(database: Path | str, statement: str) -> None:
    opened = open_database(database, "OFF")
    with opened.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    opened.close()


def structure(database: Path | str) -> dict[str, Any]:
    """Every table with its columns, indexes and keys, as the database tells it."""
    opened = open_database(database, "OFF")
    tables = inspect(opened.engine)
    told = {
        name: (
            [{key: str(value) for key, value in column.items()} for column in tables.get_columns(name)],
            sorted(str(_in_words(index)) for index in tables.get_indexes(name)),
            tables.get_pk_constraint(name)["constrained_columns"],
            [key["referred_table"] for key in tables.get_foreign_keys(name)],
            sorted(map(str, tables.get_unique_constraints(name))),
        )
        for name in tables.get_table_names()
        if name != "alembic_version"
    }
    opened.close()
    return told


def _in_words(index: Any) -> dict[str, Any]:
    """An index with its condition as text."""
    return {**index, "dialect_options": {key: str(value) for key, value in index["dialect_options"].items()}}


def test_migrated_and_created_tables_are_the_same(new_database: NewDatabase) -> None:
    created, migrated = new_database(), new_database()
    Store(created).close()
    migrate(migrated)
    assert structure(migrated) == structure(created)
    opened, other = open_database(created, "OFF"), open_database(migrated, "OFF")
    models = MetaData()
    models.reflect(opened.engine)
    with other.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, models) == []
    opened.close()
    other.close()


def test_a_migrated_database_serves_and_stays_as_it_is(new_database: NewDatabase) -> None:
    database = new_database()
    migrate(database)
    before = structure(database)
    server = Server(Store(database))
    server.ask(Register(by=Admin("acme"), agent_name="a", allowed_tools=[], resource_access=[]), Registration)
    server.close()
    migrate(database)
    assert structure(database) == before


def test_a_created_database_may_be_served_later(new_database: NewDatabase) -> None:
    database = new_database()
    Store(database).close()
    migrate(database)
    migrate(database)


def test_a_newer_database_is_refused_in_words(new_database: NewDatabase) -> None:
    database = new_database()
    migrate(database)
    change(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        MigrationError, match="revision 9999, which this program does not know: a newer agentsim"
    ):
        migrate(database)


def test_tables_that_nobody_knows_are_refused_in_words(new_database: NewDatabase) -> None:
    database = new_database()
    Store(database).close()
    change(database, "ALTER TABLE agents ADD COLUMN colour TEXT")
    with pytest.raises(MigrationError, match="that no migration has made"):
        migrate(database)


def test_several_processes_may_ask_at_once(new_database: NewDatabase) -> None:
    database = new_database()
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            migrate(database)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_new_revision_says_what_the_models_have_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder)
    monkeypatch.setattr(migrations, "_FOLDER", folder)
    # Should this find anything: python -m agentsim.server.migrations "what it adds".
    script = migrations.add_revision("nothing")
    assert [line for line in script.read_text().splitlines() if "op." in line] == []
    script.unlink()
    agents = Base.metadata.tables["agents"]
    agents.append_column(Column("colour", Text))
    try:
        assert 'op.add_column("agents"' in migrations.add_revision("colours").read_text().replace("'", '"')
    finally:
        agents._columns.remove(agents.c.colour)  # type: ignore[attr-defined]


def test_a_revision_needs_a_message() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "agentsim.server.migrations"], capture_output=True, text=True
    )
    assert asked.returncode == 1
    assert "what it adds" in asked.stderr


def test_a_database_that_may_not_be_written_is_refused_even_where_it_is_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite"
    migrate(file)
    with pytest.raises(DBAPIError, match="readonly database"):
        migrate(f"sqlite:///file:{file}?mode=ro&uri=true")
    migrate(file)
