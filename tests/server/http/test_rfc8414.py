"""RFC 8414: metadata."""

from typing import Any

WELL_KNOWN = "/.well-known/oauth-authorization-server"


def read(site: Any, path: str = WELL_KNOWN) -> dict[str, Any]:
    answer = site.http.get(site.origin + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


def test_the_required_members_are_there(site: Any) -> None:
    metadata = read(site)
    assert metadata["issuer"] == site.issuer
    assert isinstance(metadata["response_types_supported"], list)
    assert metadata["token_endpoint"] == f"{site.issuer}/token"


def test_grant_types_are_stated_because_the_default_is_another(site: Any) -> None:
    assert read(site)["grant_types_supported"] == [
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]


def test_how_to_authenticate_is_stated_for_each_endpoint(site: Any) -> None:
    metadata = read(site)
    for endpoint in ("token", "introspection", "revocation"):
        methods = metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        assert methods == ["client_secret_basic", "client_secret_post", "private_key_jwt"]
        algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert "RS256" in algorithms
        assert "none" not in algorithms


def test_types_of_authorization_details_are_stated(site: Any) -> None:
    assert read(site)["authorization_details_types_supported"] == ["agent_task"]


def test_the_metadata_of_an_issuer_with_a_path_stands_before_the_path(make_site: Any) -> None:
    site = make_site(path="/tenant/one")
    metadata = read(site, f"{WELL_KNOWN}/tenant/one")
    assert metadata["issuer"] == site.issuer == f"{site.origin}/tenant/one"
    assert site.http.get(site.origin + WELL_KNOWN).status_code == 404
    assert site.http.get(f"{site.origin}/tenant/one{WELL_KNOWN}").status_code == 404
    urls = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]
    assert all(url.startswith(f"{site.issuer}/") for url in urls)
    # And the server works there.
    agent = site.agent()
    assert site.is_active(site.root(agent)["access_token"])


def test_the_issuer_is_the_same_text_everywhere(make_site: Any) -> None:
    for path in ("", "/tenant/one", "/tenant/"):
        site = make_site(path=path)
        issuer = read(site, WELL_KNOWN + path.rstrip("/"))["issuer"]
        token = site.root(site.agent())["access_token"]
        told = site.post("/introspect", headers=site.as_admin, data={"token": token}).json()
        assert issuer == told["iss"] == site.origin + path


def test_the_extensions_are_found_there_too(site: Any) -> None:
    metadata = read(site)
    for name in ("verification", "registration_confirmation", "token_batch"):
        assert metadata[f"{name}_endpoint"].startswith(f"{site.issuer}/")
