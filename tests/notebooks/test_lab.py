"""The workbench for thresholds as people use it: JupyterLab in a browser, started by the command."""

import importlib.util
import os
import queue
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import agentsim
from agentsim.reporting import TuningParameters, tuning
from agentsim.reporting.tuning import tables
from agentsim.risk import ThresholdPolicy
from agentsim.risk.thresholds import load_thresholds
from tests.plays import play_attacked

pytestmark = pytest.mark.long

#: Seconds that anything here may take on a busy machine; what is ready sooner is not waited for.
PATIENCE = 240
ROOT = Path(agentsim.__file__).resolve().parent.parent


@pytest.fixture
def parameters(chromium_path, tmp_path) -> TuningParameters:
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("JupyterLab is not installed")
    run = play_attacked(tmp_path)
    return TuningParameters(
        run=str(run.path), budget=3000, agents=200, out=str(tmp_path / "out" / "thresholds.yaml")
    )


@pytest.fixture
def clone(parameters, tmp_path) -> Path:
    """A checkout of its own, as JupyterLab saves what it opens; its notebook has the parameters of this test."""
    place = tmp_path / "clone"
    shutil.copytree(ROOT / "agentsim", place / "agentsim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks", place / "notebooks")
    file = place / "notebooks" / "threshold-tuning.ipynb"
    notebook = nbformat.read(file, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = "\n".join(f"{name} = {value!r}" for name, value in parameters.model_dump().items())
    nbformat.write(notebook, file)
    return place


@pytest.fixture
def lab(clone, tmp_path) -> Iterator[str]:
    """JupyterLab on the clone, in the home directory of somebody else; gives the address of a notebook to open."""
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    environment = kept | {name: str(tmp_path / name.lower()) for name in folders}
    environment |= {"HOME": str(home), "JUPYTER_TOKEN": token, "PYTHONPATH": str(clone)}
    options = [f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [sys.executable, "-m", "agentsim.cli", "lab", "--no-browser", "--", *options],
        cwd=clone,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        for line in process.stderr:
            lines.put(line)
        lines.put("")

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        said = []
        while "is running at" not in (line := lines.get(timeout=PATIENCE)):
            said.append(line)
            assert line, f"JupyterLab ended: {''.join(said)}"
        yield f"http://127.0.0.1:{port}/lab/tree/threshold-tuning.ipynb?token={token}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()
        process.stderr.close()


def test_moving_the_slider_changes_the_numbers_to_those_that_the_package_computes(
    parameters, lab, chromium, tmp_path
):
    bench = tuning.open_bench(parameters)
    shown = tuning.Workbench(bench, parameters)
    before = tables.figures(shown.outcome)
    start = bench.thresholds.index(shown.threshold.value)
    moved = ThresholdPolicy(by="fixed", score=bench.thresholds[start + 3])
    outcome = bench.try_out(moved, shown.costs)
    after = tables.figures(outcome)
    assert after != before

    page = chromium.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(lab)
    # What is run before the kernel has answered is lost.
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells").first.click()
    slider = page.locator(".noUi-handle").first
    slider.wait_for()
    figures = page.locator(".widget-html-content").first
    figures.get_by_text("chosen for 3,000 alerts a day").wait_for()
    assert rows(figures) == before

    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    figures.get_by_text(tables.chosen(outcome)[1:], exact=False).wait_for()
    assert rows(figures) == after

    page.get_by_role("button", name="Save thresholds").click()
    page.get_by_text(f"Written: {parameters.out}").wait_for()
    written = load_thresholds(Path(parameters.out))
    assert written.cut.lowest == outcome.score
    assert written.chosen == moved
    if shots := os.environ.get("AGENTSIM_TEST_SHOTS"):
        page.screenshot(path=Path(shots) / "lab.png")


def rows(figures: Any) -> dict[str, str]:
    """The first table of figures, as it is on the page."""
    table = figures.locator("table").first
    names, values = (table.locator(cell).all_inner_texts() for cell in ("th", "td"))
    return dict(zip(names, values, strict=True))
