import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from agentsim.experiments.soak.record import write as write_soak
from agentsim.reporting import NOTEBOOKS, make_report, notebooks, rebuild_index
from agentsim.run import FileEntry, Run, save_manifest
from agentsim.simulation import Scenario, replay, simulate
from tests import soaks
from tests.plays import play_attacked
from tests.traces import call
from tests.traces import write as write_traces

PARAMETERS = """run: str = "data/runs/demo"  # directory of the run
size: int = 3  # how large
share: float = 0.5
loud: bool = False
word: str = "plain"
"""


#: What names may be: markup that would do something, an end of whatever they stand in, no place to break, other ways to read.
HOSTILE = (
    "<script>window.hostile=1</script>",
    "</script></style></title><img src=x onerror=window.hostile=1>",
    "\"'><a href=javascript:window.hostile=1>{{7*7}}$\\frac",
    "W" * 160,
    "\u202eمرحبا بالعالم שלום",
)


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """A small simulated Run with attacks and revocations. Tests that change one copy it first."""
    scenario = Scenario.model_validate(
        {
            "schema": 1,
            "name": "story",
            "seed": 11,
            "population": {"agents": 250},
            "workload": {"executor": "constant-arrival-rate", "duration": "20m"},
            "window": "10s",
            "attacks": [
                {"kind": "scope_escalation", "prevalence": 0.05, "stealth": 0.2},
                {"kind": "token_theft", "prevalence": 0.1, "stealth": 0.2},
            ],
        }
    )
    return simulate(scenario, tmp_path_factory.mktemp("runs") / "story")


@pytest.fixture
def rewrite() -> Callable[[Run, str, Callable[[pd.DataFrame], pd.DataFrame]], Run]:
    """Change a table of a Run on purpose, as if the Run had been written so."""

    def change(run: Run, table: str, how: Callable[[pd.DataFrame], pd.DataFrame]) -> Run:
        for file in run.files(table):
            schema = pq.read_schema(file)
            frame = how(pq.read_table(file).to_pandas())
            pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), file)
            name = str(file.relative_to(run.path))
            run.manifest.files[name] = FileEntry(sha256="", rows=len(frame), bytes=file.stat().st_size)
        save_manifest(run)
        return Run(run.path)

    return change


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Callable[..., Path]:
    """A folder of notebooks instead of the project's; called with a name and cells it adds one."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setattr(notebooks, "_folders", lambda: [folder])

    def put(name: str, *cells: str, parameters: str = PARAMETERS, **metadata: Any) -> Path:
        tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
        body = [new_code_cell(cell) for cell in cells]
        made = new_notebook(cells=[new_markdown_cell(f"# {name}"), tagged, *body], metadata=metadata)
        write(made, folder / f"{name}.ipynb")
        return folder / f"{name}.ipynb"

    return put


#: So that a page takes seconds.
SMALL = {
    "scale": {"tree_grants": "20", "exposure_agents": "60"},
    "lineage": {"most_rows": "4"},
    "compare": {"companion_agents": "100"},
    "reliability": {},
    "anomaly": {
        "alert_budget": "3000",
        "companion_agents": "200",
        "contain_agents": "200",
        "contain_points": "2",
    },
}


@pytest.fixture(scope="session")
def small() -> dict[str, dict[str, str]]:
    """Small parameters of each notebook."""
    return SMALL


@pytest.fixture(scope="session")
def reports(shared) -> dict[tuple[str, str], Path]:
    """Every kind of page, executed once: on a simulated Run, on recorded traces, on both where it wants several, on a soak.

    Beside each page lies its notebook.
    """

    def fill(folder: Path) -> None:
        runs = {"simulated": play_attacked(folder), "recorded": replay_hostile(folder)}
        beside = {"replayed": str(runs["recorded"].path)}
        pages = {}
        for name in (name for name, notebook in NOTEBOOKS.items() if notebook.kind == "page"):
            if NOTEBOOKS[name].runs == "several":
                made = make_report(name, [run.path for run in runs.values()], SMALL[name], folder / "out")
                pages[f"{name} both"] = made.html.name
                continue
            if NOTEBOOKS[name].about == "soak":
                soak = write_soak(folder / "soak", soaks.manifest(soaks.LOAD, soaks.KILLS), soaks.seconds())
                pages[f"{name} soak"] = make_report(name, soak.path, SMALL[name], folder / "out").html.name
                continue
            for which, run in runs.items():
                more = beside if (name, which) == ("anomaly", "simulated") else {}
                made = make_report(name, run.path, SMALL[name] | more, folder / "out")
                pages[f"{name} {which}"] = made.html.name
        (folder / "pages.json").write_text(json.dumps(pages))

    folder = shared("reports", fill)
    pages = json.loads((folder / "pages.json").read_text())
    return {tuple(key.split()): folder / "out" / page for key, page in pages.items()}


def replay_hostile(folder: Path) -> Run:
    """A Run whose agents, tasks, tools and folder have names that mean harm."""
    random = np.random.default_rng(5)
    # The importer refuses what turns text around.
    names = [name.lstrip("\u202e") for name in HOSTILE]
    calls = []
    for number in range(120):
        fooled = number % 3 > 0 and random.random() < 0.3
        told = {
            "agent": names[number % 5],
            "suite": names[number % 2],
            "label": int(fooled),
            "label_detail": names[1],
            "attack_attempted": number % 3 > 0,
        }
        tools = ["read", f"{names[number % 5][:40]}{number % 2}", *(["pay"] if fooled else [])]
        for step, tool in enumerate(tools):
            delegated = number % 4 == 0 and step == 1
            told["task_id"] = f"{names[2]} helper" if delegated else names[number % 5]
            told["parent_task_id"] = names[number % 5] if delegated else None
            calls.append(call(f"{names[number % 5]}-{number}", step, tool, **told))
    return replay(write_traces(folder / "made.parquet", calls), folder / HOSTILE[0].replace("/", "\\"))


@pytest.fixture(scope="session")
def index(chromium_path, tmp_path_factory):
    """An index of a dozen reports of all kinds, some of them broken."""
    out = tmp_path_factory.mktemp("index")
    verdict = "Half of the attacks are seen within five minutes, the rest hardly ever; acting on it ends 1.3% of honest work"
    numbers = [
        {
            "value": f"{number},000/s",
            "label": "operations honoured by the token server after their end",
            "note": "few",
        }
        for number in (1, 22, 333)
    ]
    for number in range(12):
        name = HOSTILE[number] if number < len(HOSTILE) else f"run-{number}"
        left = {
            "made_at": f"2026-03-{number + 1:02}T10:00:00+00:00",
            "page": True,
            "report": ("scale", "anomaly", "lineage", "compare")[number % 4],
            "title": f"Scale: {name}",
            "verdict": f"{verdict}: {name}"
            if number < len(HOSTILE)
            else f"{verdict} of the Zürich office, again and again.",
            "tone": ("good", "watch", "bad")[number % 3],
            "numbers": numbers,
            "run": name,
            "kind": "simulation",
            "seed": number,
            "run_at": "2026-03-01T10:00:00+00:00",
            "reproduce": [f"agentsim report scale --run {name}"],
        }
        file = out / f"scale-{number}.ipynb"
        file.write_text(json.dumps({"cells": [], "metadata": {"agentsim": left}}))
        if number != 9:
            file.with_suffix(".html").write_text("<!DOCTYPE html><html lang=en><title>page</title></html>")
    (out / "scale-broken.ipynb").write_text("{")
    return rebuild_index(out)


@pytest.fixture
def view(chromium):
    """Opens a page as its reader does; what the console says and what is asked for is kept."""
    contexts = []

    def open_it(file, width=1280, *, scripts=True):
        context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(file.as_uri())
        page.asked = [url for url in page.asked if url != file.as_uri() and not url.startswith("data:")]
        return page

    yield open_it
    for context in contexts:
        context.close()
