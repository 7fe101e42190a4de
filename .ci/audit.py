"""Asks a service for known vulnerabilities of the pinned libraries. Run by `make audit`.

Exit status 0 where there is none, and where the service could not be asked: then the line says "not audited". Where it knows a
vulnerability, or pip-audit failed otherwise, 1.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"
#: Pins are whole, and nothing is installed for it.
COMMAND = [
    "-m",
    "pip_audit",
    "--requirement",
    PINS,
    "--no-deps",
    "--disable-pip",
    "--progress-spinner",
    "off",
]
#: What the libraries below pip-audit call a service that cannot be reached.
AWAY = re.compile(r"(ConnectionError|ProxyError|SSLError|ServiceError|Timeout)\b")


def verdict(out: str, err: str) -> tuple[list[str], int]:
    """What to say, and the exit status.

    Parameters
    ----------
    out, err : what pip-audit printed. Its own exit status says nothing: it is 0 where no library could be looked up.
    """
    try:
        libraries = json.loads(out)["dependencies"]
    except (ValueError, KeyError):
        last = (err.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return ([f"not audited: {last}"], 0) if AWAY.search(err) else (["pip-audit failed:", err.strip()], 1)
    asked = [each for each in libraries if "vulns" in each]
    if not asked:
        return [f"not audited: the service knows none of the {len(libraries)} libraries"], 0
    told = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for each in asked
        for fault in each["vulns"]
    ]
    unknown = len(libraries) - len(asked)
    told += (
        [f"{unknown} of {len(libraries)} libraries not audited: the service does not know them"]
        if unknown
        else []
    )
    found = sum(len(each["vulns"]) for each in asked)
    return [*told, f"audited: {len(asked)} libraries, {found} known vulnerabilities"], int(found > 0)


if __name__ == "__main__":
    done = subprocess.run([sys.executable, *COMMAND, "--format", "json"], capture_output=True, text=True)
    lines, status = verdict(done.stdout, done.stderr)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(status)
