"""Retention: old rows go up to a signed head, and what is left verifies from there on."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentsim.audit import retention
from agentsim.audit.retention import RetentionError, truncate
from agentsim.server import Admin, KeyRing, Server, SigningKey
from agentsim.server.clock import SECOND

#: The chain of whoever truncates.
CLERK = 9


def cut(office: Any, before: int, key: SigningKey | None = None) -> Any:
    keyring = KeyRing(key or office.key)
    server = Server(office.store, clock=office.clock, keyring=keyring, writer=CLERK)
    return truncate(server, office.verify(office.key), before, office.clock.now(), Admin("ana"))


def moment(office: Any, place: int) -> int:
    return int(office.rows()[place]["timestamp"])


def test_rows_go_up_to_the_last_signed_head_before_a_moment(make_office: Callable[[], Any]) -> None:
    office = make_office()
    for _ in range(3):
        for chain in (0, 1):
            office.write(50, chain)
            office.sign(chain)
    rows = office.rows()
    done = cut(office, rows[120]["timestamp"])
    assert next((each.chain, each.removed, each.last) for each in done) == (0, 100, rows[99]["log_id"])
    assert office.rows() == rows[100:]
    report = office.verify(office.key)
    assert report.found == 0
    assert [(chain.rows, chain.truncated, chain.proven) for chain in report.chains[:2]] == [
        (50, 100, 150)
    ] * 2
    # Again, later, and what is written afterwards.
    office.write(20)
    office.sign()
    cut(office, rows[149]["timestamp"] + 10_000 * SECOND)
    first = office.verify(office.key).chains[0]
    assert (first.found, first.rows, first.truncated, first.proven) == (0, 0, 170, 170)


def test_nothing_goes_that_no_signed_head_follows(office: Any) -> None:
    rows = office.rows()
    assert list(cut(office, rows[99]["timestamp"])) == []
    assert office.rows() == rows
    assert office.rows(CLERK) == []


def test_the_trail_says_who_cut_off_how_much_and_when(make_office: Callable[[], Any]) -> None:
    office = make_office()
    for _ in range(2):
        office.write(50)
        office.sign()
    rows = office.rows()
    cut(office, rows[70]["timestamp"])
    (row,) = office.rows(CLERK)
    assert (row["event_type"], row["status"], row["timestamp"]) == (
        "audit_truncated",
        "granted",
        office.clock.now(),
    )
    told = {"by": "ana", "chain": 0, "last": str(rows[49]["log_id"]), "rows": 50, "length": 50}
    assert json.loads(row["details"]) == told
    assert office.verify(office.key).found == 0
    # Nothing more to remove, and nothing more to say.
    cut(office, rows[70]["timestamp"])
    assert office.rows(CLERK) == [row]


def test_nothing_goes_before_the_trail_says_so(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = office.rows()

    def fail(*_: Any) -> Any:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Server, "execute", fail)
    with pytest.raises(RuntimeError):
        cut(office, rows[250]["timestamp"])
    assert office.rows() == rows


def test_nothing_goes_where_something_is_wrong(office: Any) -> None:
    office.change(office.rows()[250]["log_id"], status="other")
    with pytest.raises(RetentionError, match="1 faults are in the audit trail"):
        cut(office, moment(office, 150))
    assert len(office.rows()) == 300


def test_what_was_cut_short_verifies_and_goes_on(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = office.rows()
    monkeypatch.setattr(retention, "_TOGETHER", 30)

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retention.time, "sleep", stop)
        with pytest.raises(KeyboardInterrupt):
            cut(office, rows[250]["timestamp"])
    assert len(office.rows()) == 270
    found = office.verify(office.key).chains[0]
    assert (found.found, found.truncated, found.rows) == (0, 200, 100)
    cut(office, rows[250]["timestamp"])
    assert office.rows() == rows[200:]
    assert office.verify(office.key).found == 0
    # Each time the trail said how much was about to go.
    assert [json.loads(row["details"])["rows"] for row in office.rows(CLERK)] == [200, 170]


@pytest.mark.parametrize("place", [0, 150, 199])
def test_what_is_put_before_the_signed_head_afterwards_is_found(office: Any, place: int) -> None:
    rows = office.rows()
    cut(office, rows[250]["timestamp"])
    office.insert({**rows[place], "reason": "forged", "row_hash": b"x" * 32})
    found = office.verify(office.key).chains[0]
    assert [(fault.log_id, fault.kind) for fault in found.faults] == [(rows[place]["log_id"], "inserted")]
    assert (found.truncated, found.rows, found.left) == (200, 100, 1)


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_what_a_truncation_left_still_leads_up_to_the_signed_head(
    office: Any, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    rows = office.rows()
    monkeypatch.setattr(retention, "_remove", lambda *_, **__: 0)
    cut(office, rows[250]["timestamp"])
    found = office.verify(office.key).chains[0]
    assert (found.found, found.truncated, found.rows, found.left) == (0, 200, 100, 200)
    if harm == "change":
        office.change(rows[120]["log_id"], reason="nothing to see")
    else:
        office.remove(rows[119]["log_id"])
    found = office.verify(office.key).chains[0]
    assert [(fault.log_id, fault.kind) for fault in found.faults] == [(rows[120]["log_id"], "broken")]


def test_nothing_goes_up_to_a_head_that_was_not_signed_for_it(office: Any) -> None:
    """An older one is not looked at by whoever verifies: the newest that is believed proves all before it."""
    rows = office.rows()
    for value in ("'text'", "(SELECT jws FROM audit_checkpoints WHERE length = 290)"):
        office.put("audit_checkpoints", "jws", value, length=200)
        with pytest.raises(RetentionError, match="is not what was signed"):
            cut(office, rows[250]["timestamp"])
    assert office.rows() == rows


def test_a_beginning_that_somebody_else_removed_is_found(office: Any) -> None:
    rows = office.rows()
    office.remove(*(row["log_id"] for row in rows[:200]))
    found = office.verify(office.key).chains[0]
    assert [(fault.log_id, fault.kind) for fault in found.faults] == [(rows[200]["log_id"], "removed")]


def test_nobody_else_can_say_that_a_beginning_was_removed_on_purpose(office: Any) -> None:
    rows = office.rows()
    stranger = SigningKey.from_seed(b"stranger")
    cut(office, rows[250]["timestamp"], stranger)
    found = office.verify(office.key).chains[0]
    assert {fault.kind for fault in found.faults} >= {"checkpoint"}
    assert found.truncated == 0


def test_a_server_goes_on_writing_to_a_chain_that_was_truncated_to_its_head(office: Any) -> None:
    office.sign()
    cut(office, office.clock.now() + SECOND)
    assert office.rows() == []
    office.write(10)
    office.sign()
    found = office.verify(office.key).chains[0]
    assert (found.found, found.rows, found.proven) == (0, 10, 310)


def test_rows_after_the_truncation_are_still_held_against_each_other(office: Any) -> None:
    rows = office.rows()
    cut(office, rows[150]["timestamp"])
    office.remove(rows[100]["log_id"])
    found = office.verify(office.key).chains[0]
    assert [(fault.log_id, fault.kind) for fault in found.faults] == [(rows[101]["log_id"], "removed")]
    assert found.proven_to == rows[99]["log_id"]
