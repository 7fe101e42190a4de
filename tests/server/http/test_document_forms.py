"""The document's own forms: its members, its names, and arrays where it has arrays."""

from typing import Any

GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}


def batch(site: Any, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"owner": "admin", "requests": requests}
    return list(site.post("/token/batch", json=body).json()["responses"])


def credentials(agent: Any) -> dict[str, str]:
    return {"client_id": agent.client_id, "client_secret": agent.client_secret}


def child_in_the_document_s_form(site: Any, by: Any, parent: dict[str, Any], **form: Any) -> Any:
    terms = {
        **GRANT,
        "scope": "file_read:github/specific",
        "parent_token": parent["access_token"],
        "task_description": "Review File",
        "required_tools": "file_read",
        "required_resources": "github",
    }
    return site.ask(by, **(terms | form))


def test_registration_in_its_words(site: Any) -> None:
    asked = {
        "agent_name": "Code Reviewer",
        "description": "reviews what others wrote",
        "allowed_tools": ["file_read", "db_query", "api_call"],
        "resource_access": ["github", "jira", "s3"],
        "max_scope_level": "restricted",
    }
    answer = site.post("/register", headers=site.as_admin, json=asked)
    made = answer.json()
    assert answer.status_code == 201
    assert {"client_id", "client_secret", "allowed_scopes", "registration_token"} <= made.keys()
    assert len(made["allowed_scopes"]) == 9
    assert "db_query:s3" in made["allowed_scopes"]
    assert (made["agent_name"], made["client_name"]) == ("Code Reviewer", "Code Reviewer")
    confirmed = site.post("/register/confirm", json={"registration_token": made["registration_token"]})
    assert confirmed.json()["status"] == "active"


def test_a_token_is_bound_to_its_task(site: Any) -> None:
    granted = site.root(
        site.agent(), task_id="pr-1", task_description="Code Review", required_tools="file_read"
    )
    assert {"access_token", "refresh_token", "scope"} <= granted.keys()
    assert (granted["task_id"], granted["task_bound"]) == ("pr-1", True)
    assert (granted["allowed_tools"], granted["allowed_resources"]) == (["file_read"], ["github"])
    assert not {"parent_task_id", "scope_inheritance"} & granted.keys()
    seen = site.get("/admin/grants", headers=site.as_admin, params={"task_id": "pr-1"}).json()["grants"]
    assert [grant["task_description"] for grant in seen] == ["Code Review"]


def test_a_child_names_its_parent_s_token_and_task(site: Any) -> None:
    root = site.root(site.agent(), task_id="pr-2")
    answer = child_in_the_document_s_form(
        site, site.agent(), root, parent_task_id="pr-2", task_id="pr-2/file"
    )
    assert answer.status_code == 200, answer.text
    child = answer.json()
    assert child["scope"] == "file_read:github/specific"
    assert (child["task_id"], child["parent_task_id"]) == ("pr-2/file", "pr-2")
    assert child["scope_inheritance"] == "restricted"
    assert (child["allowed_tools"], child["allowed_resources"]) == (["file_read"], ["github"])
    assert child["refresh_token"]


def test_a_parent_s_task_that_is_another_is_refused(site: Any) -> None:
    root = site.root(site.agent(), task_id="pr-3")
    answer = child_in_the_document_s_form(site, site.agent(), root, parent_task_id="another")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["reason"] == "parent_task_mismatch"


def test_full_inheritance_takes_all_that_both_bounds_allow(site: Any) -> None:
    root = site.root(site.agent(), scope="file_read:github file_read:jira db_query:github")
    reader = site.agent(allowed_tools=["file_read"])
    asked = {
        "grant_type": "client_credentials",
        "parent_token": root["access_token"],
        "scope_inheritance": "full",
    }
    child = site.ask(reader, **asked).json()
    assert child["scope"] == "file_read:github file_read:jira"
    assert child["scope_inheritance"] == "full"


def test_verification_takes_arrays_and_answers_in_the_document_s_words(site: Any) -> None:
    agent = site.agent()
    site.root(agent, task_id="earlier")
    root = site.root(agent, task_id="pr-4")
    child = child_in_the_document_s_form(site, agent, root, task_id="pr-4/file").json()
    asked = {
        "token": child["access_token"],
        "scope": ["file_read:github/specific"],
        "task_id": "pr-4/file",
        "parent_task_id": "pr-4",
        "task_description": "Review PR",
        "required_tools": ["file_read"],
    }
    for _ in range(2):
        answer = site.post("/verify", auth=agent, json=asked)
    told = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert told["is_valid"] is True
    assert told["scope"] == "file_read:github/specific"
    assert told["task_context_valid"] is True
    # Nobody who judges patterns is at work here.
    assert told["historical_pattern_match"] is None
    assert "earlier" in told["previous_tasks"]
    assert told["execution_patterns"]["verifications"] == 1
    assert told["execution_patterns"]["tools"] == {"file_read": 1}


def test_verification_takes_strings_as_well_as_arrays(site: Any) -> None:
    token = site.root(site.agent(), scope="file_read:github file_read:jira")["access_token"]
    for scope in ("file_read:jira file_read:github", ["file_read:jira", "file_read:github"]):
        for tools in ("file_read", ["file_read"]):
            asked = {"token": token, "scope": scope, "required_tools": tools}
            assert site.post("/verify", headers=site.as_admin, json=asked).json()["is_valid"] is True


def test_verification_for_a_wrong_task_says_so(site: Any) -> None:
    token = site.root(site.agent(), task_id="pr-5")["access_token"]
    for asked in ({"task_id": "pr-6"}, {"task_id": "pr-5", "parent_task_id": "none"}):
        told = site.post("/verify", headers=site.as_admin, json={"token": token, **asked}).json()
        assert (told["is_valid"], told["task_context_valid"]) == (False, False)
        assert told["error"] == "invalid_token"


def test_many_verifications_in_one_request_are_answered_each_by_itself_and_in_order(site: Any) -> None:
    agent = site.agent()
    tokens = [site.root(agent, task_id=f"many/{n}")["access_token"] for n in range(3)]
    items = [
        {"token": tokens[0], "task_id": "many/0"},
        {"token": "nonsense"},
        {"token": tokens[1], "task_id": "many/0"},
        {"token": tokens[2], "scope": ["file_read:github"], "include_history": False},
    ]
    answers = site.post("/verify", auth=agent, json={"requests": items}).json()["responses"]
    assert [answer["is_valid"] for answer in answers] == [True, False, False, True]
    assert [answer.get("reason") for answer in answers] == [None, "token_malformed", "task_mismatch", None]
    assert answers[3]["previous_tasks"] == []


def test_a_batch_of_token_requests_takes_arrays(site: Any) -> None:
    parent, child = site.agent(), site.agent()
    terms = {"scope": ["file_read:github", "file_read:jira"], "required_tools": ["file_read"]}
    (root,) = batch(site, {"grant_type": "client_credentials", **credentials(parent), **terms})
    assert root["scope"] == "file_read:github file_read:jira"
    asked = {**GRANT, "parent_token": root["access_token"], "required_resources": ["github"]}
    below, beyond = batch(
        site, {**asked, **credentials(child)}, {**asked, **credentials(child), "scope": ["db_query:github"]}
    )
    assert (below["scope"], below["allowed_resources"]) == ("file_read:github", ["github"])
    assert beyond["error"] == "invalid_scope"


def test_introspection_tells_the_task_history_to_whom_it_concerns(site: Any) -> None:
    parent, child = site.agent(), site.agent()
    root = site.root(parent, task_id="pr-7")
    below = child_in_the_document_s_form(site, child, root, task_id="pr-7/file").json()
    site.post(
        "/verify",
        headers=site.as_admin,
        json={"token": below["access_token"], "required_tools": ["file_read"]},
    )
    asked = {"token": below["access_token"], "include_task_history": "true"}
    for caller in ({"headers": site.as_admin}, {"auth": parent}, {"auth": child}):
        history = site.post("/introspect", data=asked, **caller).json()["task_history"]
        assert history["current_task"] == "pr-7/file"
        assert history["parent_tasks"] == ["pr-7"]
        assert history["task_chain"] == [
            {"task_id": "pr-7", "status": "active"},
            {"task_id": "pr-7/file", "status": "active"},
        ]
        events = {log["event_type"] for log in history["execution_logs"]}
        assert {"child_token_issued", "token_verified"} <= events
        assert history["execution_patterns"]["verifications"] == 1
        assert history.keys() >= {"execution_pattern", "risk_assessment"}


def test_introspection_keeps_the_task_history_from_others_and_from_who_did_not_ask(site: Any) -> None:
    agent, sibling = site.agent(), site.agent()
    token = site.root(agent)["access_token"]
    for caller, wanted in ((agent, "false"), (agent, ""), (sibling, "true")):
        told = site.post("/introspect", auth=caller, data={"token": token, "include_task_history": wanted})
        assert told.json()["active"] is True
        assert "task_history" not in told.json()


def test_revocation_with_reason_and_task_chain_ends_the_tasks(site: Any) -> None:
    parent, child = site.agent(), site.agent()
    root = site.root(parent, task_id="pr-8")
    below = child_in_the_document_s_form(site, child, root, task_id="pr-8/file").json()
    other = site.root(child, task_id="pr-9")
    asked = {
        "token": root["access_token"],
        "reason": "suspicious_task_pattern",
        "affected_task_chain": ["pr-8", "pr-9"],
    }
    told = site.post("/admin/revocations", headers=site.as_admin, json=asked).json()
    assert (told["revoked"], told["affected_tasks_terminated"]) == (True, True)
    assert set(told["affected_task_chain"]) == {"pr-8", "pr-8/file", "pr-9"}
    for grant in (root, below, other):
        assert not site.is_active(grant["access_token"])
    # Stopped by name: no new token for it either.
    again = site.ask(parent, **GRANT, task_id="pr-9")
    assert (again.status_code, again.json()["reason"]) == (400, "task_terminated")


def test_a_task_an_agent_or_a_principal_can_be_ended_by_name(site: Any) -> None:
    agent, other = site.agent(owner="ended"), site.agent(owner="ended")
    for named in (
        {"task_id": "job", "owner": "ended"},
        {"client_id": agent.client_id},
        {"principal": "ended", "owner": "ended"},
    ):
        root = site.root(agent, task_id="task_of_" + next(iter(named)) if "task_id" not in named else "job")
        child = site.child(other, root, task_id="below")
        told = site.post("/admin/revocations", headers=site.as_admin, json=named).json()
        assert (told["revoked"], told["closure"]) == (True, "closed"), told
        assert told["count"] >= 2
        for grant in (root, child):
            assert not site.is_active(grant["access_token"])


def test_a_revocation_names_exactly_one_thing(site: Any) -> None:
    for body in ({}, {"task_id": "a", "principal": "b"}, {"task_id": "a", "cascade": False}):
        answer = site.post("/admin/revocations", headers=site.as_admin, json=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_administrators_see_who_was_granted_what_by_whom_and_how_it_is_used(site: Any) -> None:
    parent, child = site.agent(client_name="orchestrator"), site.agent(client_name="reviewer")
    root = site.root(parent, task_id="pr-10")
    below = site.child(child, root, task_id="pr-10/file")
    site.post(
        "/verify",
        headers=site.as_admin,
        json={"token": below["access_token"], "required_tools": ["file_read"]},
    )
    page = site.get("/admin/grants", headers=site.as_admin, params={"client_id": child.client_id}).json()
    (seen,) = page["grants"]
    assert (seen["agent_name"], seen["granted_by"], seen["principal"]) == (
        "reviewer",
        parent.client_id,
        "admin",
    )
    assert (seen["scope"], seen["status"]) == ("file_read:github", "active")
    assert seen["usage"]["tools"] == {"file_read": 1}
    whole = site.get(f"/admin/grants/{seen['grant_id']}/tree", headers=site.as_admin).json()["grants"]
    assert [grant["task_id"] for grant in whole] == ["pr-10", "pr-10/file"]
