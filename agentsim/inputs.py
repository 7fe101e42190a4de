"""Files that others have written: never more of them is read than such a file can hold."""

import errno
import os
from pathlib import Path

MEGABYTE = 1024 * 1024


def read_bounded(file: Path, most: int) -> bytes:
    """What a file holds.

    Raises
    ------
    OSError
        If it cannot be read, or is longer than ``most`` bytes; ``strerror`` says so.
    """
    if "\0" in str(file):
        # Python calls that an error of ours, and not of whoever named the file.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise too_long(file, most)
    return data


def too_long(file: Path, most: int) -> OSError:
    """That a file is longer than what is read of its kind."""
    limit = f"{most // MEGABYTE} MiB" if most >= MEGABYTE else f"{most} bytes"
    return OSError(errno.EFBIG, f"longer than {limit}, the most that is read of such a file", str(file))
