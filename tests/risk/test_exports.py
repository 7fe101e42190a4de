"""Alerts for other programs: the same alerts in each form, and nothing in them that runs."""

import csv
import json

import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest

from agentsim.risk.exports import ALERT, ExportError, export
from agentsim.risk.ocsf import finding

BIG = 2**62 + 1


def make_alert(**parts):
    return {
        "alert_id": f"grant-{BIG}",
        "kind": "grant",
        "tenant": 0,
        "entity": BIG,
        "grant_id": BIG,
        "root_grant_id": BIG - 7,
        "client_id": 5,
        "role": "clerk",
        "task_id": "t1",
        "raised_at": 1_790_000_000_123_456,
        "score": 3.25,
        "threshold": 3.0,
        "detector": "combined",
        "action": "log",
        "reasons": ["asked for 41 resources, this role typically 3", "first use of pay"],
    } | parts


IDS = ("entity", "grant_id", "root_grant_id", "client_id")


def table(*alerts):
    names = dict.fromkeys(name for alert in alerts for name in alert)
    columns = {name: [alert[name] for alert in alerts] for name in names}
    return pd.DataFrame(columns | {name: pd.array(columns[name], dtype="Int64") for name in IDS})


def test_parquet_holds_what_the_table_holds(tmp_path):
    tree = make_alert(alert_id="tree-9", kind="tree", grant_id=None, client_id=None, reasons=[], role=None)
    export(table(make_alert(), tree), tmp_path / "alerts.parquet")
    held = pq.read_table(tmp_path / "alerts.parquet")
    assert held.schema.equals(ALERT)
    assert held.to_pylist() == [make_alert(suppressed_by=None), tree | {"suppressed_by": None}]


def test_what_a_spreadsheet_would_run_stays_text(tmp_path):
    hostile = ["=cmd()", "+1+cmd", "-2", "@SUM(A1)", "\t=1", " =1+1", '=HYPERLINK("a,b")']
    alerts = table(*[make_alert(task_id=text, reasons=[text, "and\nmore"], role="a-b") for text in hostile])
    export(alerts, tmp_path / "alerts.csv")
    with (tmp_path / "alerts.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["task_id"] for row in rows] == [f"'{text}" for text in hostile]
    assert [row["reasons"] for row in rows] == [f"'{text}; and\nmore" for text in hostile]
    # Numbers and what only holds such a sign stay as they are.
    assert {row["role"] for row in rows} == {"a-b"}
    assert rows[0]["entity"] == str(BIG)
    assert rows[0]["suppressed_by"] == ""


def needs(*names, **properties):
    return {"type": "object", "required": list(names), "properties": properties}


def each(schema):
    return {"type": "array", "minItems": 1, "items": schema}


TEXT, WHOLE = {"type": "string", "minLength": 1}, {"type": "integer"}
#: What OCSF 1.7.0 requires of a Detection Finding and of the objects in it, and the numbers that it knows.
OCSF = needs(
    *(
        "activity_id",
        "category_uid",
        "class_uid",
        "finding_info",
        "metadata",
        "severity_id",
        "time",
        "type_uid",
    ),
    activity_id={"const": 1},
    category_uid={"const": 2},
    class_uid={"const": 2004},
    type_uid={"const": 200401},
    severity_id={"enum": [0, 1, 2, 3, 4, 5, 6, 99]},
    status_id={"enum": [0, 1, 2, 3, 4, 5, 6, 99]},
    risk_level_id={"enum": [0, 1, 2, 3, 4, 99]},
    risk_score=WHOLE,
    time=WHOLE,
    is_alert={"type": "boolean"},
    metadata=needs("version", "product", product=needs("name", "vendor_name"), version={"const": "1.7.0"}),
    finding_info=needs(
        "uid",
        uid=TEXT,
        title=TEXT,
        types=each(TEXT),
        created_time=WHOLE,
        analytic=needs("type_id", type_id={"enum": [0, 1, 2, 3, 4, 5, 6, 99]}),
    ),
    anomaly_analyses=each(
        needs(
            "analysis_target",
            "anomalies",
            analysis_target=needs("name", name=TEXT),
            anomalies=each(
                needs(
                    "observations",
                    "observed_attribute",
                    observed_attribute=TEXT,
                    observations=each(needs("value", value=TEXT)),
                )
            ),
        )
    ),
    resources={"type": "array", "items": needs("uid", uid=TEXT)},
)


def test_each_line_is_a_detection_finding(tmp_path):
    alerts = [make_alert(), make_alert(kind="agent", grant_id=None, reasons=[], role=None, task_id=None)]
    alerts.append(make_alert(score=float("inf"), threshold=float("inf")))
    export(table(*alerts), tmp_path / "alerts.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        jsonschema.validate(line, OCSF)
    first = lines[0]
    assert first["time"] == 1_790_000_000_123
    assert first["risk_score"] == 32
    assert first["finding_info"]["uid"] == f"grant-{BIG}"
    assert first["unmapped"]["root_grant_id"] == str(BIG - 7)
    assert [resource["uid"] for resource in first["resources"]] == [str(BIG), str(BIG - 7), "5"]
    assert "risk_score" not in lines[2]
    observed = [line["anomaly_analyses"][0]["anomalies"][0]["observations"] for line in lines]
    assert observed[0] == [{"value": reason} for reason in make_alert()["reasons"]]
    assert observed[1] == [{"value": "score 3.25, threshold 3.0"}]


@pytest.mark.parametrize(
    ("score", "severity"),
    [(2.9, "Low"), (3.0, "Medium"), (4.0, "High"), (5.5, "Critical"), (None, "Unknown")],
)
def test_severity_is_how_much_rarer_than_the_threshold(score, severity):
    assert finding(make_alert(score=score, suppressed_by=None))["severity"] == severity


def test_a_suppressed_alert_is_kept_and_says_so(tmp_path):
    export(table(make_alert(suppressed_by="ops: known")), tmp_path / "alerts.jsonl")
    line = json.loads((tmp_path / "alerts.jsonl").read_text())
    assert (line["status_id"], line["status"], line["is_alert"]) == (3, "Suppressed", False)
    assert line["unmapped"]["suppressed_by"] == "ops: known"


def test_no_alerts_are_an_empty_file_of_its_form(tmp_path):
    none = table(make_alert()).iloc[:0]
    for ending in ("parquet", "csv", "jsonl"):
        export(none, tmp_path / f"alerts.{ending}")
    assert pq.read_table(tmp_path / "alerts.parquet").num_rows == 0
    assert (tmp_path / "alerts.csv").read_text() == ",".join(ALERT.names) + "\n"
    assert (tmp_path / "alerts.jsonl").read_text() == ""


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "alerts.jsonl"
    path.write_text("old\n")
    with pytest.raises(TypeError):
        export(table(make_alert(), make_alert(raised_at=None)), path)
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_ids_that_have_lost_their_last_digits_are_refused(tmp_path):
    with pytest.raises(TypeError, match="grant_id"):
        export(table(make_alert()).astype({"grant_id": float}), tmp_path / "alerts.csv")


def test_another_ending_or_no_folder_is_said_in_words(tmp_path):
    with pytest.raises(ExportError, match=r"\.parquet, \.csv, \.jsonl"):
        export(table(make_alert()), tmp_path / "alerts.xlsx")
    with pytest.raises(ExportError, match="no such folder"):
        export(table(make_alert()), tmp_path / "nowhere" / "alerts.csv")
