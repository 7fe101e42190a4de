"""Defects of the implementation that the document describes: each story fails where one of them is back."""

import sqlite3
from contextlib import closing
from typing import Any

import jwt
import pytest

from agentsim.server import SigningKey
from agentsim.server.keys import ALGORITHMS
from agentsim.server.metadata import TOKEN_EXCHANGE
from tests.callers import ACCESS_TOKEN

POLICY = {"max_depth": 64}
GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}


def child_form(parent: dict[str, Any], **form: str) -> dict[str, str]:
    terms = {"grant_type": TOKEN_EXCHANGE, "subject_token_type": ACCESS_TOKEN, "scope": "file_read:github"}
    return terms | {"subject_token": parent["access_token"]} | form


def together(site: Any, agent: Any, forms: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Grants by the batch form, all of one agent."""
    by = {"client_id": agent.client_id, "client_secret": agent.client_secret}
    answers: list[dict[str, Any]] = []
    for start in range(0, len(forms), 1_000):
        body = {"owner": "admin", "requests": [form | by for form in forms[start : start + 1_000]]}
        answers += site.post("/token/batch", json=body).json()["responses"]
    assert all("access_token" in answer for answer in answers)
    return answers


def valid(site: Any, grants: list[dict[str, Any]]) -> list[bool]:
    """Which of the grants' tokens may be used, by the batch form of verify."""
    items = [{"token": grant["access_token"], "include_history": False} for grant in grants]
    found: list[bool] = []
    for start in range(0, len(items), 1_000):
        body = {"requests": items[start : start + 1_000]}
        answers = site.post("/verify", headers=site.as_admin, json=body).json()["responses"]
        found += [answer["is_valid"] for answer in answers]
    return found


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def test_an_agent_that_was_never_activated_gets_no_token(site: Any) -> None:
    made = site.register()
    answer = site.ask((made["client_id"], made["client_secret"]), **GRANT)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    site.confirm(made)
    assert site.ask((made["client_id"], made["client_secret"]), **GRANT).status_code == 200


@pytest.mark.parametrize("scope", ["anything:at/all", "file_delete:github", "file_read:everything", "admin"])
def test_no_scope_is_granted_that_is_not_registered(site: Any, scope: str) -> None:
    answer = site.ask(site.agent(), grant_type="client_credentials", scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_the_highest_level_is_read(make_site: Any) -> None:
    site = make_site(tool_levels={"file_write": "elevated"})
    restricted, elevated = site.agent(), site.agent(max_scope_level="elevated")
    form = {"grant_type": "client_credentials", "scope": "file_write:github"}
    assert site.ask(restricted, **form).json()["reason"] == "level_too_low"
    assert (
        site.ask(restricted, **form, scope_level="elevated").json()["reason"] == "level_exceeds_registration"
    )
    assert site.ask(elevated, **form).status_code == 200


def test_the_document_s_own_scopes_are_scopes(site: Any) -> None:
    for scope in ("file_read:github", "file_read:github/specific", "email.read"):
        agent = site.agent(scope="email.read")
        assert site.ask(agent, grant_type="client_credentials", scope=scope).json()["scope"] == scope


@pytest.mark.parametrize("scope", ["file_write:github", "db_query:github file_read:github", "file_read:jira"])
@pytest.mark.parametrize("form", ["exchange", "the document's"])
def test_a_child_gets_no_more_than_its_parent_has(site: Any, scope: str, form: str) -> None:
    root = site.root(site.agent())
    asked = child_form(root, scope=scope)
    if form == "the document's":
        asked = {"grant_type": "client_credentials", "parent_token": root["access_token"], "scope": scope}
    answer = site.ask(site.agent(), **asked)
    assert (answer.status_code, answer.json()["reason"]) == (400, "scope_exceeds_parent")


def test_a_revoked_refresh_token_works_no_more(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    answer = site.post("/revoke", auth=agent, data={"token": grant["refresh_token"]})
    assert answer.json()["revoked"] is True
    assert site.refresh(agent, grant).json()["error"] == "invalid_grant"
    assert not site.is_active(grant["access_token"])


def test_a_refresh_token_used_twice_ends_its_family(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent)
    second = site.refresh(agent, first).json()
    third = site.refresh(agent, second).json()
    assert site.refresh(agent, first).json()["error"] == "invalid_grant"
    assert valid(site, [first, second, third]) == [False] * 3
    assert site.refresh(agent, third).json()["error"] == "invalid_grant"


def test_a_refresh_leaves_no_children_of_the_old_token_behind(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent)
    child = site.child(site.agent(), first)
    second = site.refresh(agent, first).json()
    site.post("/revoke", auth=agent, data={"token": second["access_token"]})
    assert valid(site, [first, child, second]) == [False] * 3


def test_a_refresh_token_lives_longer_than_its_access_token(make_site: Any) -> None:
    site = make_site()
    agent = site.agent()
    grant = site.root(agent)
    site.clock.advance(3_600_000_000)
    assert site.refresh(agent, grant).status_code == 200


def test_a_cascade_reaches_the_end_of_the_longest_chain(site: Any) -> None:
    agent = site.agent()
    grants = [site.root(agent, task_id="chain")]
    for depth in range(1, 65):
        grants.append(site.child(agent, grants[-1], task_id=f"chain/{depth}"))
    assert all(valid(site, grants))
    ended = site.post("/revoke", auth=agent, data={"token": grants[0]["access_token"]}).json()
    assert (ended["revoked"], ended["count"], ended["closure"]) == (True, 65, "closed")
    assert set(ended["affected_task_chain"]) == {grant["task_id"] for grant in grants}
    assert not any(valid(site, grants))
    assert {row["status"] for row in tree(site, grants[0])} == {"revoked"}


def test_a_cascade_reaches_every_leaf_of_a_tree_of_thousands(site: Any) -> None:
    agent = site.agent()
    root = site.root(agent, task_id="tree")
    boughs = together(site, agent, [child_form(root, task_id=f"tree/{n}") for n in range(4)])
    leaves = together(
        site, agent, [child_form(boughs[n % 4], task_id=f"tree/{n % 4}/{n}") for n in range(2_400)]
    )
    grants = [root, *boughs, *leaves]
    assert all(valid(site, grants))
    ended = site.post("/revoke", auth=agent, data={"token": root["access_token"]}).json()
    # At once, whether or not the rows below have been filled in by now.
    assert not any(valid(site, grants))
    for _ in range(100):
        if ended["closure"] == "closed":
            break
        ended = site.post("/revoke", auth=agent, data={"token": root["access_token"]}).json()
    assert (ended["closure"], ended["count"]) == ("closed", len(grants))
    assert len(ended["affected_task_chain"]) == 1_000
    assert [row["status"] for row in tree(site, root)] == ["revoked"] * len(grants)
    # Each has a row of its own in the trail, the leaves as well.
    leaf = claims_of(leaves[-1]["access_token"])["lineage"]["grants"][-1]
    events = sorted(row["event_type"] for row in site.audit(grant_id=leaf))
    assert events == ["child_token_issued", "token_ended", "token_verified", "token_verified"]


def tree(site: Any, grant: dict[str, Any]) -> list[dict[str, Any]]:
    grant_id = claims_of(grant["access_token"])["lineage"]["grants"][0]
    rows: list[dict[str, Any]] = []
    after = "0"
    while after is not None:
        page = site.get(
            f"/admin/grants/{grant_id}/tree", headers=site.as_admin, params={"after": after, "limit": 1_000}
        ).json()
        rows += page["grants"]
        after = page["next"]
    return rows


def test_a_cascade_needs_no_asking_for(site: Any) -> None:
    agent = site.agent()
    for path, options in (
        ("/revoke", {"auth": agent, "data": {}}),
        ("/admin/revocations", {"headers": site.as_admin, "json": {}}),
    ):
        root = site.root(agent)
        child = site.child(site.agent(), root)
        for name in ("data", "json"):
            if name in options:
                options[name] = {"token": root["access_token"]}
        assert site.post(path, **options).status_code == 200
        assert valid(site, [root, child]) == [False, False]


def test_nobody_looks_or_acts_without_credentials(site: Any) -> None:
    token = site.root(site.agent())["access_token"]
    for path in ("/introspect", "/revoke"):
        assert site.post(path, data={"token": token}).status_code == 401
    assert site.post("/verify", json={"token": token}).status_code == 401
    for path in ("/admin/agents", "/admin/grants", "/admin/audit"):
        assert site.get(path).status_code == 401
    assert site.is_active(token)


def test_the_token_endpoint_takes_forms_and_basic_and_answers_scope_as_a_string(site: Any) -> None:
    answer = site.ask(site.agent(), **GRANT)
    assert answer.request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert answer.request.headers["authorization"].startswith("Basic ")
    assert answer.status_code == 200
    assert answer.json()["scope"] == "file_read:github"
    assert answer.headers["cache-control"] == "no-store"


def test_errors_have_the_form_of_the_rfc(site: Any) -> None:
    wrong = site.ask(site.agent()._replace(client_secret="wrong"), **GRANT)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in wrong.headers
    unknown = site.ask(site.agent(), grant_type="unheard_of")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "unsupported_grant_type")
    for answer in (wrong, unknown):
        assert "detail" not in answer.json()
        assert isinstance(answer.json()["error_description"], str)


def test_issuer_and_audience_are_verified(make_site: Any) -> None:
    key = SigningKey.generate()
    site = make_site(resources=("https://api.example",))
    site.server.keyring.keys = type(site.server.keyring)(key).keys
    agent = site.agent()
    claims = claims_of(site.root(agent)["access_token"])
    header = {"typ": "at+jwt", "kid": key.kid}

    def signed(**changes: str) -> str:
        return jwt.encode(claims | changes, key.private, key.alg, header)

    assert site.is_active(signed())
    for changes in ({"iss": "https://elsewhere.example"}, {"aud": "https://elsewhere.example"}):
        assert not site.is_active(signed(**changes))
    elsewhere = site.post(
        "/verify", headers=site.as_admin, json={"token": signed(), "audience": "https://api.example"}
    )
    assert elsewhere.json()["reason"] == "wrong_audience"


def test_the_audience_is_a_resource_server_and_the_type_an_access_token_s(site: Any) -> None:
    agent = site.agent()
    token = site.root(agent)["access_token"]
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert claims_of(token)["aud"] == site.policy.audience != agent.client_id


def test_task_delegation_and_client_are_in_the_token(site: Any) -> None:
    parent, child = site.agent(), site.agent()
    root = site.root(parent, task_id="bound")
    claims = claims_of(site.child(child, root, task_id="bound/1")["access_token"])
    assert claims["client_id"] == child.client_id
    assert (claims["task_id"], claims["parent_task_id"]) == ("bound/1", "bound")
    assert claims["act"] == {"sub": child.client_id, "act": {"sub": parent.client_id}}
    # And it holds there: used for another task, the token is refused.
    other = site.post(
        "/verify", headers=site.as_admin, json={"token": root["access_token"], "task_id": "other"}
    )
    assert (other.json()["is_valid"], other.json()["reason"]) == (False, "task_mismatch")


def test_a_child_does_not_outlive_its_parent(make_site: Any) -> None:
    site = make_site()
    parent, child = site.agent(), site.agent()
    root = site.root(parent)
    site.clock.advance(200_000_000)
    below = site.child(child, root)
    assert below["expires_in"] == 100
    site.clock.advance(100_000_000)
    assert not site.is_active(below["access_token"])
    # Nor does a refresh carry it beyond the grant that it came from.
    site.clock.advance((24 * 3600 - 300) * 1_000_000)
    assert site.refresh(child, below).json()["reason"] == "refresh_expired"


def test_depth_has_a_limit(make_site: Any) -> None:
    site = make_site(max_depth=2)
    agent = site.agent()
    grant = site.root(agent)
    for _ in range(2):
        grant = site.child(agent, grant)
    answer = site.ask(agent, **child_form(grant))
    assert (answer.status_code, answer.json()["reason"]) == (400, "depth_exceeded")


def test_holding_a_token_is_not_enough_to_delegate_it(site: Any) -> None:
    root = site.root(site.agent())
    thief = site.agent(owner="elsewhere")
    for form in (child_form(root), {**GRANT, "parent_token": root["access_token"]}):
        assert site.ask(thief, **form).json()["reason"] == "not_delegated"


def test_what_the_metadata_advertises_is_served(site: Any) -> None:
    metadata = site.http.get(f"{site.origin}/.well-known/oauth-authorization-server").json()
    urls = {name: url for name, url in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(urls) == 10
    for name, url in urls.items():
        method = "GET" if name in ("jwks_uri", "marks_endpoint", "authorization_endpoint") else "POST"
        assert site.http.request(method, url).status_code not in (404, 405), name
    assert metadata["response_types_supported"] == ["code"]
    check_grants(site, metadata)
    for endpoint, extra in (
        ("token", GRANT),
        ("introspection", {"token": "x"}),
        ("revocation", {"token": "x"}),
    ):
        methods = metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        tried = [authenticated(site, method, algorithm) for method in methods for algorithm in algorithms]
        for options in tried:
            data = {**extra, **options.get("data", {})}
            answer = site.http.post(urls[f"{endpoint}_endpoint"], auth=options.get("auth"), data=data)
            assert answer.status_code == 200, answer.text
    (kind,) = metadata["authorization_details_types_supported"]
    details = f'[{{"type": "{kind}", "actions": ["file_read"], "locations": ["github"]}}]'
    form = {"grant_type": "client_credentials", "authorization_details": details}
    assert site.ask(site.agent(), **form).status_code == 200
    for resource in metadata["protected_resources"]:
        assert site.ask(site.agent(), **GRANT, resource=resource).status_code == 200


def check_grants(site: Any, metadata: dict[str, Any]) -> None:
    agent = site.agent()
    root = site.root(agent)
    forms = {
        "client_credentials": GRANT,
        "refresh_token": {"grant_type": "refresh_token", "refresh_token": root["refresh_token"]},
        TOKEN_EXCHANGE: child_form(root),
    }
    # A code takes a person: the stories of people redeem it.
    assert set(metadata["grant_types_supported"]) == forms.keys() | {"authorization_code"}
    for form in forms.values():
        assert site.http.post(metadata["token_endpoint"], auth=agent, data=form).status_code == 200


def authenticated(site: Any, method: str, algorithm: Any) -> dict[str, Any]:
    """What makes a request that of an agent which authenticates in this way."""
    assert algorithm in ALGORITHMS
    key = SigningKey.generate(algorithm)
    jwks = {"keys": [key.public_jwk()]}
    agent = site.agent(token_endpoint_auth_method=method, jwks=jwks)
    if method == "client_secret_basic":
        return {"auth": agent}
    if method == "client_secret_post":
        return {"data": agent._asdict()}
    claims = {"iss": agent.client_id, "sub": agent.client_id, "aud": site.issuer, "jti": "one"}
    claims["exp"] = site.clock.now() // 1_000_000 + 60
    return {
        "data": {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, key.private, key.alg),
        }
    }


def test_no_other_origin_is_let_in(site: Any) -> None:
    origin = {"Origin": "https://evil.example"}
    metadata = f"{site.origin}/.well-known/oauth-authorization-server"
    answers = [
        site.post("/token", auth=site.agent(), data=GRANT, headers=origin),
        site.get("/admin/agents", headers={**site.as_admin, **origin}),
        site.http.get(metadata, headers=origin),
        site.http.options("/token", headers={**origin, "Access-Control-Request-Method": "POST"}),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_reason_of_a_revocation_is_kept(site: Any) -> None:
    grant = site.root(site.agent(), task_id="reason")
    asked = {"token": grant["access_token"], "reason": "suspicious_task_pattern"}
    site.post("/admin/revocations", headers=site.as_admin, json=asked)
    with closing(sqlite3.connect(site.database.removeprefix("sqlite:///"))) as database:
        query = "SELECT revocation_reason FROM issued_tokens WHERE task_id = 'reason'"
        assert database.execute(query).fetchall() == [("suspicious_task_pattern",)]
    assert site.audit(event_type="token_revoked")[0]["reason"] == "suspicious_task_pattern"


def test_a_deleted_agent_leaves_its_audit_trail_behind(site: Any) -> None:
    made = site.register()
    site.confirm(made)
    agent = (made["client_id"], made["client_secret"])
    assert site.ask(agent, **GRANT).status_code == 200
    before = site.audit(client_id=made["client_id"])
    assert site.http.delete(f"/register/{made['client_id']}", headers=site.as_admin).status_code == 204
    after = site.audit(client_id=made["client_id"])
    assert after[-len(before) :] == before
    assert "agent_disabled" in {row["event_type"] for row in after[: -len(before)]}
    grants = site.get("/admin/grants", headers=site.as_admin, params={"client_id": made["client_id"]}).json()
    assert [grant["status"] for grant in grants["grants"]] == ["revoked"]


def test_a_failed_authentication_is_in_the_trail_with_its_address(site: Any) -> None:
    agent = site.agent()
    site.ask(agent._replace(client_secret="wrong"), **GRANT)
    row = site.audit(client_id=agent.client_id)[0]
    assert (row["status"], row["reason"], row["source_ip"]) == ("refused", "invalid_client", "127.0.0.1")


def test_verifications_and_introspections_are_in_the_trail(site: Any) -> None:
    agent = site.agent()
    token = site.root(agent)["access_token"]
    site.post("/verify", headers=site.as_admin, json={"token": token})
    site.post("/introspect", auth=agent, data={"token": token})
    events = [row["event_type"] for row in site.audit(client_id=agent.client_id, limit=2)]
    assert events == ["token_introspected", "token_verified"]


def test_lists_of_agents_go_by_pages(site: Any) -> None:
    made = [site.register(owner="paged")["client_id"] for _ in range(5)]
    found: list[str] = []
    query: dict[str, Any] = {"owner": "paged", "limit": 2}
    while query.get("after", "") is not None:
        page = site.get("/admin/agents", headers=site.as_admin, params=query).json()
        found += [agent["client_id"] for agent in page["agents"]]
        query["after"] = page["next"]
    assert found == made
