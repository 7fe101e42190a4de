"""RFC 8707: which resource server a token is for."""

from typing import Any

import pytest

API, FILES = "https://api.example", "https://files.example/v1"
POLICY = {"resources": (API, FILES)}


def audience(site: Any, token: str) -> Any:
    return site.post("/introspect", headers=site.as_admin, data={"token": token}).json()["aud"]


def test_without_one_the_token_is_for_the_first_that_the_server_knows(site: Any) -> None:
    assert audience(site, site.root(site.agent())["access_token"]) == site.policy.audience


def test_one_or_several_may_be_named(site: Any) -> None:
    agent = site.agent()
    assert audience(site, site.root(agent, resource=API)["access_token"]) == API
    assert audience(site, site.root(agent, resource=[API, FILES])["access_token"]) == [API, FILES]


@pytest.mark.parametrize(
    "resource",
    [
        "https://evil.example",
        "api.example",
        f"{API}#part",
        f"{API}/",
        f"{API}/deeper",
        [API, "https://evil.example"],
    ],
)
def test_an_unknown_or_malformed_one_is_an_invalid_target(site: Any, resource: Any) -> None:
    answer = site.ask(
        site.agent(), grant_type="client_credentials", scope="file_read:github", resource=resource
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


def test_a_child_s_token_is_for_no_more_than_its_parent_s(site: Any) -> None:
    root = site.root(site.agent(), resource=[API, FILES])
    child = site.agent()
    assert audience(site, site.child(child, root)["access_token"]) == [API, FILES]
    narrower = site.child(child, root, resource=FILES)
    assert audience(site, narrower["access_token"]) == FILES
    form = {"subject_token": narrower["access_token"], "scope": "file_read:github", "resource": API}
    kinds = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    answer = site.ask(child, **form, **kinds)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


def test_a_refresh_may_narrow_and_never_widen(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent, resource=[API, FILES])
    narrowed = site.refresh(agent, grant, resource=API).json()
    assert audience(site, narrowed["access_token"]) == API
    wider = site.refresh(agent, narrowed, resource=site.policy.audience)
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_target")
    assert audience(site, site.refresh(agent, narrowed).json()["access_token"]) == [API, FILES]


def test_a_resource_server_learns_that_a_token_is_not_for_it(site: Any) -> None:
    token = site.root(site.agent(), resource=API)["access_token"]
    for name, valid in ((API, True), (FILES, False), (site.policy.audience, False)):
        answer = site.post("/verify", headers=site.as_admin, json={"token": token, "audience": name}).json()
        assert answer["is_valid"] is valid
    assert answer["error"] == "invalid_token"


def test_the_metadata_names_them(site: Any) -> None:
    metadata = site.http.get(f"{site.origin}/.well-known/oauth-authorization-server").json()
    assert metadata["protected_resources"] == [site.policy.audience, API, FILES]
