"""SQL over a Run: what is asked for wrongly is told so that it can be put right."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.run import RunError
from agentsim.tables import SCHEMAS


def test_a_query_is_answered_from_all_tables(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    found = run.sql(
        "SELECT event_type, count(*) AS times FROM audit JOIN tokens USING (tenant) GROUP BY ALL ORDER BY 1"
    )
    assert found["times"].tolist() == [3, 3, 3]
    assert run.arrow("SELECT * FROM labels").num_rows == 0


@pytest.mark.parametrize("query", ["SELECT * FROM audits", "FROM audit JOIN audits USING (tenant)"])
def test_an_unknown_table_is_answered_with_those_that_there_are(make_run, tmp_path, query):
    run = make_run(tmp_path / "run")
    for ask in (run.sql, run.arrow):
        with pytest.raises(RunError, match="no table 'audits'") as caught:
            ask(query)
        assert all(table in str(caught.value) for table in SCHEMAS)
        assert "\n" not in str(caught.value)


def test_an_unknown_column_is_answered_with_what_may_be_meant(make_run, tmp_path):
    with pytest.raises(duckdb.BinderException, match="event_type"):
        make_run(tmp_path / "run").sql("SELECT event_typ FROM audit")
    with pytest.raises(duckdb.CatalogException, match="no_such_function"):
        make_run(tmp_path / "run").sql("SELECT no_such_function(log_id) FROM audit")


@pytest.mark.parametrize(
    "other",
    [pa.array([{"a": 1}] * 9), pa.array([0.5] * 9), pa.nulls(9), None],
    ids=["structs", "numbers", "nothing", "missing"],
)
def test_a_column_that_is_not_a_runs_is_named_rather_than_the_query(make_run, tmp_path, other):
    run = make_run(tmp_path / "run")
    file = run.files("audit")[0]
    rows = pq.read_table(file)
    place = rows.column_names.index("event_type")
    rows = rows.remove_column(place)
    if other is not None:
        rows = rows.add_column(place, "event_type", other.slice(0, rows.num_rows))
    pq.write_table(rows, file)
    for ask in (run.sql, run.arrow):
        with pytest.raises(RunError, match="event_type") as caught:
            ask("SELECT count(*) FROM audit WHERE event_type <> 'token_verified'")
        assert file.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_made_a_runs_is_one_message(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    file = run.files("audit")[0]
    rows = pq.read_table(file)
    structs = pa.array([{"a": 1}] * rows.num_rows)
    pq.write_table(rows.set_column(rows.column_names.index("timestamp"), "timestamp", structs), file)
    with pytest.raises(RunError, match="table audit cannot be read"):
        run.read("audit")


def test_a_file_that_is_gone_is_named(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    run.files("audit")[0].unlink()
    with pytest.raises(RunError, match="audit"):
        run.sql("SELECT * FROM audit")
