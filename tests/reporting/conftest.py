from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from agentsim.reporting import notebooks
from agentsim.run import FileEntry, Run, save_manifest
from agentsim.simulation import Scenario, simulate

PARAMETERS = """run: str = "data/runs/demo"  # directory of the run
size: int = 3  # how large
share: float = 0.5
loud: bool = False
word: str = "plain"
"""


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
