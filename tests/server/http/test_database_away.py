"""While the database is away every answer says so, whoever asks and whatever for; afterwards all is as before."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import make_url


@contextmanager
def tables_taken_away(site: Any, *chosen: str) -> Iterator[None]:
    """Every statement about them fails meanwhile; by default about any."""
    with closing(sqlite3.connect(make_url(site.database).database)) as database:
        there = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        names = chosen or there
        for name in names:
            database.execute(f"ALTER TABLE {name} RENAME TO away_{name}")
        yield
        for name in names:
            database.execute(f"ALTER TABLE away_{name} RENAME TO {name}")


def requests_of(site: Any, agent: Any, grant: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Everything that needs the database, as method, path and what is sent."""
    admin = {"headers": site.as_admin}
    token = {"token": grant["access_token"]}
    return [
        ("POST", "/token", {"auth": agent, "data": {"grant_type": "client_credentials"}}),
        ("POST", "/verify", {**admin, "json": token}),
        ("POST", "/introspect", {**admin, "data": token}),
        ("POST", "/revoke", {"auth": agent, "data": token}),
        ("POST", "/admin/revocations", {**admin, "json": token}),
        ("POST", "/admin/keys", {**admin, "json": {"alg": "EdDSA"}}),
        ("GET", "/admin/agents", admin),
        ("GET", "/admin/grants", admin),
        ("GET", "/admin/audit", admin),
        ("GET", "/admin/grants/1/tree", admin),
        ("GET", f"/register/{agent.client_id}", admin),
        ("GET", "/marks", {}),
        ("GET", "/statuslists/0", {}),
        ("GET", "/account/grants", {"headers": {"Cookie": f"agentsim={'x' * 43}"}}),
    ]


@pytest.fixture
def site(make_site: Any) -> Any:
    return make_site(status_lists=True)


def test_no_answer_is_a_500_and_each_says_when_to_ask_again(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    asked = requests_of(site, agent, grant)
    with tables_taken_away(site):
        answers = {path: site.http.request(method, path, **options) for method, path, options in asked}
    statuses = {path: answer.status_code for path, answer in answers.items()}
    assert statuses == dict.fromkeys(statuses, 503)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers.values())
    told = {path: answer.json()["reason"] for path, answer in answers.items() if path != "/account/grants"}
    assert told == dict.fromkeys(told, "database_away")


def test_afterwards_all_is_as_it_was(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    keys = site.get("/jwks").json()
    with tables_taken_away(site):
        for method, path, options in requests_of(site, agent, grant):
            site.http.request(method, path, **options)
    assert site.is_active(grant["access_token"])
    assert site.refresh(agent, grant).status_code == 200
    assert site.get("/jwks").json() == keys
    assert site.get("/admin/agents", headers=site.as_admin).status_code == 200


def test_a_key_that_the_audit_trail_could_not_tell_of_never_signs(site: Any) -> None:
    keys = site.get("/jwks").json()
    with tables_taken_away(site, "task_audit_log"):
        answer = site.post("/admin/keys", headers=site.as_admin, json={"alg": "EdDSA"})
    assert answer.status_code == 503
    assert site.get("/jwks").json() == keys
    rotated = site.post("/admin/keys", headers=site.as_admin, json={"alg": "EdDSA"})
    assert site.get("/jwks").json()["keys"][0]["kid"] == rotated.json()["kid"]
