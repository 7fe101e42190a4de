"""The README says what is served, and its example does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest

from agentsim.server.http.endpoints import ENDPOINTS
from agentsim.server.http.pages.routes import PAGES

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted({each.path for each in ENDPOINTS} | {path for _, _, path, _ in PAGES})
)
def test_the_readme_names_every_endpoint(path: str) -> None:
    assert re.search(rf"[ `]{re.escape(path)}`", README), path


def test_the_readmes_example_runs(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    example, _ = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    admin = site.as_admin["Authorization"].removeprefix("Bearer ")
    exec(example.replace("http://127.0.0.1:8400", site.issuer), {"ADMIN": admin})
    assert capsys.readouterr().out == "{'active': False}\n"
