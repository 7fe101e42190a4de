"""A file of OTLP JSON: one object a line, as file exporters write them, or one in the whole file; both may be gzipped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from agentsim.inputs import MEGABYTE
from agentsim.simulation.otlp.spans import Span, link, parse
from agentsim.simulation.otlp.values import attributes, name, printable
from agentsim.simulation.trace_format import TraceError

#: Faults that are told; of the others the number is.
_TOLD = 20
_GZIP = b"\x1f\x8b"
#: Bytes of a line, of an object that goes over many lines, and of a whole file, unpacked.
LONGEST_LINE = LONGEST_OBJECT = 256 * MEGABYTE
LONGEST_FILE = 16 * 1024 * MEGABYTE
_BOM = b"\xef\xbb\xbf"
#: What OTLP files may hold beside spans, and is passed over.
_OTHER_SIGNALS = ("resourceMetrics", "resourceLogs", "resourceProfiles")


@dataclass
class SpanFile:
    """What a file holds.

    Attributes
    ----------
    spans : those about agents, in the file's order, each once.
    parents : of every span, by trace and id.
    schemas : schema URLs of the scopes (or resources) that hold spans about agents: the conventions' versions.
    repeated : spans that came again; OTLP exporters send a second time what was not acknowledged.
    faults : the first of what is wrong, and ``wrong`` how much is.
    """

    spans: list[Span] = field(default_factory=list)
    parents: dict[tuple[str, str], str | None] = field(default_factory=dict)
    schemas: set[str] = field(default_factory=set)
    repeated: int = 0
    faults: list[str] = field(default_factory=list)
    wrong: int = 0

    def fault(self, line: int, text: str) -> None:
        """Note what is wrong in a line."""
        self.wrong += 1
        if len(self.faults) < _TOLD:
            self.faults.append(f"line {line}: {text}")

    def raise_faults(self, path: Path) -> None:
        """Raise a :class:`TraceError` if anything is wrong."""
        if self.wrong > len(self.faults):
            raise TraceError(path, [*self.faults, f"and {self.wrong - len(self.faults)} more"])
        if self.faults:
            raise TraceError(path, self.faults)


def is_otlp(path: Path) -> bool:
    """Whether a file is JSON, possibly gzipped, and not Parquet. A file that cannot be read is not."""
    try:
        with path.open("rb") as stream:
            begin = stream.read(256)
    except OSError:
        return False
    return begin.startswith(_GZIP) or begin.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[")


def read_file(path: Path) -> SpanFile:
    """Read a file of OTLP JSON.

    Raises
    ------
    TraceError
        With everything that is wrong, each with its line (the first of it, where it is much).
    """
    found = SpanFile()
    try:
        for line, held in _objects(path, found):
            _take(held, line, found)
    except (OSError, EOFError, zlib.error) as exc:
        raise TraceError(path, [f"cannot be read: {exc}"]) from exc
    found.raise_faults(path)
    return found


def _objects(path: Path, found: SpanFile) -> Iterator[tuple[int, Any]]:
    """The objects of the file, each with the line where it begins."""
    with path.open("rb") as peeked:
        zipped = peeked.read(2) == _GZIP
    with gzip.open(path) if zipped else path.open("rb") as stream:
        lines = ((number, text.strip()) for number, text in enumerate(_lines(path, stream.readline), 1))
        written = ((number, text.removeprefix(_BOM)) for number, text in lines if text)
        first = next(written, None)
        if first is None:
            return
        try:
            held = orjson.loads(first[1])
        except orjson.JSONDecodeError:
            # Not an object a line: one in many lines, or its first line is broken.
            yield from _whole([first, *_within(path, written)], found)
            return
        yield first[0], held
        yield from _by_line(written, found)


def _lines(path: Path, readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """The lines of a file, which may unpack to much more than it is: never more of it than fits into memory."""
    size = 0
    while line := readline(LONGEST_LINE + 1):
        size += len(line)
        if len(line) > LONGEST_LINE:
            raise TraceError(path, [f"a line is longer than {LONGEST_LINE // MEGABYTE} MiB"])
        if size > LONGEST_FILE:
            raise TraceError(path, [f"holds more than {LONGEST_FILE // MEGABYTE:,} MiB; split it"])
        yield line


def _within(path: Path, lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Lines that are one object, as long as it may be held."""
    size = 0
    for number, text in lines:
        size += len(text)
        if size > LONGEST_OBJECT:
            raise TraceError(
                path, [f"an object goes over more than {LONGEST_OBJECT // MEGABYTE} MiB; write one a line"]
            )
        yield number, text


def _whole(lines: list[tuple[int, bytes]], found: SpanFile) -> Iterator[tuple[int, Any]]:
    try:
        yield lines[0][0], orjson.loads(b"\n".join(text for _, text in lines))
    except orjson.JSONDecodeError as exc:
        if any(text.startswith(b'{"resource') for _, text in lines[1:]):
            yield from _by_line(iter(lines), found)
        else:
            number, _ = lines[min(exc.lineno, len(lines)) - 1]
            found.fault(number, _not_json(exc, is_last=exc.lineno >= len(lines)))


def _by_line(lines: Iterator[tuple[int, bytes]], found: SpanFile) -> Iterator[tuple[int, Any]]:
    broken: tuple[int, orjson.JSONDecodeError] | None = None
    for number, text in lines:
        if broken:
            found.fault(broken[0], _not_json(broken[1], is_last=False))
            broken = None
        try:
            held = orjson.loads(text)
        except orjson.JSONDecodeError as exc:
            broken = number, exc
        else:
            yield number, held
    if broken:
        found.fault(broken[0], _not_json(broken[1], is_last=True))


def _not_json(exc: orjson.JSONDecodeError, is_last: bool) -> str:
    cut = "; the file ends here: was it cut off while it was written?" if is_last else ""
    return f"not JSON at column {exc.colno}: {exc.msg}{cut}"


def _take(held: Any, line: int, found: SpanFile) -> None:
    """Take the spans out of an object, or out of each of a list of objects."""
    for entry in held if isinstance(held, list) else [held]:
        if not isinstance(entry, Mapping):
            found.fault(line, "not an OTLP object: resourceSpans are expected")
        elif "resourceSpans" in entry:
            for resource in _members(entry, "resourceSpans", line, found):
                _take_resource(resource, line, found)
        elif not any(signal in entry for signal in _OTHER_SIGNALS):
            found.fault(line, "no resourceSpans in it: is it OTLP as JSON?")


def _take_resource(holder: Mapping[str, Any], line: int, found: SpanFile) -> None:
    resource = holder.get("resource")
    try:
        held = attributes(resource.get("attributes")) if isinstance(resource, Mapping) else {}
        service = name(held.get("service.name")) or "unknown_service"
    except (ValueError, RecursionError) as exc:
        found.fault(line, f"resource: {exc}")
        return
    for scope in _members(holder, "scopeSpans", line, found):
        before = len(found.spans)
        for raw in _members(scope, "spans", line, found):
            _take_span(raw, service, line, found)
        if len(found.spans) > before:
            url = scope.get("schemaUrl") or holder.get("schemaUrl")
            if isinstance(url, str) and (shown := printable(url)):
                found.schemas.add(shown)


def _take_span(raw: Any, service: str, line: int, found: SpanFile) -> None:
    told = "a span"
    try:
        trace, span, parent = link(raw)
        told = f"span {printable(span)}"
        if (trace, span) in found.parents:
            found.repeated += 1
            return
        parsed = parse(raw, service, line)
    except ValueError as exc:
        found.fault(line, f"{told}: {exc}")
    except (RecursionError, TypeError):
        found.fault(line, f"{told}: an attribute is nested too deeply")
    else:
        found.parents[trace, span] = parent
        if parsed is not None:
            found.spans.append(parsed)


def _members(holder: Mapping[str, Any], key: str, line: int, found: SpanFile) -> Iterator[Any]:
    """The entries of a list, of which all but spans must be objects; nothing where there is no list."""
    entries = holder.get(key)
    if entries is None:
        return
    if not isinstance(entries, list):
        found.fault(line, f"{key} must be a list")
        return
    for entry in entries:
        if key == "spans" or isinstance(entry, Mapping):
            yield entry
        else:
            found.fault(line, f"{key} must hold objects")
