"""RFC 9701: signed introspection responses are not offered; whoever wants nothing else is refused, not fooled."""

from typing import Any

import pytest

SIGNED = "application/token-introspection+jwt"


def ask(site: Any, accept: str) -> Any:
    token = site.root(site.agent())["access_token"]
    return site.post("/introspect", headers={**site.as_admin, "Accept": accept}, data={"token": token})


def test_it_is_not_advertised(site: Any) -> None:
    metadata = site.http.get(f"{site.origin}/.well-known/oauth-authorization-server").json()
    assert not [
        name for name in metadata if name.startswith(("introspection_signing", "introspection_encryption"))
    ]


def test_the_refusal_is_described(site: Any) -> None:
    described = site.get("/openapi.json").json()["paths"]
    assert "406" in described["/introspect"]["post"]["responses"]


@pytest.mark.parametrize(
    "accept", [SIGNED, f"{SIGNED};q=0.9", f"Application/Token-Introspection+JWT, {SIGNED}"]
)
def test_who_takes_nothing_but_a_signed_answer_is_refused(site: Any, accept: str) -> None:
    answer = ask(site, accept)
    assert answer.status_code == 406
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["reason"] == "signed_response_not_offered"
    assert "active" not in answer.json()
    assert site.refusals_at_the_door("introspect", "signed_response_not_offered") > 0


@pytest.mark.parametrize(
    "accept", [f"{SIGNED}, application/json;q=0.5", f"{SIGNED}, */*", "text/html", "*/*"]
)
def test_who_takes_json_as_well_is_given_json(site: Any, accept: str) -> None:
    answer = ask(site, accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["active"] is True
