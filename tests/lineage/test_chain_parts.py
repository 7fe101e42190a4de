"""A chain over several files is one chain: each file is held against the last row of the one before it."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.lineage import check
from agentsim.run import FileEntry, Run, save_manifest
from agentsim.tables import SCHEMAS

#: Where the chain of tenant 0 is cut. One file holds nothing.
CUTS = (0, 5, 9, 9, 16)


def put(run: Run, part: int, rows: pa.Table) -> None:
    name = f"audit/t0000-{part:05d}.parquet"
    pq.write_table(rows, run.path / name)
    data = (run.path / name).read_bytes()
    run.manifest.files[name] = FileEntry(
        sha256=hashlib.sha256(data).hexdigest(), rows=rows.num_rows, bytes=len(data)
    )


@pytest.fixture
def parts(run: Run) -> list[pa.Table]:
    rows = pq.read_table(run.files("audit")[0], schema=SCHEMAS["audit"])
    ends = (*CUTS[1:], rows.num_rows)
    return [rows.slice(begin, end - begin) for begin, end in zip(CUTS, ends, strict=True)]


def faults(run: Run, parts: list[pa.Table]) -> list[tuple[str, str]]:
    """What the rule of the chain tells of tenant 0 when these are its files."""
    for part, rows in enumerate(parts):
        put(run, part, rows)
    save_manifest(run)
    return [(one.subject, one.message) for one in check(Run(run.path)) if one.rule == "chain"]


def changed(rows: pa.Table, row: int, column: str, value: object) -> pa.Table:
    told = rows.to_pylist()
    told[row][column] = value
    return pa.Table.from_pylist(told, schema=rows.schema)


def name_of(rows: pa.Table, row: int) -> str:
    return f"audit row {rows['log_id'][row].as_py()}"


def test_a_chain_may_lie_in_several_files(run, parts):
    assert faults(run, parts) == []


def test_the_first_row_of_a_file_is_held_against_the_file_before(run, parts):
    parts[1] = changed(parts[1], 0, "details", "{}")
    ((subject, message),) = faults(run, parts)
    assert subject == name_of(parts[1], 0)
    assert message.startswith("row 6 of its chain")


def test_a_file_is_held_against_the_last_file_that_has_rows(run, parts):
    parts[3] = changed(parts[3], 0, "details", "{}")
    ((subject, message),) = faults(run, parts)
    assert subject == name_of(parts[3], 0)
    assert message.startswith("row 10 of its chain")


def test_of_several_broken_files_the_first_is_told(run, parts):
    parts[1] = changed(parts[1], 2, "reason", "another")
    parts[3] = changed(parts[3], 1, "reason", "another")
    ((subject, message),) = faults(run, parts)
    assert subject == name_of(parts[1], 2)
    assert message.startswith("row 8 of its chain")


def test_a_row_without_its_hash_breaks_the_chain_at_that_row(run, parts):
    parts[1] = changed(parts[1], parts[1].num_rows - 1, "row_hash", None)
    ((subject, _),) = faults(run, parts)
    assert subject == name_of(parts[1], parts[1].num_rows - 1)


def test_a_file_taken_out_breaks_the_chain_where_it_was(run, parts):
    ((subject, message),) = faults(run, [parts[0], *parts[2:], parts[4].slice(0, 0)])
    assert subject == name_of(parts[3], 0)
    assert message.startswith("row 6 of its chain")


def test_the_last_row_of_the_last_file_is_the_head(run, parts):
    parts[4] = parts[4].slice(0, parts[4].num_rows - 1)
    told = [message for _, message in faults(run, parts)]
    assert any("rows; the manifest has" in message for message in told)
    assert "its last hash is not the manifest's" in told
