"""The page on the server says what is served, and its example does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest

from agentsim.server.http.endpoints import ENDPOINTS
from agentsim.server.http.pages.routes import PAGES

PAGE = (Path(__file__).parents[3] / "docs" / "server.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted({each.path for each in ENDPOINTS} | {path for _, _, path, _ in PAGES})
)
def test_the_page_names_every_endpoint(path: str) -> None:
    assert re.search(rf"[ `]{re.escape(path)}`", PAGE), path


def test_the_example_of_the_page_runs(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    admin = site.as_admin["Authorization"].removeprefix("Bearer ")
    exec(example.replace("http://127.0.0.1:8400", site.issuer), {"ADMIN": admin})
    assert capsys.readouterr().out == "{'active': False}\n"
