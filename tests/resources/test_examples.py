"""Two resource servers, one of Starlette and one of FastAPI, in front of a real token server, in every mode."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx
import jwt
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from agentsim.resources import (
    Facts,
    Introspection,
    Issuer,
    Offline,
    Online,
    Protect,
    Refusal,
    ResourceServer,
    StatusLists,
    Wanted,
)
from agentsim.server.clock import SECOND
from agentsim.server.keyring import Keys
from agentsim.server.keys import SigningKey

FILES = "https://files.example/api"
ELSEWHERE = "https://elsewhere.example"
POLICY = {"status_lists": True, "resources": (FILES, ELSEWHERE), "access_ttl_us": 600 * SECOND}
TASK = "Code Review"
#: Each mode, and the seconds after which it has learned of a revocation at the latest; None: it never does.
MODES: dict[str, tuple[Callable[..., Any], int | None]] = {
    "offline": (lambda issuer: Offline(issuer, FILES, period=None), None),
    "feed": (lambda issuer: Offline(issuer, FILES, period=5, online=Online(issuer, FILES)), 5),
    "status list": (lambda issuer: StatusLists(issuer, FILES, online=Online(issuer, FILES)), 30),
    "introspection": (lambda issuer: Introspection(issuer, FILES, cache=10), 10),
    "online": (lambda issuer: Online(issuer, FILES), 0),
}


def starlette_app(guard: ResourceServer) -> Any:
    may_read = guard.require(scope="file_read:github", tool="file_read")
    may_write = guard.require(scope="file_write:github", tool="file_write")

    async def read(request: Request) -> JSONResponse:
        facts = await may_read(request)
        return JSONResponse({"by": facts.client_id, "for": facts.subject})

    async def write(request: Request) -> JSONResponse:
        await may_write(request)
        return JSONResponse({})

    routes = [Route("/api/files", read), Route("/api/files", write, methods=["PUT"])]
    return Starlette(routes=routes, middleware=[Middleware(Protect, guard=guard)])


def fastapi_app(guard: ResourceServer) -> Any:
    app = FastAPI()
    app.add_middleware(Protect, guard=guard)
    may_read = guard.require(scope="file_read:github", tool="file_read")
    may_write = guard.require(scope="file_write:github", tool="file_write")

    @app.get("/api/files")
    async def read(facts: Annotated[Facts, Depends(may_read)]) -> dict[str, str]:
        return {"by": facts.client_id, "for": facts.subject}

    @app.put("/api/files")
    async def write(_: Annotated[Facts, Depends(may_write)]) -> dict[str, str]:
        return {}

    return app


class Api:
    """A resource server, asked as an agent asks it."""

    def __init__(self, site: Any, make_app: Callable[..., Any], mode: str) -> None:
        self.runner = asyncio.Runner()
        make_checker, self.blind = MODES[mode]
        self.own = site.agent(client_name="files")
        self.down = False

        async def away(request: httpx.Request) -> None:
            if self.down:
                raise httpx.ConnectError("it is away", request=request)

        outside = httpx.AsyncClient(timeout=30, event_hooks={"request": [away]})
        self.issuer = Issuer(site.issuer, client=tuple(self.own), clock=site.clock, http=outside)
        guard = ResourceServer(site.issuer, FILES, make_checker(self.issuer))
        transport = httpx.ASGITransport(app=make_app(guard))
        self.client = httpx.AsyncClient(transport=transport, base_url="https://files.example")
        self.outside = outside

    def get(self, token: str | None, task: str | None = TASK, method: str = "GET", **headers: str) -> Any:
        sent = dict(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if task is not None:
            sent["Task-Id"] = task
        return self.runner.run(self.client.request(method, "/api/files", headers=sent))

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.run(self.outside.aclose())
        self.runner.close()


@pytest.fixture(autouse=True)
def lists_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token server keeps a list by the wall's clock for some seconds, which are minutes by the clock of these stories."""
    monkeypatch.setattr("agentsim.server.http.context.KEPT", 0.0)


@pytest.fixture(params=[starlette_app, fastapi_app], ids=["starlette", "fastapi"])
def make_app(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param


@pytest.fixture(params=MODES)
def api(site: Any, make_app: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Api]:
    made = Api(site, make_app, request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def agent(site: Any) -> Any:
    return site.agent()


def root(site: Any, agent: Any, **form: Any) -> str:
    terms = {"scope": "file_read:github", "resource": FILES, "task_id": TASK}
    return str(site.root(agent, **(terms | form))["access_token"])


def told(answer: Any) -> tuple[int, str]:
    """Status and reason; the challenge says the same."""
    challenge = answer.headers.get("www-authenticate", "")
    assert bool(challenge) == (answer.status_code in (400, 401, 403))
    if challenge:
        where = "https://files.example/.well-known/oauth-protected-resource/api"
        assert f'resource_metadata="{where}"' in challenge
        error = answer.json().get("error")
        assert (f'error="{error}"' in challenge) if error else ("error=" not in challenge)
    assert answer.headers.get("cache-control") == "no-store"
    return answer.status_code, answer.json()["reason"]


def test_what_is_valid_is_let_in(api: Api, site: Any, agent: Any) -> None:
    answer = api.get(root(site, agent))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"by": agent.client_id, "for": "admin"}
    # And again, from whatever is kept.
    assert (
        api.get(root(site, agent, scope="file_read:github file_write:github"), method="PUT").status_code
        == 200
    )


def test_each_fault_has_its_challenge(api: Api, site: Any, agent: Any) -> None:
    good = root(site, agent)
    assert told(api.get(None)) == (401, "no_token")
    assert told(api.get(good, task=None)) == (400, "no_task")
    assert told(api.get(good, task="another")) == (401, "task_mismatch") or api.blind == 0
    assert api.get(good, task="another").status_code == 401
    assert told(api.get(root(site, agent, resource=ELSEWHERE)))[0] == 401
    lacking = api.get(good, method="PUT")
    assert told(lacking) == (403, "tool_not_granted")
    assert 'scope="file_write:github"' in lacking.headers["www-authenticate"]
    narrow = root(site, agent, scope="file_read:jira file_write:github")
    assert told(api.get(narrow)) == (403, "insufficient_scope")
    for forged in ("nonsense", good[:-8] + "AAAAAAAA", good + "." + good):
        assert told(api.get(forged))[0] == 401


def test_a_token_of_another_key_or_kind_is_nobodys(api: Api, site: Any, agent: Any) -> None:
    payload = jwt.decode(root(site, agent), options={"verify_signature": False})
    (jwk,) = site.get("/jwks").json()["keys"]
    for headers in ({"typ": "at+jwt", "kid": jwk["kid"]}, {"typ": "JWT"}, {"typ": "at+jwt", "kid": "x"}):
        forged = jwt.encode(payload, "a secret that is long enough to be one", "HS256", headers)
        assert told(api.get(forged))[0] == 401
    unsigned = jwt.encode(payload, None, "none", {"typ": "at+jwt", "kid": jwk["kid"]})
    assert told(api.get(unsigned))[0] == 401


def test_what_is_marked_above_is_refused_within_the_time_that_the_mode_promises(
    api: Api, site: Any, agent: Any
) -> None:
    parent = site.root(agent, scope="file_read:github", resource=FILES)
    child = site.child(site.agent(), parent, task_id=TASK)["access_token"]
    assert api.get(child).status_code == 200
    site.post("/revoke", auth=agent, data={"token": parent["access_token"]})
    if api.blind is None:
        assert api.get(child).status_code == 200
        site.clock.advance(600 * SECOND)
        assert told(api.get(child)) == (401, "expired")
        return
    if api.blind:
        site.clock.advance((api.blind - 1) * SECOND)
        assert api.get(child).status_code == 200
        site.clock.advance(2 * SECOND)
    refused = None
    for _ in range(100):
        refused = api.get(child)
        if refused.status_code != 200:
            break
        # A status list follows the fill, and the server keeps it for a moment.
        site.clock.advance(31 * SECOND)
    assert refused is not None
    assert told(refused)[0] == 401


def test_nobody_is_let_in_because_the_token_server_is_away(api: Api, site: Any, agent: Any) -> None:
    token = root(site, agent)
    api.down = True
    answer = api.get(token)
    assert told(answer) == (503, "unreachable")
    assert answer.headers["retry-after"] == "1"
    api.down = False
    assert api.get(token).status_code == 200


def test_a_budget_is_counted_wherever_its_token_is_used(api: Api, site: Any, agent: Any) -> None:
    token = root(site, agent, budget="2")
    if api.blind is None:
        # This one has nobody to ask.
        assert told(api.get(token)) == (503, "budget_unknown")
        return
    assert [api.get(token).status_code for _ in range(3)] == [200, 200, 403]


def test_the_world_may_know_whose_tokens_it_takes(api: Api, site: Any) -> None:
    path = "/.well-known/oauth-protected-resource/api"
    found = api.runner.run(api.client.get(path)).json()
    assert found["resource"] == FILES
    assert found["authorization_servers"] == [site.issuer]
    assert found["scopes_supported"] == ["file_read:github", "file_write:github"]
    assert found["bearer_methods_supported"] == ["header"]


def test_keys_may_be_rotated(make_site: Any) -> None:
    site = make_site(**POLICY)
    agent = site.agent()
    for mode in MODES:
        api = Api(site, starlette_app, mode)
        assert api.get(root(site, agent)).status_code == 200
        site.post("/admin/keys", headers=site.as_admin, json={"alg": "ES256"})
        site.clock.advance(11 * SECOND)
        assert api.get(root(site, agent)).status_code == 200, mode
        api.close()


def test_a_key_that_is_retired_meanwhile_is_believed_for_a_minute(make_site: Any) -> None:
    site = make_site(**POLICY)
    api = Api(site, starlette_app, "offline")
    stolen = site.server.keyring.keys.signing
    good = root(site, site.agent())
    assert api.get(good).status_code == 200
    site.server.keyring.keys = Keys(SigningKey.generate("ES256"))
    forged = forged_by(stolen, site, good)
    site.clock.advance(59 * SECOND)
    assert api.get(forged).status_code == 200
    site.clock.advance(2 * SECOND)
    assert told(api.get(forged)) == (401, "unknown_key")
    api.close()


def test_known_keys_are_believed_for_an_hour_while_the_server_is_away(make_site: Any) -> None:
    site = make_site(**POLICY)
    api = Api(site, starlette_app, "offline")
    key = site.server.keyring.keys.signing
    token = root(site, site.agent())
    assert api.get(token).status_code == 200
    api.down = True
    site.clock.advance(3_590 * SECOND)
    assert api.get(forged_by(key, site, token)).status_code == 200
    site.clock.advance(20 * SECOND)
    assert told(api.get(forged_by(key, site, token))) == (503, "unreachable")
    api.down = False
    assert api.get(forged_by(key, site, token)).status_code == 200
    api.close()


def forged_by(key: Any, site: Any, token: str) -> str:
    """The token as whoever has the key would make it now: it lives for another ten minutes."""
    payload = jwt.decode(token, options={"verify_signature": False})
    now = site.clock.now() // SECOND
    payload |= {"iat": now, "exp": now + 600}
    return jwt.encode(payload, key.private, key.alg, {"typ": "at+jwt", "kid": key.kid})


def test_a_feed_that_is_too_old_lets_nobody_in(make_site: Any) -> None:
    site = make_site(**POLICY)
    api = Api(site, starlette_app, "feed")
    token = root(site, site.agent())
    assert api.get(token).status_code == 200
    api.down = True
    site.clock.advance(29 * SECOND)
    assert api.get(token).status_code == 200
    site.clock.advance(2 * SECOND)
    assert told(api.get(token)) == (503, "unreachable")
    api.down = False
    assert api.get(token).status_code == 200
    api.close()


def test_an_old_status_list_that_is_played_again_lets_nobody_in(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(**POLICY)
    api = Api(site, starlette_app, "status list")
    token = root(site, site.agent())
    ask, first = api.issuer.text, {}

    async def played_again(method: str, url: str, **options: Any) -> bytes:
        if url not in first:
            first[url] = await ask(method, url, **options)
        return first[url]

    monkeypatch.setattr(api.issuer, "text", played_again)
    assert api.get(token).status_code == 200
    # A cache on the way may have kept it for a while; whoever keeps it longer hides what was revoked since.
    site.clock.advance(85 * SECOND)
    assert api.get(token).status_code == 200
    site.clock.advance(31 * SECOND)
    assert told(api.get(token)) == (503, "list_too_old")
    monkeypatch.undo()
    api.close()


def test_an_answer_kept_is_not_believed_beyond_the_expiry(make_site: Any) -> None:
    site = make_site(**(POLICY | {"access_ttl_us": 5 * SECOND}))
    api = Api(site, starlette_app, "introspection")
    token = root(site, site.agent())
    assert api.get(token).status_code == 200
    site.clock.advance(6 * SECOND)
    assert told(api.get(token)) == (401, "expired")
    api.close()


def test_a_refresh_token_is_no_access_token_though_its_own_client_may_ask_about_it(make_site: Any) -> None:
    site = make_site(**POLICY)
    api = Api(site, starlette_app, "introspection")
    issued = site.root(api.own, scope="file_read:github", resource=FILES, task_id=TASK)
    checker = Introspection(api.issuer, FILES)
    wanted = Wanted(scope="file_read:github", task_id=TASK)
    assert api.runner.run(checker.check(issued["access_token"], wanted)).subject
    with pytest.raises(Refusal, match="wrong_type"):
        api.runner.run(checker.check(issued["refresh_token"], wanted))
    api.close()


def test_too_many_uses_are_told_as_such(make_site: Any) -> None:
    from agentsim.server.policy import Limits, RateLimit

    limits = Limits(client=RateLimit(per_second=0.1, burst=2))
    site = make_site(**POLICY, limits=limits)
    api = Api(site, starlette_app, "online")
    token = root(site, site.agent())
    assert api.get(token).status_code == 200
    answer = api.get(token)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    api.close()


def test_a_resource_server_that_must_ask_needs_a_client() -> None:
    with pytest.raises(ValueError, match="a client of its own"):
        Online(Issuer("https://auth.example"), FILES)


def test_a_held_grant_is_told_with_the_challenge_of_rfc_9470(make_site: Any, by_tool: Any) -> None:
    site = make_site(matcher=by_tool(file_write="step_up"), **POLICY)
    asking = Api(site, starlette_app, "online")
    token = root(site, site.agent(), scope="file_read:github file_write:github")
    assert asking.get(token).status_code == 200
    for method in ("PUT", "GET"):
        refused = asking.get(token, method=method)
        assert told(refused) == (401, "step_up_required")
        assert 'error="insufficient_user_authentication"' in refused.headers["www-authenticate"]
    asking.close()
    # By introspection it is a token that is not active.
    introspecting = Api(site, starlette_app, "introspection")
    assert told(introspecting.get(token)) == (401, "inactive")
    introspecting.close()
