"""The feed of marks: signed, in the order of commits, by page, without names."""

from typing import Any

import jwt
import pytest

from agentsim.server import announcements
from agentsim.server.clock import SECOND
from agentsim.server.lineage import principal_key, task_key


def page(site: Any, after: int = 0) -> dict[str, Any]:
    answer = site.get("/marks", params={"after": after})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/marks+jwt"
    assert jwt.get_unverified_header(answer.text)["typ"] == "marks+jwt"
    (jwk,) = site.get("/jwks").json()["keys"]
    options = {"verify_exp": False, "verify_iat": False}
    return dict(jwt.decode(answer.text, jwt.PyJWK(jwk), algorithms=[jwk["alg"]], options=options))


def test_each_mark_is_told_by_its_kind_and_key(make_site: Any) -> None:
    site = make_site()
    agent = site.agent()
    root = site.root(agent, task_id="secret plan")
    assert page(site)["marks"] == []
    grants = site.get("/admin/grants", headers=site.as_admin).json()["grants"]
    site.post("/revoke", auth=agent, data={"token": root["access_token"]})
    for named in ({"task_id": "secret plan"}, {"client_id": agent.client_id}, {"principal": "ana"}):
        site.post("/admin/revocations", headers=site.as_admin, json=named)
    told = page(site)
    assert [(mark["kind"], mark["key"]) for mark in told["marks"]] == [
        ("grant", grants[0]["grant_id"]),
        ("task", str(task_key("admin", "secret plan"))),
        ("client", agent.client_id.removeprefix("agent_")),
        ("principal", str(principal_key("admin", "ana"))),
    ]
    assert "secret plan" not in str(told)
    assert (told["iss"], told["more"], told["iat"]) == (site.issuer, False, site.clock.now() // SECOND)
    assert page(site, told["place"])["marks"] == []
    assert page(site, told["place"])["place"] == told["place"]


def test_many_marks_come_by_page(make_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "MOST_MARKS", 2)
    site = make_site()
    for number in range(5):
        site.post("/admin/revocations", headers=site.as_admin, json={"task_id": f"task {number}"})
    seen, place, more = [], 0, True
    while more:
        told = page(site, place)
        assert told["after"] == place
        seen += [mark["id"] for mark in told["marks"]]
        place, more = told["place"], told["more"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("query", ["after=-1", "after=x", "before=3", "after=1&after=2"])
def test_a_place_is_a_number(site: Any, query: str) -> None:
    assert site.get(f"/marks?{query}").status_code == 400
