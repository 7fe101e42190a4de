"""Verification: whatever is done to a trail is found, and named by its row."""

from collections.abc import Callable
from typing import Any

import pytest

from agentsim.audit.report import ChainReport, Fault
from agentsim.server import SigningKey
from agentsim.server.audit import COLUMNS, row_digest


def one(office: Any, *keys: SigningKey) -> ChainReport:
    (found,) = office.verify(*(keys or (office.key,))).chains
    return found


def the_fault(office: Any, *keys: SigningKey) -> Fault:
    found = one(office, *keys)
    assert [fault.kind for fault in found.faults] == [found.faults[0].kind], found.faults
    return found.faults[0]


def test_a_sound_trail_is_proven_to_its_last_signed_head(make_office: Callable[[], Any]) -> None:
    office = make_office()
    office.write(40)
    office.sign()
    office.write(5)
    office.write(30, chain=2)
    office.sign(2)
    report = office.verify(office.key)
    assert report.found == 0
    first, second = report.chains
    assert (first.rows, first.proven, first.unsigned) == (45, 40, 5)
    assert first.proven_to == office.rows()[39]["log_id"]
    assert (second.chain, second.rows, second.proven, second.unsigned) == (2, 30, 30, 0)
    assert first.signed_by == office.key.kid


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in ("log_id", "chain")])
def test_a_changed_row_is_found_whatever_was_changed(office: Any, column: str) -> None:
    rows = office.rows()
    row = rows[150]
    value = row[column]
    other = b"x" if column == "access_token_hash" else value + 1 if isinstance(value, int) else "other"
    if column.endswith("_id") and column not in ("task_id", "parent_task_id") and value is None:
        other = 5
    office.change(row["log_id"], **{column: other})
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (row["log_id"], "changed")
    assert one(office).proven_to == rows[99]["log_id"]


def test_a_changed_hash_is_found(office: Any) -> None:
    row = office.rows()[150]
    office.change(row["log_id"], row_hash=b"x" * 32)
    fault = the_fault(office)
    assert (fault.log_id, fault.kind, fault.message) == (row["log_id"], "changed", "its hash was changed")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("reason", "x'00ff'"),
        ("details", "x'ff'"),
        ("access_token_hash", "'text'"),
        ("client_id", "'text'"),
        ("timestamp", "1.5"),
        ("reason", "CAST(x'ff' AS TEXT)"),
        ("task_id", "CAST(x'61ff' AS TEXT)"),
    ],
)
def test_a_value_of_another_kind_is_a_change_like_any_other(office: Any, column: str, value: str) -> None:
    """SQLite keeps in a column whatever it is given."""
    rows = office.rows()
    office.put("task_audit_log", column, value, log_id=rows[150]["log_id"])
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (rows[150]["log_id"], "changed")


@pytest.mark.parametrize("value", ["'text'", "5", "x'00'"])
def test_a_hash_that_is_none_is_found(office: Any, value: str) -> None:
    rows = office.rows()
    office.put("task_audit_log", "row_hash", value, log_id=rows[150]["log_id"])
    fault = the_fault(office)
    assert (fault.log_id, fault.message) == (rows[150]["log_id"], "its hash was changed")


@pytest.mark.parametrize("value", ["'text'", "x'00'", "0.5"])
def test_a_row_of_a_chain_that_is_no_number_is_missed_and_found(office: Any, value: str) -> None:
    rows = office.rows()
    office.put("task_audit_log", "chain", value, log_id=rows[150]["log_id"])
    nowhere, chain = office.verify(office.key).chains
    assert [(fault.log_id, fault.kind) for fault in chain.faults] == [(rows[151]["log_id"], "removed")]
    assert (nowhere.chain, nowhere.rows, nowhere.found) == (-1, 1, 2)


@pytest.mark.parametrize("log_id", [-1, -5, -(2**63)])
def test_a_row_that_lies_before_all_others_is_found(office: Any, log_id: int) -> None:
    office.insert({**office.rows()[5], "log_id": log_id})
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (log_id, "inserted")


@pytest.mark.parametrize(("column", "value"), [("log_id", "7"), ("log_id", "'text'"), ("length", "'text'")])
def test_a_stored_head_that_says_something_else_is_found(office: Any, column: str, value: str) -> None:
    office.put("audit_chains", column, value, chain=0)
    assert the_fault(office).kind == "head"


@pytest.mark.parametrize(
    ("column", "value"), [("length", "150"), ("log_id", "'text'"), ("log_id", "7"), ("row_hash", "'text'")]
)
def test_a_signed_head_that_is_stored_as_another_s_is_found(office: Any, column: str, value: str) -> None:
    office.put("audit_checkpoints", column, value, length=200)
    assert one(office).found == 1


@pytest.mark.parametrize("value", ["x'ff'", "'text'", "5"])
def test_a_signed_head_that_cannot_be_read_proves_nothing(office: Any, value: str) -> None:
    office.put("audit_checkpoints", "jws", value, length=290)
    assert the_fault(office).kind == "checkpoint"
    assert one(office).proven == 200


@pytest.mark.parametrize("place", [0, 1, 99, 150, 199, 289, 295])
@pytest.mark.parametrize("count", [1, 3])
def test_removed_rows_are_found(office: Any, place: int, count: int) -> None:
    rows = office.rows()
    office.remove(*(row["log_id"] for row in rows[place : place + count]))
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (rows[place + count]["log_id"], "removed")
    assert ("a row is" if count == 1 else "3 rows are") in fault.message
    proven = max((length for length in (100, 200, 290) if length <= place), default=0)
    assert one(office).proven == proven


@pytest.mark.parametrize("linked", [True, False])
def test_an_inserted_row_is_found_whether_it_is_linked_or_not(office: Any, linked: bool) -> None:
    rows = office.rows()
    new = {**rows[150], "log_id": rows[150]["log_id"] + 1, "reason": "forged"}
    new["row_hash"] = row_digest(rows[150]["row_hash"], new) if linked else b"x" * 32
    office.insert(new)
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (new["log_id"], "inserted")
    assert one(office).proven == 100


@pytest.mark.parametrize("distance", [1, 2, 5])
def test_rows_in_another_order_are_found(office: Any, distance: int) -> None:
    rows = office.rows()
    one_row, other = rows[150], rows[150 + distance]
    office.remove(one_row["log_id"], other["log_id"])
    office.insert({**one_row, "log_id": other["log_id"]})
    office.insert({**other, "log_id": one_row["log_id"]})
    found = one(office)
    assert {(fault.log_id, fault.kind) for fault in found.faults} == {
        (one_row["log_id"], "reordered"),
        (other["log_id"], "reordered"),
    }
    assert found.proven == 100


@pytest.mark.parametrize(("last", "proven"), [(295, 290), (290, 290), (250, 200)])
def test_a_tail_that_was_cut_off_is_found_by_the_stored_head(office: Any, last: int, proven: int) -> None:
    rows = office.rows()
    office.remove(*(row["log_id"] for row in rows[last:]))
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (rows[last - 1]["log_id"], "cut off")
    assert f"{300 - last:,} rows too early" in fault.message
    assert one(office).proven == proven


def test_a_tail_that_was_cut_off_with_its_head_is_found_by_what_was_signed(office: Any) -> None:
    rows = office.rows()
    office.remove(*(row["log_id"] for row in rows[250:]))
    end = rows[249]
    office.set_head(log_id=end["log_id"], row_hash=end["row_hash"], length=250)
    fault = the_fault(office)
    assert (fault.log_id, fault.kind) == (end["log_id"], "cut off")
    assert "a signed head has 290 rows" in fault.message


def test_a_chain_whose_rows_are_all_gone_is_found(office: Any) -> None:
    office.remove(*(row["log_id"] for row in office.rows()))
    assert the_fault(office).kind == "cut off"


def test_a_chain_that_was_hashed_anew_is_found_by_what_was_signed(office: Any) -> None:
    rows = office.rows()
    office.change(rows[150]["log_id"], reason="nothing to see")
    office.hash_anew()
    fault = the_fault(office)
    # Any row between the two signed heads.
    assert (fault.log_id, fault.kind) == (rows[199]["log_id"], "re-hashed")
    assert one(office).proven_to == rows[99]["log_id"]


def test_a_chain_that_was_hashed_and_signed_anew_is_found_by_the_key(office: Any) -> None:
    office.change(office.rows()[150]["log_id"], reason="nothing to see")
    office.hash_anew()
    office.forget_checkpoints()
    stranger = SigningKey.from_seed(b"stranger")
    office.heads[0].row_hash = office.rows()[-1]["row_hash"]
    office.sign(key=stranger)
    # Nobody outside vouches for any key: it is said, and no more.
    report = office.verify()
    assert (report.found, report.vouched) == (0, False)
    fault = the_fault(office)
    assert (fault.kind, fault.log_id) == ("checkpoint", None)
    assert stranger.kid in fault.message
    assert one(office).proven == 0


def test_a_head_that_somebody_else_signed_afterwards_proves_nothing(office: Any) -> None:
    office.sign(key=SigningKey.from_seed(b"stranger"))
    assert the_fault(office).kind == "checkpoint"
    assert one(office).proven == 290


def test_an_older_head_by_a_forgotten_key_is_no_fault(office: Any) -> None:
    fresh = SigningKey.from_seed(b"fresh")
    office.sign(key=fresh)
    found = one(office, fresh)
    assert (found.found, found.proven, found.signed_by) == (0, 300, fresh.kid)


def test_a_checkpoint_of_another_chain_proves_nothing(office: Any) -> None:
    office.write(295, chain=1)
    office.sign(1)
    with office.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE audit_checkpoints SET chain = 0 WHERE chain = 1")
    first, second = office.verify(office.key).chains
    assert (first.found, first.proven, second.proven) == (0, 290, 0)


def test_a_row_of_no_known_chain_is_found(office: Any) -> None:
    row = office.rows()[-1]
    office.insert({**row, "log_id": row["log_id"] + 1, "chain": 9})
    report = office.verify(office.key)
    assert [(chain.chain, bool(chain.found)) for chain in report.chains] == [(0, False), (9, True)]


def test_many_faults_are_told_in_part_and_counted(office: Any) -> None:
    for row in office.rows()[::10]:
        office.change(row["log_id"], status="other")
    found = one(office)
    assert found.found == 30
    assert len(found.faults) == 20


def test_faults_far_from_each_other_are_each_named(office: Any) -> None:
    rows = office.rows()
    office.change(rows[20]["log_id"], status="other")
    office.remove(rows[120]["log_id"])
    office.remove(rows[220]["log_id"], rows[221]["log_id"])
    assert [(fault.log_id, fault.kind) for fault in one(office).faults] == [
        (rows[20]["log_id"], "changed"),
        (rows[121]["log_id"], "removed"),
        (rows[222]["log_id"], "removed"),
    ]
