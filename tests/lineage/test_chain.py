"""The chain as the checker works it out is the chain as it is defined, and as the server makes it."""

import hashlib

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.lineage import check
from agentsim.lineage.rules.chain import HASHED, canonical_rows
from agentsim.run import Run, save_manifest
from agentsim.server.audit import COLUMNS, row_digest
from agentsim.tables import SCHEMAS

_texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_values = {
    pa.int64(): st.none() | st.integers(-(2**63), 2**63 - 1),
    pa.string(): _texts,
    pa.dictionary(pa.int32(), pa.string()): _texts,
    pa.binary(): st.none() | st.binary(max_size=32),
}
_rows = st.lists(
    st.fixed_dictionaries({name: _values[SCHEMAS["audit"].field(name).type] for name in HASHED}), max_size=4
)


@given(_rows)
def test_the_text_of_a_row_is_what_orjson_writes(rows):
    schema = pa.schema([SCHEMAS["audit"].field(name) for name in HASHED])
    texts = canonical_rows(pa.RecordBatch.from_pylist(rows, schema=schema)).to_pylist()
    for row, text in zip(rows, texts, strict=True):
        values = [value.hex() if isinstance(value, bytes) else value for value in map(row.get, HASHED)]
        assert text.encode() == orjson.dumps(values)
        assert hashlib.sha256(bytes(32) + text.encode()).digest() == row_digest(bytes(32), row)


def test_server_and_checker_hash_the_same_columns():
    assert HASHED == COLUMNS


def first_broken(found):
    (violation,) = [violation for violation in found if violation.rule == "chain" and violation.tenant == 0]
    return violation


@pytest.mark.parametrize("column", HASHED)
def test_a_change_in_any_column_breaks_the_chain(run, tamper, column):
    ids = run.read("audit", ["tenant", "log_id"]).to_pydict()
    log_id = next(one for tenant, one in zip(ids["tenant"], ids["log_id"], strict=True) if tenant == 0)

    def change(frame):
        row = frame.index[frame["tenant"] == 0]
        if len(row):
            value = frame.at[row[0], column]
            frame.at[row[0], column] = (
                b"x" if column == "access_token_hash" else value + 1 if isinstance(value, int) else
                7 if SCHEMAS["audit"].field(column).type == pa.int64() else "x"
            )  # fmt: skip

    found = check(tamper(run, "audit", change))
    violation = first_broken(found)
    if column == "chain":
        assert "rows of another chain" in violation.message
    else:
        assert violation.subject == f"audit row {log_id + (column == 'log_id')}"


def test_a_row_taken_out_breaks_the_chain_where_it_was(run, tamper):
    taken = []

    def take_out(frame):
        if frame["tenant"].iloc[0] == 0:
            taken.append(frame["log_id"].iloc[6])
            return frame.drop(frame.index[5])
        return frame

    violation = first_broken(check(tamper(run, "audit", take_out)))
    assert violation.subject == f"audit row {taken[0]}"
    assert violation.message.startswith("row 6 of its chain")


def test_a_shortened_chain_is_told_by_its_length_and_head(run, tamper):
    found = check(
        tamper(run, "audit", lambda frame: frame.iloc[:-1] if frame["tenant"].iloc[0] == 0 else frame)
    )
    told = [violation.message for violation in found if violation.rule == "chain"]
    assert any("rows; the manifest has" in message for message in told)
    assert "its last hash is not the manifest's" in told


def test_rows_of_a_tenant_that_the_manifest_does_not_know(run):
    del run.manifest.tenants[1]
    save_manifest(run)
    found = [violation for violation in check(Run(run.path)) if violation.rule == "chain"]
    assert [(violation.tenant, violation.message) for violation in found] == [
        (1, "the manifest does not know this tenant")
    ]


def test_rows_in_another_order_break_the_chain(run, tamper, reseal):
    shuffled = reseal(tamper(run, "audit", lambda frame: frame.iloc[::-1].reset_index(drop=True)))
    assert "its id is not larger" in first_broken(check(shuffled)).message
