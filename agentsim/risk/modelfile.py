"""Estimators in a file: skops, never pickle, and nothing but types that are named here.

The same estimators give the same bytes. A file is refused if it holds another type, or indices that lead out of
their arrays: scipy follows those without looking.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from scipy import sparse

from agentsim.inputs import MEGABYTE
from agentsim.risk.detectors import (
    CalibratedRanks,
    Combined,
    Deviating,
    Novelty,
    PeerTables,
    RankCurve,
    RobustZ,
    RoleEncoder,
)
from agentsim.risk.fitted import Fitted
from agentsim.risk.items import ItemEncoder
from agentsim.risk.modelcard import ModelError
from agentsim.risk.peers import Habits, Peers
from agentsim.risk.surprise import ContextualSurprise

_OURS = (
    CalibratedRanks,
    Combined,
    ContextualSurprise,
    Deviating,
    Fitted,
    Habits,
    ItemEncoder,
    Novelty,
    PeerTables,
    Peers,
    RankCurve,
    RobustZ,
    RoleEncoder,
)
#: What a file may hold beside what skops knows to be harmless. The last is looked at more closely.
TRUSTED = (
    *(f"{each.__module__}.{each.__name__}" for each in _OURS),
    "scipy.sparse._csr.csr_array",
)
_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
#: Bytes that a file may unpack to: arrays of zeros pack a thousandfold.
MOST_UNPACKED = 2 * 1024 * MEGABYTE


def dump_fitted(fitted: Fitted) -> bytes:
    """The bytes of what was learned."""
    # Here, not above: it asks every library for its types, half a second of each process that needs no model's file.
    import skops.io

    return _canonical(skops.io.dumps(fitted))


def load_fitted(data: bytes) -> Fitted:
    """What was learned, from its bytes.

    Raises
    ------
    ModelError
        If these are no such bytes; nothing of a type that is not trusted is made.
    """
    import skops.io

    try:
        _check_unpacked(data)
        foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED))
        if foreign:
            raise ModelError(f"holds types that are not trusted: {', '.join(foreign)}")
        loaded = skops.io.loads(data, trusted=list(TRUSTED))
    except ModelError:
        raise
    except Exception as exc:
        # Whoever made the file chose in which way it is wrong.
        raise ModelError(f"is no model's file: {type(exc).__name__}: {exc}") from exc
    if not isinstance(loaded, Fitted):
        raise ModelError("holds nothing that training leaves")
    for part in _parts(loaded):
        _check_indices(part)
    return loaded


def _check_unpacked(data: bytes) -> None:
    """Refuse what would not fit into memory once it is unpacked; zipfile reads no more than the sizes that are told."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
            raise ModelError(f"unpacks to more than {MOST_UNPACKED // MEGABYTE} MiB")


def _canonical(data: bytes) -> bytes:
    """The same archive without addresses of objects and times of day."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        numbers: dict[int, int] = {}
        for node in _nodes(schema):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
            if isinstance(name := node.get("file"), str):
                node["file"] = _renamed(name, numbers)
        contents = {
            _renamed(name, numbers): archive.read(name) for name in archive.namelist() if name != _SCHEMA
        }
    contents[_SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _EPOCH)
            archive.writestr(entry, contents[name], zipfile.ZIP_DEFLATED)
    return result.getvalue()


def _renamed(name: str, numbers: dict[int, int]) -> str:
    """The name without an address: an array's file is called by the one that the array had."""
    address, dot, kind = name.partition(".")
    return f"{numbers[int(address)]}{dot}{kind}"


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """All that has an id, outer before inner, in the order of the file."""
    if isinstance(schema, dict):
        if "__id__" in schema:
            yield schema
        for value in schema.values():
            yield from _nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


def _parts(loaded: Any) -> Iterator[Any]:
    """All objects within."""
    yield loaded
    if isinstance(loaded, dict):
        inner = list(loaded.values())
    elif isinstance(loaded, list | tuple):
        inner = list(loaded)
    else:
        inner = list(vars(loaded).values()) if hasattr(loaded, "__dict__") else []
    for each in inner:
        yield from _parts(each)


def _check_indices(part: Any) -> None:
    if isinstance(part, sparse.csr_array):
        try:
            part.check_format(full_check=True)
        except ValueError as exc:
            raise ModelError(f"holds a damaged matrix: {exc}") from exc
