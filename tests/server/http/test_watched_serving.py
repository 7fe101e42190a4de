"""Serving under watch: each process makes what judges and what follows for itself, from what travels between them."""

import asyncio
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from agentsim.server import Policy
from agentsim.server.clock import SystemClock
from agentsim.server.credentials import digest
from agentsim.server.http import serving
from agentsim.server.http.serving import Settings
from agentsim.server.keyfile import KeyFile
from tests.callers import ADMIN_TOKEN


@dataclass(frozen=True)
class Strict:
    """Holds whatever writes."""

    matcher: Any
    digest: str = "strict"

    def for_tenant(self, tenant: int) -> tuple[Any, None]:
        assert tenant == 0
        return self.matcher, None


@pytest.fixture
def settings(tmp_path: Path, by_tool: Any) -> Settings:
    keys = tmp_path / "keys.json"
    KeyFile.ensure(keys, SystemClock(), "EdDSA")
    return Settings(
        database=f"sqlite:///{tmp_path / 'served.sqlite'}",
        policy=Policy(issuer="http://testserver"),
        key_file=keys,
        admin_token_hash=digest(ADMIN_TOKEN),
        watch=Strict(by_tool(file_write="step_up")),
    )


def test_what_watches_travels_with_the_settings_and_judges_what_is_served(settings: Settings) -> None:
    travelled: Settings = pickle.loads(pickle.dumps(settings))
    told = asyncio.run(write_once(serving.application(travelled)))
    assert (told["reason"], told["risk_assessment"]) == ("step_up_required", "high")


async def write_once(app: Starlette) -> dict[str, Any]:
    """What a resource server is told of an agent that writes."""
    as_admin = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    profile = {"client_name": "a", "allowed_tools": ["file_write"], "resource_access": ["github"]}
    form = {"grant_type": "client_credentials", "scope": "file_write:github"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as http,
    ):
        made = (await http.post("/register", headers=as_admin, json=profile)).json()
        await http.post("/register/confirm", json={"registration_token": made["registration_token"]})
        client = (made["client_id"], made["client_secret"])
        granted = (await http.post("/token", data=form, auth=client)).json()
        asked = {"token": granted["access_token"], "required_tools": ["file_write"]}
        return dict((await http.post("/verify", headers=as_admin, json=asked)).json())
