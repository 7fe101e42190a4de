"""One chain, checked while its rows come by: each must follow from the one before it, and meet what was signed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from agentsim.audit.explaining import explain
from agentsim.audit.report import ChainReport, Fault
from agentsim.audit.trails import LOG_ID, Row, Stored, follows
from agentsim.server.audit import GENESIS, Head
from agentsim.server.checkpoints import Checkpoint

#: Faults of one chain that are told one by one; the rest is counted.
MOST_TOLD = 20
#: So many rows that follow from each other end a stretch that did not hold; at so many it is cut.
_CALM, _LONGEST = 4, 256
#: Checkpoints that have been met and not been looked at: of so many the newest that is believed proves all before it.
_KEPT = 64


#: The checkpoint of a JWS that is believed, with the key's thumbprint; else why it is not.
Believe = Callable[[str], tuple[Checkpoint, str] | str]


@dataclass(slots=True)
class _Open:
    """A row that does not follow from the row before it: changed, or rows are missing before it."""

    log_id: int
    before: int


class ChainCheck:
    """Takes a chain's rows in as they lie, and tells at the end what is wrong with them.

    Parameters
    ----------
    head : where the chain ends, as it is stored.
    base : the checkpoint up to which rows have been removed on purpose.
    checkpoints : in the order of length.
    """

    def __init__(
        self,
        chain: int,
        head: Head | None,
        base: Stored | None,
        checkpoints: Iterator[Stored],
        believe: Believe,
    ) -> None:
        self.report = ChainReport(chain)
        self._head = head
        self._believe = believe
        self._link, self._last, self._count = GENESIS, 0, 0
        #: The last row that has been removed on purpose, and the last that is there all the same.
        self._base: Checkpoint | None = None
        self._left: Row | None = None
        self._recent: deque[Row] = deque(maxlen=_KEPT)
        self._stretch: list[Row] = []
        self._open: list[_Open] = []
        self._met: deque[Stored] = deque(maxlen=_KEPT)
        self._seen = 0
        self._frozen = False
        if base is not None:
            self._begin_at(base)
        self._checkpoints = (each for each in checkpoints if each.length > self._count)
        self._next = next(self._checkpoints, None)

    def take(self, row: Row) -> None:
        """The next row."""
        if self._base is not None and row[LOG_ID] <= self._base.log_id:
            self._take_left(row)
            return
        self.report.rows += 1
        if self._stretch:
            self._stretch.append(row)
            if self._is_over():
                self._close_stretch()
        elif row[LOG_ID] > self._last and follows(row, self._link):
            self._pass(row)
        else:
            self._freeze()
            self._stretch.append(row)

    def finish(self) -> ChainReport:
        """What has been found, once all rows have been taken in."""
        if self._stretch:
            self._close_stretch()
        self._check_left()
        self._check_head()
        self._check_rest()
        self._freeze()
        return self.report

    def _believed(self, jws: str) -> tuple[Checkpoint, str] | str:
        believed = self._believe(jws)
        if not isinstance(believed, str) and believed[0].chain != self.report.chain:
            return f"it was signed for chain {believed[0].chain}"
        return believed

    def _begin_at(self, base: Stored) -> None:
        believed = self._believed(base.jws)
        if isinstance(believed, str) or not believed[0].truncated:
            why = believed if isinstance(believed, str) else "it does not say so itself"
            self._fault(base.log_id, "checkpoint", f"rows up to it are said to be removed on purpose: {why}")
            return
        found, kid = believed
        self._base, self._last = found, found.log_id
        self._link, self._count = found.row_hash, found.length
        self.report.truncated = self.report.proven = found.length
        self.report.proven_to, self.report.signed_by, self.report.signed_at = (
            found.log_id,
            kid,
            found.signed_at,
        )

    def _take_left(self, row: Row) -> None:
        """A truncation that was cut short has left it: what is left leads up to the head that was signed."""
        self.report.left += 1
        if self._left is not None and not follows(row, self._left[-1]):
            before = self._left[LOG_ID]
            self._fault(row[LOG_ID], "broken", f"it does not follow from the row before it ({before})")
        self._left = row

    def _check_left(self) -> None:
        row, base = self._left, self._base
        if row is not None and base is not None and (row[LOG_ID], row[-1]) != (base.log_id, base.row_hash):
            told = "rows up to there were removed on purpose, and it does not lead up to the last of them"
            self._fault(row[LOG_ID], "inserted", told)

    def _pass(self, row: Row) -> None:
        self._link, self._last = row[-1], row[LOG_ID]
        self._count += 1
        self._recent.append(row)
        if self._next is not None and self._next.log_id <= self._last:
            self._meet(row)

    def _meet(self, row: Row) -> None:
        """Hold the checkpoints up to this row against what lies there."""
        while self._next is not None and self._next.log_id <= row[LOG_ID]:
            signed, self._next = self._next, next(self._checkpoints, None)
            if (signed.log_id, signed.row_hash) == (row[LOG_ID], row[-1]):
                if not self.report.found and not self._open and signed.length != self._count:
                    told = f"a signed head is stored as that of {signed.length:,} rows, and there are {self._count:,}"
                    self._fault(signed.log_id, "checkpoint", told)
                self._resolve(signed.length - self._count)
                self._count = signed.length
                self._met.append(signed)
                self._seen += 1
                if self._seen % _KEPT == 0 and not self._frozen:
                    self._prove()
                continue
            believed = self._believed(signed.jws)
            if not isinstance(believed, str):
                self._contradict(believed[0], row)

    def _contradict(self, signed: Checkpoint, row: Row) -> None:
        """What was signed is not what lies there."""
        is_there = signed.log_id == row[LOG_ID]
        if is_there:
            self._resolve(signed.length - self._count)
            self._count = signed.length
        # A row that is known to follow from nothing says enough.
        if self.report.found or self._open:
            return
        self._freeze()
        self._fault(
            signed.log_id,
            "re-hashed" if is_there else "removed",
            "a signed head says otherwise: rows up to it, after the last that is proven, were changed, added or removed, "
            "and all hashes made anew",
        )

    def _is_over(self) -> bool:
        if len(self._stretch) >= _LONGEST:
            return True
        tail = self._stretch[-_CALM - 1 :]
        return len(tail) > _CALM and all(
            row[LOG_ID] > above[LOG_ID] and follows(row, above[-1]) for above, row in pairwise(tail)
        )

    def _close_stretch(self) -> None:
        rows, self._stretch = self._stretch, []
        recent = list(self._recent)
        if self.report.found < MOST_TOLD:
            found = explain(recent, self._link, rows)
        else:
            # There are many: what each was costs more than it tells.
            found = explain([], self._link, rows[:1])
        for log_id in found.inserted:
            self._fault(
                log_id,
                "inserted",
                "it does not belong there: the row after it follows from the one before it",
            )
        inserted = set(found.inserted)
        self._count -= sum(row[LOG_ID] in inserted for row in recent)
        before = self._last
        for place, row in enumerate(rows):
            log_id = row[LOG_ID]
            if place in found.moved:
                self._fault(log_id, "reordered", "it stood elsewhere: rows were put in another order")
            elif place in found.rehashed:
                self._fault(log_id, "changed", "its hash was changed")
            elif place in found.unexplained:
                self._open.append(_Open(log_id, before))
            before = log_id
            self._link, self._last = row[-1], max(self._last, log_id)
            if log_id in inserted:
                continue
            self._count += 1
            self._recent.append(row)
            if self._next is not None and self._next.log_id <= log_id:
                self._meet(row)

    def _resolve(self, missing: int | None) -> None:
        """Say what was wrong with rows that did not follow, once it is known how many are missing before here, or never will be."""
        pending, self._open = self._open, []
        for each in pending:
            if missing == 0:
                self._fault(each.log_id, "changed", f"it, or the row before it ({each.before}), was changed")
            elif missing is not None and missing > 0 and len(pending) == 1:
                many = "a row is" if missing == 1 else f"{missing:,} rows are"
                self._fault(each.log_id, "removed", f"{many} missing between {each.before} and it")
            else:
                self._fault(
                    each.log_id,
                    "broken",
                    f"it does not follow from the row before it ({each.before}): one of the two was changed, or rows "
                    f"between them are missing or new",
                )

    def _check_head(self) -> None:
        head = self._head
        if head is None:
            if self._count or self._base is not None:
                self._resolve(None)
                self._fault(None, "head", "no head of this chain is stored")
            return
        missing = head.length - self._count
        if head.row_hash == self._link:
            self._resolve(missing)
            if missing and not self.report.found:
                self._fault(None, "head", f"{self._count:,} rows; the stored head has {head.length:,}")
            elif not self.report.found and head.log_id not in (0, self._last):
                self._fault(self._last, "head", f"the chain ends here; the stored head names {head.log_id}")
        elif missing > 0:
            self._resolve(None)
            self._cut_off(missing, f"the stored head has {head.length:,} rows{_to(head.log_id)}")
        else:
            self._resolve(missing)
            if not self.report.found:
                self._fault(self._last, "head", "the chain does not end where the stored head says")

    def _check_rest(self) -> None:
        """Checkpoints of rows that never came."""
        while self._next is not None:
            signed, self._next = self._next, next(self._checkpoints, None)
            believed = self._believed(signed.jws)
            if isinstance(believed, str):
                continue
            missing = believed[0].length - self._count
            if not any(fault.kind == "cut off" for fault in self.report.faults):
                told = f"a signed head has {believed[0].length:,} rows{_to(believed[0].log_id)}"
                self._cut_off(missing, told)

    def _cut_off(self, missing: int, says: str) -> None:
        self._freeze()
        self._fault(
            self._last or None,
            "cut off",
            f"the chain ends here, {max(missing, 1):,} rows too early: {says}",
        )

    def _freeze(self) -> None:
        """What is signed from now on proves nothing: something before it does not hold."""
        if not self._frozen:
            self._prove(last=True)
            self._frozen = True

    def _prove(self, *, last: bool = False) -> None:
        """Look for the newest checkpoint met so far that is believed."""
        refused: str | None = None
        while self._met:
            signed = self._met.pop()
            believed = self._believed(signed.jws)
            if isinstance(believed, str):
                refused = refused or believed
                continue
            found, kid = believed
            if (found.log_id, found.row_hash, found.length) != (
                signed.log_id,
                signed.row_hash,
                signed.length,
            ):
                refused = refused or "it was signed for another row"
                continue
            report = self.report
            report.proven, report.proven_to = found.length, found.log_id
            report.signed_by, report.signed_at = kid, found.signed_at
            break
        self._met.clear()
        if refused is not None and last:
            self._fault(None, "checkpoint", f"the newest signed head proves nothing: {refused}")

    def _fault(self, log_id: int | None, kind: str, message: str) -> None:
        self.report.found += 1
        if len(self.report.faults) < MOST_TOLD:
            self.report.faults.append(Fault(self.report.chain, log_id, kind, message))


def _to(log_id: int) -> str:
    return f" and ends with {log_id}" if log_id else ""
