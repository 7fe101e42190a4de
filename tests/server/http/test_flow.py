"""The document's flow over HTTP, from registration to revocation."""

from typing import Any


def test_from_registration_to_a_revoked_tree(site: Any) -> None:
    orchestrator, reviewer = site.agent(client_name="orchestrator"), site.agent(client_name="reviewer")
    root = site.root(orchestrator, task_id="flow", required_tools="file_read", required_resources="github")
    assert root["task_bound"] is True
    child = site.child(reviewer, root, scope="file_read:github/specific", task_id="flow/1")
    assert child["parent_task_id"] == "flow"
    assert child["scope_inheritance"] == "restricted"

    asked = {"token": child["access_token"], "scope": ["file_read:github/specific"], "task_id": "flow/1"}
    verified = site.post("/verify", headers=site.as_admin, json=asked).json()
    assert verified["is_valid"] is True
    assert verified["task_context_valid"] is True

    ended = site.post("/revoke", auth=orchestrator, data={"token": root["access_token"]}).json()
    assert ended["count"] == 2
    assert ended["affected_task_chain"] == ["flow", "flow/1"]
    assert ended["closure"] == "closed"
    assert not site.is_active(child["access_token"])
