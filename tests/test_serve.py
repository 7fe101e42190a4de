"""``agentsim serve`` as a user meets it: a process, what it prints, how it refuses, how it ends and comes back."""

import asyncio
import json
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agentsim.cli import main
from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    Policy,
    Register,
    Registration,
    SigningKey,
    TokenGrant,
)
from agentsim.server.http import serving
from agentsim.server.keyring import Keys
from agentsim.server.policy import Limits, RateLimit

Serve = Callable[..., Any]
#: The same server before and after, whatever its port.
ISSUER = ("--issuer", "https://auth.example")


def told_token(out: str) -> str:
    """The administrator's token among what was printed."""
    (token,) = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    return token


# What it prints, and who is let in


def test_the_administrators_token_is_told_once(serve: Serve) -> None:
    first = serve(AGENTSIM_ADMIN_TOKEN=None)
    token = told_token(first.out)
    admin = {"Authorization": f"Bearer {token}"}
    assert first.get("/admin/agents", headers=admin).status_code == 200
    assert first.get("/admin/agents", headers=first.as_admin).status_code == 401
    assert first.stop() == 0

    second = serve(AGENTSIM_ADMIN_TOKEN=None)
    assert "token" not in second.out
    assert second.get("/admin/agents", headers=admin).status_code == 200
    kept = (second.folder / "data/server/agentsim.sqlite").read_bytes()
    assert token.encode() not in kept


def test_the_environment_may_name_the_token_and_the_keys(serve: Serve) -> None:
    keys = Keys(SigningKey.generate("ES256")).as_json().decode()
    site = serve(AGENTSIM_KEYS=keys)
    assert "Keys      AGENTSIM_KEYS\n" in site.out
    assert "token" not in site.out
    assert site.get("/admin/agents", headers=site.as_admin).status_code == 200
    assert not (site.folder / "data/server/keys.json").exists()
    assert [key["alg"] for key in site.get("/jwks").json()["keys"]] == ["ES256"]
    refused = site.post("/admin/keys", headers=site.as_admin, json={"alg": "EdDSA"})
    assert refused.status_code == 400
    assert "environment" in refused.json()["error_description"]


def test_whoever_connects_after_it_said_so_is_served(serve: Serve) -> None:
    site = serve(*ISSUER)
    assert site.out.startswith("Serving   https://auth.example\nAddress   http://127.0.0.1:")
    # At once: no connection is refused while it is still coming up.
    assert site.get("/healthz").json() == {"status": "ok"}
    assert site.get("/.well-known/oauth-authorization-server").json()["issuer"] == ISSUER[1]


# Mistakes


@pytest.fixture
def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    """What a call says that must be refused: status 2, one message on standard error, nothing else."""

    def serves(*_settings: object) -> None:
        raise AssertionError("it serves")

    # A mistake that is not seen must end the test, and not serve for ever.
    monkeypatch.setattr(serving, "serve", serves)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> str:
        with pytest.raises(SystemExit) as left:
            main(["serve", "--port", "0", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert (left.value.code, out) == (2, "")
        assert err.startswith("agentsim: ")
        assert "Traceback" not in err
        return err

    return call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "192.0.2.7"], "cannot listen on 192.0.2.7 port 0"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 needs --issuer"),
        (["--db", "agentsim.sqlite"], "a database is named by a URL"),
        (["--db", "mysql://localhost/x"], "'mysql' are not served"),
        (["--db", "sqlite:///junk"], "file is not a database"),
        (["--db", "sqlite:///junk/a/b.sqlite"], "cannot make the folder junk/a"),
        (["--db", "postgresql://me:hush@127.0.0.1:1/x"], "postgresql://me:***@127.0.0.1:1/x: connection"),
        (["--db", "postgresql://me@127.0.0.1:port/x"], "a database is named by a URL"),
        (["--workers", "2"], "--workers above 1 needs PostgreSQL"),
        (["--policy", "missing.yaml"], "missing.yaml: no such file"),
        (["--thresholds", "missing.yaml"], "missing.yaml"),
        (["--issuer", "auth.example"], "must be an https URL"),
        (["--issuer", "https://auth.example?tenant=1"], "must be an https URL"),
        (["--issuer", "https://auth.example#here"], "must be an https URL"),
        (["--issuer", "https://auth.example/{tenant}"], "must be an https URL"),
        (["--issuer", "http://[::1"], "must be an https URL"),
        (["--alg", "HS256"], "must be one of EdDSA, ES256, RS256"),
        (["--keys", "."], "Is a directory"),
        (["--keys", "junk/keys.json"], "cannot make the folder junk"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_message(
    refused: Callable[..., str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "junk").write_text("no database, " * 1_000)
    message = refused(*arguments)
    assert words in message
    assert message.count("\n") == 1
    assert "hush" not in message


def test_all_faults_of_a_policy_come_at_once(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("max_depth: deep\naccess_ttl: 5 parsecs\nlevles: [a]\n")
    message = refused("--policy", "policy.yaml")
    assert message.startswith("agentsim: policy.yaml: 3 faults\n")
    for path in ("max_depth", "access_ttl", "levles"):
        assert f"  {path}: " in message


def test_a_port_that_is_taken_costs_nobody_the_token(serve: Serve, refused: Callable[..., str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        message = refused("--port", taken.getsockname()[1])
    assert message.endswith("Address already in use\n")
    # Nothing has been made: what is told only once is told by the start that succeeds.
    assert told_token(serve(AGENTSIM_ADMIN_TOKEN=None).out)


def test_a_token_that_can_be_guessed_is_refused(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for weak in ("", "hunter2", "no bearer token has spaces in it, ever"):
        monkeypatch.setenv("AGENTSIM_ADMIN_TOKEN", weak)
        message = refused()
        assert "AGENTSIM_ADMIN_TOKEN must be at least 32 characters" in message
        assert not weak or weak not in message


# Keys


def test_the_key_file_is_its_owners_alone(refused: Callable[..., str], tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    # The one mistake is seen after the keys have been made.
    refused("--keys", keys, "--db", "mysql://localhost/x")
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    keys.chmod(0o640)
    assert "chmod 600" in refused("--keys", keys)


def test_a_simulated_key_is_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = Keys(SigningKey.from_seed(b"seed")).as_json()
    path = tmp_path / "keys.json"
    path.write_bytes(simulated)
    path.chmod(0o600)
    assert "simulated" in refused("--keys", path)
    monkeypatch.setenv("AGENTSIM_KEYS", simulated.decode())
    assert "AGENTSIM_KEYS: a simulated key" in refused()
    monkeypatch.setenv("AGENTSIM_KEYS", "{}")
    assert "AGENTSIM_KEYS: these are not the keys of a server" in refused()


def test_tokens_revocations_and_rotated_keys_outlive_a_restart(serve: Serve) -> None:
    first = serve(*ISSUER)
    agent = first.agent()
    kept, ended = first.root(agent)["access_token"], first.root(agent)["access_token"]
    first.post("/revoke", auth=agent, data={"token": ended})
    rotated = first.post("/admin/keys", headers=first.as_admin, json={"alg": "ES256"}).json()
    served = [key["kid"] for key in first.get("/jwks").json()["keys"]]
    assert served[0] == rotated["kid"]
    assert len(served) == 2
    assert first.is_active(kept)
    assert first.stop() == 0

    second = serve(*ISSUER)
    assert [key["kid"] for key in second.get("/jwks").json()["keys"]] == served
    assert second.is_active(kept)
    assert not second.is_active(ended)
    assert second.is_active(second.root(agent)["access_token"])


# The end


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_was_answered_before_it_ended_is_kept(serve: Serve, sign: int) -> None:
    site = serve()
    agent = site.agent()
    bodies = asyncio.run(under_load(site, agent, lambda: site.process.send_signal(sign)))
    assert site.process.wait(30) == 0
    granted = {answer["task_id"] for answer in bodies}
    assert len(granted) == len(bodies) > 100
    with closing(sqlite3.connect(site.folder / "data/server/agentsim.sqlite")) as database:
        kept = [task for (task,) in database.execute("SELECT task_id FROM issued_tokens")]
        audited = [
            task
            for (task,) in database.execute(
                "SELECT task_id FROM task_audit_log WHERE event_type = 'token_issued' AND status = 'granted'"
            )
        ]
    assert granted <= set(kept)
    assert sorted(kept) == sorted(audited)
    assert [line for line in site.log if line.get("level")] == []


async def under_load(
    site: Any, agent: tuple[str, str], end: Callable[[], None], clients: int = 100
) -> list[dict[str, Any]]:
    """What clients were granted, each asking again and again, until the server ended amid them all."""
    answers: list[dict[str, Any]] = []

    async def ask_on(client: int) -> None:
        for turn in range(10_000):
            raw = await one_answer(site, agent, f"task {client}/{turn}")
            if not raw:
                return
            head, _, body = raw.partition(b"\r\n\r\n")
            length = int(
                dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])[b"content-length"]
            )
            assert len(body) == length, "half a response"
            assert raw.startswith(b"HTTP/1.1 200 "), raw
            answers.append(json.loads(body))

    asking = [asyncio.create_task(ask_on(client)) for client in range(clients)]
    while len(answers) <= clients:
        await asyncio.sleep(0.01)
    end()
    await asyncio.wait_for(asyncio.gather(*asking), 60)
    return answers


async def one_answer(site: Any, agent: tuple[str, str], task: str) -> bytes:
    """All bytes of one answer on a connection of its own; none where there was no answer."""
    request = site.http.build_request(
        "POST",
        "/token",
        headers={"Connection": "close"},
        data={
            "grant_type": "client_credentials",
            "scope": "file_read:github",
            "task_id": task,
            "client_id": agent[0],
            "client_secret": agent[1],
        },
    )
    head = [f"POST {request.url.raw_path.decode()} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    received = b""
    try:
        reader, writer = await asyncio.open_connection(request.url.host, request.url.port)
    except OSError:
        return received
    try:
        writer.write("\r\n".join([*head, "", ""]).encode() + request.content)
        while more := await reader.read(65_536):
            received += more
    except OSError:
        assert not received, "half a response"
    finally:
        writer.close()
    return received


# What it tells while it serves


def test_the_access_log_is_json_lines_without_secrets(serve: Serve) -> None:
    site = serve(AGENTSIM_ADMIN_TOKEN=None)
    admin = site.admin_token = told_token(site.out)
    agent = site.agent()
    grant = site.root(agent)
    secrets = {admin, agent[1], grant["access_token"], grant["refresh_token"]}
    for secret in secrets:
        site.post("/introspect", auth=agent, data={"token": secret})
        site.post("/introspect", auth=(secret, "wrong"), data={"token": secret})
        site.post("/token", auth=(agent[0], f"{secret}x"), data={"grant_type": "client_credentials"})
        site.get(f"/admin/agents?token={secret}", headers=site.as_admin)
        site.get(f"/register/{secret}", headers={"Authorization": f"Bearer {secret}x"})
        site.get(f"/nowhere/{secret}")
    site.stop()
    assert all(secret not in site.err for secret in secrets)
    lines = site.log
    assert {line["path"] for line in lines} >= {"/register", "/token", "/register/...", "/nowhere/..."}
    refused = next(line for line in lines if line["status"] == 401 and line["path"] == "/token")
    assert refused.keys() == {"time", "method", "path", "status", "ms", "ip", "client_id", "reason"}
    assert (refused["client_id"], refused["ip"], refused["reason"]) == (
        agent[0],
        "127.0.0.1",
        "invalid_client",
    )


def test_what_is_no_http_is_logged_as_json_too(served: Any) -> None:
    url = httpx.URL(served.issuer)
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(b"GARBAGE\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    for _ in range(100):
        told = [line for line in served.log if line.get("logger") == "uvicorn.error"]
        if told:
            break
        time.sleep(0.05)
    assert [line["message"] for line in told] == ["Invalid HTTP request received."]


def test_metrics_count_what_was_asked(served: Any) -> None:
    agent = served.agent()
    before = metrics(served)
    for _ in range(3):
        served.root(agent)
    served.post("/token", auth=agent, data={"grant_type": "client_credentials", "scope": "db_drop:prod"})
    served.post("/token", auth=(agent[0], "wrong"), data={"grant_type": "client_credentials"})
    after = metrics(served)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    assert more("agentsim_requests_total", endpoint="token", status="200") == 3
    assert more("agentsim_requests_total", endpoint="token", status="400") == 1
    assert more("agentsim_requests_total", endpoint="token", status="401") == 1
    assert more("agentsim_operations_total", operation="Issue", decision="granted") == 3
    assert more("agentsim_operations_total", operation="Issue", decision="refused") == 2
    assert more("agentsim_request_seconds_count", endpoint="token") == 5
    assert more("agentsim_batch_operations_sum") == 5


def metrics(site: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples by name and labels."""
    answer = site.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_each_of_several_workers_grants_its_part_of_a_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(serving.KEYS_VARIABLE, Keys(SigningKey.generate()).as_json().decode())
    limits = Limits(client=RateLimit(per_second=0.001, burst=20))
    for workers, part in ((1, 20), (4, 5)):
        server = serving.open_server(
            serving.Settings(
                database=f"sqlite:///{tmp_path / f'{workers}.sqlite'}",
                policy=Policy(limits=limits),
                key_file=None,
                admin_token_hash=b"",
                workers=workers,
            )
        )
        profile: dict[str, Any] = {"agent_name": "a", "allowed_tools": ["read"], "resource_access": ["a"]}
        made = server.ask(Register(by=Admin("acme"), **profile), Registration)
        server.execute([Confirm(registration_token=made.registration_token)])
        by = Client(made.client_id, made.client_secret or "")
        answers = server.execute([Issue(by=by, scope="read:a")] * 30)
        server.close()
        assert sum(isinstance(answer, TokenGrant) for answer in answers) == part


# The policy's file


def granted(site: Any, agent: tuple[str, str], scope: str) -> tuple[int, str | None]:
    answer = site.post("/token", auth=agent, data={"grant_type": "client_credentials", "scope": scope})
    return answer.status_code, answer.json().get("reason")


def until(found: Callable[[], bool]) -> None:
    for _ in range(200):
        if found():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_a_changed_policy_stands_without_a_restart_and_a_bad_one_changes_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("scopes: {block: ['file_write:*']}\n")
    site = serve("--policy", str(policy))
    assert f"Policy    {policy}\n" in site.out
    profile = {
        "client_name": "a",
        "allowed_tools": ["file_read", "file_write"],
        "resource_access": ["github"],
    }
    made = site.post("/register", headers=site.as_admin, json=profile)
    assert made.status_code == 201, made.text
    site.post("/register/confirm", json={"registration_token": made.json()["registration_token"]})
    agent = made.json()["client_id"], made.json()["client_secret"]
    assert granted(site, agent, "file_read:github")[0] == 200
    assert granted(site, agent, "file_write:github") == (400, "scope_blocked")

    def digest() -> str:
        return str(site.get("/admin/policy", headers=site.as_admin).json()["digest"])

    first = digest()
    policy.write_text("scopes: {block: ['file_read:*']}\n")
    until(lambda: digest() != first)
    assert granted(site, agent, "file_write:github")[0] == 200
    assert granted(site, agent, "file_read:github") == (400, "scope_blocked")

    second = digest()
    policy.write_text("scopes: {blocked: []}\nmax_depth: deep\n")
    until(lambda: "max_depth" in site.err)
    assert "scopes.blocked" in site.err
    assert digest() == second
    assert granted(site, agent, "file_read:github") == (400, "scope_blocked")

    policy.write_text("{}\n")
    until(lambda: digest() not in (first, second))
    assert granted(site, agent, "file_read:github")[0] == 200
    rows = site.get("/admin/audit?event_type=policy_changed", headers=site.as_admin).json()
    assert json.dumps(rows).count("policy_changed") == 2
    reloads = [line for line in site.get("/metrics").text.splitlines() if "policy_reloads_total{" in line]
    assert sorted(reloads) == [
        'agentsim_policy_reloads_total{outcome="changed"} 2.0',
        'agentsim_policy_reloads_total{outcome="refused"} 1.0',
    ]


def test_a_bad_policy_stops_the_start(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("max_deepth: 1\n")
    assert "max_deepth" in refused("--policy", str(tmp_path / "policy.yaml"))
