"""Nothing that was written by others is ever run: what loads code with its data is not in the package, but for reasons."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "agentsim").rglob("*.py"))
#: Modules whose reading runs what is written.
BANNED = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "code",
    "codeop",
    "runpy",
}
#: Calls by their last name. Beside ``load`` of yaml, which takes a loader: only safe ones are given to it.
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "unsafe_load",
    "full_load",
    "load_all",
    "read_pickle",
    "system",
    "popen",
}
#: Where one stands all the same, and why.
REASONS = {
    (
        "agentsim/experiments/soak/faults/shifted.py",
        "runpy",
    ): "runs the command by its own fixed name, with a clock of its own",
    (
        "agentsim/simulation/roles/__init__.py",
        "yaml.load",
    ): "with the C loader of the safe kind; the files are the package's",
}


def found(source: str) -> set[str]:
    """What of it a module uses."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.partition(".")[0] in BANNED}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} if node.module.partition(".")[0] in BANNED else set()
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            told = isinstance(node.func, ast.Name) or name.partition(".")[0] in (
                "yaml",
                "os",
                "pd",
                "pandas",
                "builtins",
            )
            if (told and last in CALLS) or name in ("yaml.load", "np.load", "numpy.load"):
                names.add(name)
            if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords):
                names.add("shell")
    return names


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pickle", {"pickle"}),
        ("from joblib import load", {"joblib"}),
        ("yaml.load(x)", {"yaml.load"}),
        ("yaml.safe_load(x)", set()),
        ("pd.read_pickle(x)", {"pd.read_pickle"}),
        ("eval('1')", {"eval"}),
        ("frame.eval('a')", set()),
        ("re.compile('a')", set()),
        ("subprocess.run(x, shell=True)", {"shell"}),
        ("os.system('id')", {"os.system"}),
    ],
)
def test_what_runs_data_is_found(source: str, expected: set[str]) -> None:
    assert found(source) == expected


def test_the_package_runs_no_data() -> None:
    used = {
        (str(module.relative_to(ROOT)), name)
        for module in MODULES
        for name in found(module.read_text(encoding="utf-8"))
    }
    assert used == set(REASONS)


def test_the_security_rules_of_the_linter_are_on() -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists() and shutil.which("ruff") is None:
        pytest.skip("ruff is not installed")
    planted = "import pickle\n\n\ndef f(x: bytes) -> object:\n    return pickle.loads(x)\n"
    done = subprocess.run(
        [ruff if ruff.exists() else "ruff", "check", "--stdin-filename", "agentsim/planted.py", "-"],
        input=planted,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "S301" in done.stdout
