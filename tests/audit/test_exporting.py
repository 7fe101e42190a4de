"""Exports: each row a line, as OCSF or as it is, and the file whole or not there."""

import json
import weakref
from pathlib import Path
from typing import Any

import pytest

from agentsim.audit.exporting import ExportError, export
from agentsim.audit.ocsf import event
from agentsim.audit.trails import open_database_trail


def lines(office: Any, path: Path, *how: Any) -> list[dict[str, Any]]:
    with open_database_trail(office.store) as trail:
        count = export(trail, path, *how)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(told) == count
    return told


def test_rows_are_told_as_they_are(office: Any, tmp_path: Path) -> None:
    told = lines(office, tmp_path / "trail.jsonl")
    for line, row in zip(told, office.rows(), strict=True):
        assert line["log_id"] == str(row["log_id"])
        assert line["row_hash"] == row["row_hash"].hex()
        assert line["details"] == json.loads(row["details"])
        assert line["timestamp"] == row["timestamp"]


def test_rows_are_told_as_ocsf_events(office: Any, tmp_path: Path) -> None:
    told = lines(office, tmp_path / "trail.ocsf.jsonl")
    assert told == lines(office, tmp_path / "trail", "ocsf")
    verified, issued = told[0], told[1]
    assert (verified["class_uid"], verified["type_uid"], verified["status"]) == (6003, 600302, "Failure")
    assert (issued["type_uid"], issued["status_id"], issued["actor"]) == (600301, 1, {"app_uid": "agent_1"})
    assert verified["status_detail"] == "expired"
    assert issued["src_endpoint"] == {"ip": "192.0.2.7"}
    for line in told:
        assert line["type_uid"] == line["class_uid"] * 100 + line["activity_id"]
        assert line["metadata"]["uid"] == line["unmapped"]["log_id"]


def test_a_persons_sign_in_is_an_authentication() -> None:
    row = dict.fromkeys(
        (
            "chain",
            "row_hash",
            "token_id",
            "access_token_hash",
            "grant_id",
            "parent_grant_id",
            "root_grant_id",
            "task_id",
            "parent_task_id",
            "client_id",
            "source_ip",
        )
    )
    told = event(
        {
            **row,
            "log_id": "1",
            "event_type": "sign_in",
            "status": "refused",
            "reason": "wrong_password",
            "timestamp": 5_000_000,
            "details": {"account": "ana"},
        }
    )
    assert (told["class_uid"], told["type_uid"], told["user"]) == (3002, 300201, {"name": "ana"})
    assert "api" not in told


def test_a_name_that_says_no_format_and_a_missing_folder_are_refused(office: Any, tmp_path: Path) -> None:
    with open_database_trail(office.store) as trail:
        for path, why in (
            (tmp_path / "trail.csv", "--format"),
            (tmp_path / "no" / "t.jsonl", "no such folder"),
        ):
            with pytest.raises(ExportError, match=why):
                export(trail, path)


def test_what_fails_in_the_middle_leaves_the_file_that_was_there(office: Any, tmp_path: Path) -> None:
    path = tmp_path / "trail.jsonl"
    path.write_text("before")

    class Broken:
        total = 2

        def rows(self) -> Any:
            with open_database_trail(office.store) as trail:
                yield next(trail.rows())
            raise OSError("the database is away")

    trail: Any = Broken()
    with pytest.raises(OSError, match="away"):
        export(trail, path)
    assert path.read_text() == "before"
    assert list(tmp_path.glob(".*tmp")) == []


def test_rows_are_written_while_they_are_read(office: Any, tmp_path: Path) -> None:
    class Page(list[Any]):
        """A page of which it shows whether it is still held."""

    class Long:
        total = 50 * 300

        def __init__(self, rows: list[Any]) -> None:
            self.rows_once, self.held = rows, 0

        def rows(self) -> Any:
            pages: list[weakref.ref[Page]] = []
            for _ in range(50):
                page = Page(self.rows_once)
                pages.append(weakref.ref(page))
                yield page
                del page
                self.held = max(self.held, sum(each() is not None for each in pages))

    with open_database_trail(office.store) as trail:
        (rows,) = trail.rows()
    long: Any = Long(rows)
    assert export(long, tmp_path / "trail.jsonl") == 50 * 300
    assert long.held <= 1


def test_details_that_somebody_has_broken_are_told_as_they_lie(office: Any, tmp_path: Path) -> None:
    office.change(office.rows()[0]["log_id"], details="{")
    assert lines(office, tmp_path / "trail.jsonl")[0]["details"] == {"unreadable": "{"}
