"""Files of a Run: written whole or not at all, and told apart by their digests."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A name to write under, which becomes ``target`` at the end; nothing is left of it where something fails."""
    # Of its own: on another machine the same file may be under way, with the same content.
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(file: Path) -> str:
    """A file's digest, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
