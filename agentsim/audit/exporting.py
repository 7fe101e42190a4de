"""An audit trail as lines of JSON, for whatever collects events: as OCSF, or as the rows are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import orjson
from tqdm.auto import tqdm

from agentsim.audit.ocsf import event
from agentsim.audit.trails import LOG_ID, Row, Trail
from agentsim.errors import UserError
from agentsim.run.files import replacing
from agentsim.server.audit import COLUMNS

Format = Literal["ocsf", "jsonl"]
#: By the end of a file's name, the longer first.
_ENDINGS: dict[str, Format] = {
    ".ocsf.jsonl": "ocsf",
    ".ocsf.json": "ocsf",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
#: 64-bit numbers, which many readers of JSON cut short.
_IDS = frozenset(
    name for name in COLUMNS if name.endswith("_id") and name not in ("task_id", "parent_task_id")
)


class ExportError(UserError):
    """A trail cannot be written there; the message says why."""


def export(trail: Trail, path: Path, form: Format | None = None, *, progress: bool = False) -> int:
    """Write a trail, a line for each row, in the order of their ids; the file is there whole or not at all.

    Parameters
    ----------
    form : ``ocsf`` or ``jsonl``; by default the file's ending says: ``.ocsf.jsonl``, else ``.jsonl`` or ``.ndjson``.

    Returns
    -------
    How many rows that were.

    Raises
    ------
    ExportError
        If the ending says nothing, the folder is not there, or a row is none that can have been written.
    """
    chosen = form or next((form for end, form in _ENDINGS.items() if path.name.lower().endswith(end)), None)
    if chosen is None:
        raise ExportError(
            f"{path}: name it {', '.join(f'*{end}' for end in _ENDINGS)}, or say the format with --format"
        )
    if not path.parent.is_dir():
        raise ExportError(f"{path}: no such folder: {path.parent}")
    if path.is_dir():
        raise ExportError(f"{path}: is a folder")
    written = 0
    with (
        replacing(path) as temporary,
        temporary.open("wb") as stream,
        tqdm(total=trail.total, unit="row", unit_scale=True, desc="export", disable=not progress) as bar,
    ):
        for page in trail.rows():
            stream.writelines(_line(row, chosen) for row in page)
            written += len(page)
            bar.update(len(page))
    return written


def _line(row: Row, form: Format) -> bytes:
    try:
        return orjson.dumps(_FORMS[form](told(row))) + b"\n"
    except (AttributeError, TypeError, ValueError):
        raise ExportError(
            f"row {row[LOG_ID]!r} holds what was never written there; 'agentsim audit verify' tells of all such rows"
        ) from None


def told(row: Row) -> dict[str, Any]:
    """An audit row by its columns' names: ids are text, hashes hexadecimal, details an object."""
    named = dict(zip((*COLUMNS, "row_hash"), row, strict=True))
    for name in _IDS:
        if named[name] is not None:
            named[name] = str(named[name])
    for name in ("access_token_hash", "row_hash"):
        if named[name] is not None:
            named[name] = named[name].hex()
    try:
        named["details"] = orjson.loads(named["details"])
    except (ValueError, TypeError):
        # Somebody has changed it: it is told as it lies.
        named["details"] = {"unreadable": str(named["details"])}
    return named


_FORMS: dict[Format, Callable[[dict[str, Any]], dict[str, Any]]] = {"ocsf": event, "jsonl": lambda row: row}
