"""What is looked up at every verification costs the same however much an agent has done before."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from agentsim.server import Store
from agentsim.server.statements import NEWEST_LOGS, NEWEST_TASKS


@pytest.mark.parametrize(("query", "of"), [(NEWEST_TASKS, "client"), (NEWEST_LOGS, "grant")])
def test_the_newest_are_read_from_an_index_and_nothing_is_sorted(
    tmp_path: Path, query: Select[Any], of: str
) -> None:
    Store(f"sqlite:///{tmp_path / 'store.sqlite'}").close()
    told = query.compile(
        dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True}
    )
    values = told.params | {of: 1, "owner": "acme"}
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database:
        plan = [step for *_, step in database.execute(f"EXPLAIN QUERY PLAN {told}", values)]
    assert len(plan) == 1
    assert "USING INDEX" in plan[0]
