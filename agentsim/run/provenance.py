"""What made a Run: versions, commit, and the package's very source."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("numpy", "pandas", "pyarrow", "pyjwt", "scikit-learn", "sqlalchemy")
_PACKAGE = Path(__file__).parents[1]


def versions() -> dict[str, str]:
    """Of Python, of this package and of the libraries that a Run's bytes may depend on."""
    names: Iterable[str] = ("agentsim", *_LIBRARIES)
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


@cache
def code() -> str:
    """One digest over the package's modules: another one may play the same scenario otherwise."""
    total = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        total.update(
            f"{file.relative_to(_PACKAGE)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode()
        )
    return total.hexdigest()


def commit() -> str | None:
    """The source's commit with ``+dirty`` where it was changed; None outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(_PACKAGE), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # Installed below somebody else's checkout, that one's commit would say nothing of us.
        if not (Path(git("rev-parse", "--show-toplevel")) / "agentsim" / "tables.py").is_file():
            return None
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
