"""What happened where a chain does not hold: rows that were inserted, put in another order, or given another hash.

What can be told from the rows themselves is told here. Whether a row was changed or one before it removed, only the
number of rows tells (:mod:`agentsim.audit.checking`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentsim.audit.trails import LOG_ID, Row, follows, hashed

#: How far apart, in rows, two places are looked for that were exchanged.
_NEAR = 16


@dataclass(slots=True)
class Explained:
    """What is known of a stretch of rows, by their place in it.

    Attributes
    ----------
    inserted : log_ids of rows that do not belong there; they may lie before the stretch.
    moved, rehashed : places of rows that stood elsewhere, and of those whose hash alone was changed.
    unexplained : places of rows that do not follow from the row before them.
    """

    inserted: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    rehashed: list[int] = field(default_factory=list)
    unexplained: list[int] = field(default_factory=list)


def explain(before: Sequence[Row], above: bytes, rows: Sequence[Row]) -> Explained:
    """Explain a stretch of rows of which the first does not follow from the row before it.

    Parameters
    ----------
    before : some rows that lie before it and follow from each other.
    above : the hash that the first row is held against.
    """
    found = Explained()
    line = [*before, *rows]
    first = len(before)
    expected, head = above, line[first - 1][LOG_ID] if before else 0
    for place, row in enumerate(line[first:]):
        if row[LOG_ID] > head and follows(row, expected):
            pass
        elif _was_moved(line, first + place, head, above):
            found.moved.append(place)
        elif any(follows(row, other[-1]) for other in line[first + place + 1 : first + place + 1 + _NEAR]):
            # The row before it was moved, behind it.
            pass
        elif (origin := _follows_earlier(line, first + place, above)) is not None:
            _note_inserted(found, line, origin, first, place)
        elif place + 1 < len(rows) and (made := hashed(row, expected)) and follows(rows[place + 1], made):
            found.rehashed.append(place)
            expected, head = made, row[LOG_ID]
            continue
        else:
            found.unexplained.append(place)
        expected, head = row[-1], row[LOG_ID]
    return found


def _follows_earlier(line: Sequence[Row], here: int, above: bytes) -> int | None:
    """The place of an earlier row than the one before it that a row follows from; -1: what all of them follow from."""
    for origin in range(here - 2, max(here - 2 - 4 * _NEAR, -1), -1):
        if follows(line[here], line[origin][-1]):
            return origin
    return -1 if here and follows(line[here], above) else None


def _note_inserted(found: Explained, line: Sequence[Row], origin: int, first: int, place: int) -> None:
    """All between a row and the one that it follows from does not belong there, unless it was only moved."""
    known = {*found.moved, *found.rehashed}
    if origin - first in known:
        # The row before it was moved, before its place.
        return
    for other in range(origin + 1, first + place):
        if other - first in known:
            continue
        if other - first in found.unexplained:
            found.unexplained.remove(other - first)
        found.inserted.append(line[other][LOG_ID])


def _was_moved(line: Sequence[Row], here: int, head: int, above: bytes) -> bool:
    """Whether a row follows from another one once it is given that place's id, or lies too late by its own."""
    row = line[here]
    near = [*line[max(0, here - _NEAR) : here], *line[here + 1 : here + 1 + _NEAR]]
    hashes = [above, *(other[-1] for other in near)]
    if row[LOG_ID] <= head:
        return any(follows(row, each) for each in hashes)
    later = line[here + 1 : here + 1 + _NEAR]
    if any(other[LOG_ID] < row[LOG_ID] and follows(row, other[-1]) for other in later):
        return True
    ids = [other[LOG_ID] for other in near]
    return any(
        follows((*row[:LOG_ID], log_id, *row[LOG_ID + 1 :]), each) for log_id in ids for each in hashes
    )
