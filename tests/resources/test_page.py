"""The resource server of the page on them does what the page says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

PAGE = (Path(__file__).parents[2] / "docs" / "resource-servers.md").read_text(encoding="utf-8")


def test_the_pages_resource_server_lets_in_who_may_read(served: Any) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = {"CLIENT": served.agent()}
    exec(example.replace("http://127.0.0.1:8400", served.issuer), names)
    agent = served.agent()
    token = served.root(agent, task_id="Read Files")["access_token"]

    async def ask(**headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=names["app"])
        async with httpx.AsyncClient(transport=transport, base_url="https://resources.example") as client:
            return await client.get("/files", headers={"Authorization": f"Bearer {token}", **headers})

    async def story() -> None:
        answer = await ask(**{"Task-Id": "Read Files"})
        assert (answer.status_code, answer.json()) == (200, {"read by": agent[0], "for": "admin"})
        assert (await ask()).status_code == 400
        await names["issuer"].aclose()

    asyncio.run(story())
