"""``agentsim serve --workers 2`` on PostgreSQL: two processes on one socket that act as one server."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

Workers = dict[int, httpx.Client]


@pytest.fixture
def site(serve: Callable[..., Any], new_schema: Callable[[], str]) -> Any:
    return serve("--db", new_schema(), "--workers", 2)


@pytest.fixture
def agent(site: Any) -> tuple[str, str]:
    made: tuple[str, str] = site.agent()
    return made


@pytest.fixture
def workers(site: Any, agent: tuple[str, str]) -> Iterator[Workers]:
    """One connection to each worker, by the number of its audit chain. The kernel hands connections out as it likes."""
    found: Workers = {}
    others: list[httpx.Client] = []
    for attempt in range(400):
        client = httpx.Client(base_url=site.issuer, timeout=30, trust_env=False)
        task = f"whose turn {attempt}"
        granted(client, agent, task)
        (row,) = [row for row in audited(site, agent) if row["task_id"] == task]
        if found.setdefault(row["chain"], client) is not client:
            others.append(client)
        if len(found) == 2:
            break
    yield found
    for client in (*found.values(), *others):
        client.close()


def granted(by: httpx.Client, agent: tuple[str, str], task: str = "t") -> str:
    form = {"grant_type": "client_credentials", "scope": "file_read:github", "task_id": task}
    answer = by.post("/token", auth=agent, data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def audited(site: Any, agent: tuple[str, str]) -> list[dict[str, Any]]:
    page = site.get("/admin/audit", headers=site.as_admin, params={"client_id": agent[0], "limit": 5})
    return list(page.json()["audit"])


def is_active(by: httpx.Client, site: Any, token: str) -> bool:
    answer = by.post("/introspect", headers=site.as_admin, data={"token": token})
    return bool(answer.json()["active"])


def test_two_workers_are_one_server(site: Any, agent: tuple[str, str], workers: Workers) -> None:
    assert workers.keys() == {0, 1}
    one, other = workers.values()

    for _ in range(20):
        token = granted(one, agent)
        assert is_active(other, site, token)
        assert one.post("/revoke", auth=agent, data={"token": token}).json()["revoked"]
        assert not is_active(other, site, token)
    other.post("/admin/revocations", headers=site.as_admin, json={"task_id": "stopped"})
    form = {"grant_type": "client_credentials", "scope": "file_read:github", "task_id": "stopped"}
    assert one.post("/token", auth=agent, data=form).status_code == 400

    counts = {counted(client) for client in (one, other)}
    assert len(counts) == 1, "each worker tells of all"
    assert counts.pop() >= 22


def counted(by: httpx.Client) -> float:
    """How many token requests were granted, as one worker tells it."""
    (count,) = [
        sample.value
        for family in text_string_to_metric_families(by.get("/metrics").text)
        for sample in family.samples
        if sample.name == "agentsim_requests_total"
        and sample.labels == {"endpoint": "token", "status": "200"}
    ]
    return float(count)


def test_a_key_that_one_worker_rotated_is_the_others_too(
    site: Any, agent: tuple[str, str], workers: Workers
) -> None:
    one, other = workers.values()
    old = granted(other, agent)
    kid = one.post("/admin/keys", headers=site.as_admin, json={"alg": "ES256"}).json()["kid"]
    fresh = granted(one, agent)
    assert jwt.get_unverified_header(fresh)["kid"] == kid
    assert is_active(other, site, fresh)
    assert is_active(one, site, old)
    for _ in range(100):
        signed_with = jwt.get_unverified_header(granted(other, agent))["kid"]
        if signed_with == kid:
            break
        time.sleep(0.05)
    assert signed_with == kid
    assert other.get("/jwks").json()["keys"][0]["kid"] == kid


@pytest.mark.parametrize("whom", ["the first process", "all of them"])
def test_one_signal_ends_all_processes(site: Any, workers: Workers, whom: str) -> None:
    assert len(workers) == 2
    family = psutil.Process(site.process.pid).children(recursive=True)
    assert len(family) >= 2
    if whom == "all of them":
        # As the keyboard does it.
        os.killpg(site.process.pid, signal.SIGINT)
    else:
        site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(30) == 0
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    assert [line for line in site.log if line.get("level") in ("error", "critical")] == []


def test_two_that_start_at_once_tell_one_token(
    serve: Callable[..., Any], new_schema: Callable[[], str], tmp_path: Path
) -> None:
    shared = ("--db", new_schema(), "--keys", tmp_path / "keys.json")
    with ThreadPoolExecutor() as pool:
        starting = [
            pool.submit(serve, *shared, folder=tmp_path / name, AGENTSIM_ADMIN_TOKEN=None)
            for name in ("one", "other")
        ]
        sites = [each.result() for each in starting]
    told = [line.strip() for site in sites for line in site.out.splitlines() if line.startswith("  ")]
    assert len(told) == 1
    for site in sites:
        listed = site.get("/admin/agents", headers={"Authorization": f"Bearer {told[0]}"})
        assert listed.status_code == 200
