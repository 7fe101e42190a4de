"""An alert as OCSF's Detection Finding (class 2004)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agentsim.ocsf import METADATA

_CATEGORY, _CLASS, _CREATE = 2, 2004, 1
#: Severity by how far the score is above the threshold. Scores are powers of ten of rarity: one more is ten times as rare.
_SEVERITIES = ((2.0, 5, "Critical"), (1.0, 4, "High"), (0.0, 3, "Medium"), (-math.inf, 2, "Low"))
#: What is told of the entity beyond OCSF's own words.
_UNMAPPED = (
    "kind",
    "tenant",
    "entity",
    "grant_id",
    "root_grant_id",
    "client_id",
    "role",
    "task_id",
    "score",
    "threshold",
    "action",
    "reasons",
    "suppressed_by",
)
_IDS = ("entity", "grant_id", "root_grant_id", "client_id")


def finding(alert: Mapping[str, Any]) -> dict[str, Any]:
    """The finding that an alert (a row of :data:`agentsim.risk.exports.ALERT`) makes.

    Severity is Medium from the threshold on, High from one above it, Critical from two above it. ``risk_score``, which
    OCSF wants as a whole number, is ten times the score. Ids are texts: many readers of JSON know no 64-bit integers.
    """
    severity_id, severity = _severity(alert)
    suppressed = alert["suppressed_by"] is not None
    time = alert["raised_at"] // 1000
    return {
        "activity_id": _CREATE,
        "activity_name": "Create",
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + _CREATE,
        "type_name": "Detection Finding: Create",
        "time": time,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 3 if suppressed else 1,
        "status": "Suppressed" if suppressed else "New",
        "is_alert": not suppressed,
        "message": _title(alert),
        "metadata": dict(METADATA),
        "finding_info": {
            "uid": alert["alert_id"],
            "title": _title(alert),
            "desc": "; ".join(alert["reasons"] or ()),
            "types": ["Anomaly"],
            "created_time": time,
            "analytic": {"name": alert["detector"], "type_id": 2, "type": "Behavioral"},
        },
        "anomaly_analyses": [_analysis(alert)],
        "resources": _resources(alert),
        **_risk(alert, severity_id, severity),
        "unmapped": {name: _known(name, alert[name]) for name in _UNMAPPED},
    }


def _severity(alert: Mapping[str, Any]) -> tuple[int, str]:
    score, threshold = alert["score"], alert["threshold"]
    if score is None or threshold is None or math.isnan(score - threshold):
        return 0, "Unknown"
    above = score - threshold
    return next((number, caption) for least, number, caption in _SEVERITIES if above >= least)


def _risk(alert: Mapping[str, Any], severity_id: int, severity: str) -> dict[str, Any]:
    score = alert["score"]
    if severity_id == 0 or not math.isfinite(score):
        return {}
    # OCSF counts risk levels from Info, severities from Unknown.
    return {"risk_score": round(10 * score), "risk_level_id": severity_id - 1, "risk_level": severity}


def _title(alert: Mapping[str, Any]) -> str:
    of = f" of role {alert['role']}" if alert["role"] else ""
    why = f": {alert['reasons'][0]}" if alert["reasons"] else ""
    return f"Unusual behaviour of {alert['kind']} {alert['entity']}{of}{why}"


def _analysis(alert: Mapping[str, Any]) -> dict[str, Any]:
    observed = alert["reasons"] or [f"score {alert['score']}, threshold {alert['threshold']}"]
    return {
        "analysis_target": {"name": f"{alert['kind']} {alert['entity']}", "type": alert["kind"]},
        "anomalies": [
            {
                "observation_type": "Deviation Analysis",
                "observed_attribute": f"behaviour of the {alert['kind']}",
                "observations": [{"value": reason} for reason in observed],
            }
        ],
    }


def _resources(alert: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The grant, its tree and its agent, as far as the alert names them."""
    named = (("grant", "grant_id"), ("lineage tree", "root_grant_id"), ("agent", "client_id"))
    return [{"type": kind, "uid": str(alert[column])} for kind, column in named if alert[column] is not None]


def _known(name: str, value: Any) -> Any:
    return str(value) if name in _IDS and value is not None else value
