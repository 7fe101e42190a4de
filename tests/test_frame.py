"""The frame of the house: who may import whom, exact pins, clean notebooks."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOUNDATIONS = {"run", "tables", "errors", "inputs", "fragments", "ocsf"}
#: What each room may import of agentsim, itself aside.
MAY_IMPORT = {
    "__init__": {"run"},
    "errors": set(),
    "inputs": set(),
    "tables": set(),
    "palette": set(),
    "fragments": set(),
    "ocsf": set(),
    "run": {"tables", "errors", "inputs", "fragments"},
    "server": set(),
    "settings": {"server", "errors", "inputs"},
    "resources": {"server"},
    "audit": {"server", *FOUNDATIONS},
    "simulation": {"server", "settings", *FOUNDATIONS},
    "lineage": {"palette", *FOUNDATIONS},
    "risk": {"server", "settings", *FOUNDATIONS},
    "experiments": {"audit", "server", "settings", "simulation", "lineage", "risk", *FOUNDATIONS},
    "reporting": {"palette", "lineage", "risk", "experiments", *FOUNDATIONS},
    "cli": {
        "audit",
        "server",
        "settings",
        "simulation",
        "lineage",
        "risk",
        "experiments",
        "reporting",
        *FOUNDATIONS,
    },
}
MODULES = sorted((ROOT / "agentsim").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def imported_modules(source: str, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            steps = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*steps, *([node.module] if node.module else [])])
            # The names may be modules themselves, as in "from agentsim import server".
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_rooms(source: str, package: str = "agentsim") -> set[str]:
    paths = (name.split(".") for name in imported_modules(source, package))
    return {path[1] if len(path) > 1 else "agentsim" for path in paths if path[0] == "agentsim"}


def room(module: Path) -> str:
    return module.relative_to(ROOT / "agentsim").parts[0].removesuffix(".py")


def tracked(*patterns: str) -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


@pytest.mark.parametrize(
    ("source", "package", "rooms"),
    [
        ("import numpy", "agentsim", set()),
        ("import agentsim.run as r, os", "agentsim.server", {"run"}),
        ("from agentsim.server import operations", "agentsim.lineage", {"server"}),
        ("from agentsim import lineage", "agentsim.risk", {"lineage"}),
        ("def f():\n    from ..risk.features import g", "agentsim.server", {"risk"}),
        ("from . import schema", "agentsim.server", {"server"}),
        ("import agentsim", "agentsim.server", {"agentsim"}),
    ],
)
def test_imports_are_found_in_whatever_way_they_are_written(source, package, rooms):
    assert imported_rooms(source, package) == rooms


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(module):
    package = ".".join(module.parent.relative_to(ROOT).parts)
    here = room(module)
    imported = imported_rooms(module.read_text(encoding="utf-8"), package)
    # The root package imports nothing before it is asked to, so whoever likes may ask it where it lies.
    assert imported <= MAY_IMPORT[here] | {here, "agentsim"}


def test_the_package_itself_is_imported_at_once():
    code = "import sys, agentsim; print(sorted(name for name in sys.modules if name.partition('.')[0] in ('agentsim', 'pandas', 'numpy', 'duckdb')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "['agentsim']"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_constraints_hold_versions_and_nothing_else():
    header, *lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert header.startswith("# ")
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line)] == []


def test_every_named_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", name)[0]).lower()

    assert {plain(name) for name in named} <= {plain(name) for name in pins()}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_short_and_without_output(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert len(cells) <= 25
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_nothing_is_left_in_a_notebook_that_would_be_stripped():
    # All at once: each start costs more than all of them.
    clean = subprocess.run([sys.executable, "-m", "nbstripout", "--verify", *NOTEBOOKS], capture_output=True)
    assert clean.returncode == 0, "run: nbstripout notebooks/*.ipynb"


def test_every_notebook_has_one_cell_of_parameters():
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells) == 1, notebook.name


def test_git_keeps_the_page_about_reports_and_not_the_reports():
    assert set(tracked("reports", "data/runs")) <= {
        "reports/README.md",
        "reports/demo.png",
        "data/runs/.gitkeep",
    }
    assert "reports/README.md" in tracked("reports")


def test_make_lists_its_targets():
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    listed = subprocess.run([make, "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"make (\w+)  ", listed)) == {
        "help",
        "install",
        "demo",
        "soak",
        "test",
        "lint",
        "audit",
        "lab",
        "clean",
    }


PACKAGES = sorted({module.parent for module in MODULES if module.name == "__init__.py"})


# Migrations are alembic's to import.
@pytest.mark.parametrize(
    "package", [each for each in PACKAGES if "migrations" not in each.parts], ids=lambda each: each.name
)
def test_what_a_package_says_it_offers_is_there(package):
    module = importlib.import_module(".".join(package.relative_to(ROOT).parts))
    assert [each for each in getattr(module, "__all__", []) if not hasattr(module, each)] == []
