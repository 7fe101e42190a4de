"""The few scripts that pages may run: files of this package, each named in the page's content policy.

A page is sent around and holds names that others chose. Whatever of that were ever taken for a script would not
run: browsers run what has one of the digests that the policy names, and fetch nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from agentsim.reporting.summary import TEMPLATES

_FOLDER = TEMPLATES / "scripts"


def read_script(name: str) -> str:
    """The text of one of the package's scripts.

    Raises
    ------
    KeyError
        If there is none of this name.
    """
    scripts = {file.stem: file for file in _FOLDER.glob("*.js")}
    return scripts[name].read_text(encoding="utf-8")


def is_ours(text: str) -> bool:
    """Whether a text is one of the package's scripts, to the byte."""
    return any(file.read_text(encoding="utf-8") == text for file in _FOLDER.glob("*.js"))


def content_policy(scripts: Iterable[str]) -> str:
    """The Content-Security-Policy of a page that runs these scripts and nothing else."""
    digests = [hashlib.sha256(text.encode()).digest() for text in scripts]
    sources = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {sources}; base-uri 'none'; form-action 'none'"
    )
