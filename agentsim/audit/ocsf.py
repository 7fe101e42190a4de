"""An audit row as an OCSF event: API Activity (6003) or, where a person signs in, Authentication (3002)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentsim.ocsf import METADATA
from agentsim.server.credentials import client_name

_API, _AUTHENTICATION = (
    (6, "Application Activity", 6003, "API Activity"),
    (
        3,
        "Identity & Access Management",
        3002,
        "Authentication",
    ),
)
_CREATE, _READ, _UPDATE, _DELETE = (1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")
_OTHER, _LOGON = (99, "Other"), (1, "Logon")
#: What is done to what: tokens are made, looked at, renewed and ended, and so are agents.
_ACTIVITIES = {
    "agent_registered": _CREATE,
    "agent_confirmed": _UPDATE,
    "agent_read": _READ,
    "agent_updated": _UPDATE,
    "agent_secret_rotated": _UPDATE,
    "agent_disabled": _UPDATE,
    "agent_enabled": _UPDATE,
    "token_issued": _CREATE,
    "child_token_issued": _CREATE,
    "token_refreshed": _UPDATE,
    "token_verified": _READ,
    "token_introspected": _READ,
    "token_revoked": _DELETE,
    "token_ended": _DELETE,
    "consent_withdrawn": _DELETE,
    "grant_held": _UPDATE,
    "grant_reauthorized": _UPDATE,
    "policy_changed": _UPDATE,
    "key_rotated": _UPDATE,
    "audit_truncated": _DELETE,
    "cleaned_up": _DELETE,
}
#: What OCSF has no word for.
_UNMAPPED = (
    "chain",
    "log_id",
    "row_hash",
    "token_id",
    "access_token_hash",
    "grant_id",
    "parent_grant_id",
    "root_grant_id",
    "task_id",
    "parent_task_id",
    "reason",
    "details",
)


def event(row: Mapping[str, Any]) -> dict[str, Any]:
    """The event of an audit row, as :func:`agentsim.audit.exporting.told` has it: ids are text."""
    person = row["event_type"] == "sign_in"
    category_uid, category, class_uid, class_name = _AUTHENTICATION if person else _API
    activity_id, activity = _LOGON if person else _ACTIVITIES.get(row["event_type"], _OTHER)
    granted = row["status"] == "granted"
    made = {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": category_uid,
        "category_name": category,
        "class_uid": class_uid,
        "class_name": class_name,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": f"{class_name}: {activity}",
        "time": row["timestamp"] // 1000,
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1 if granted else 2,
        "status": "Success" if granted else "Failure",
        "message": f"{row['event_type']} {row['status']}",
        "metadata": {
            **METADATA,
            "uid": row["log_id"],
            "log_name": "task_audit_log",
        },
        "src_endpoint": {"name": "unknown"} if row["source_ip"] is None else {"ip": row["source_ip"]},
        "unmapped": {name: row[name] for name in _UNMAPPED if row[name] is not None},
    }
    if row["reason"] is not None:
        made["status_detail"] = row["reason"]
    return made | (_of_person(row) if person else _of_agent(row))


def _of_person(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"user": {"name": row["details"].get("account", "unknown")}, "service": {"name": "agentsim"}}


def _of_agent(row: Mapping[str, Any]) -> dict[str, Any]:
    client = row["client_id"]
    return {
        "actor": {"app_name": "unknown"} if client is None else {"app_uid": client_name(int(client))},
        "api": {"operation": row["event_type"], "service": {"name": "agentsim"}},
    }
