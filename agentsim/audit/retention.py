"""Retention: rows that are old enough go, up to a signed head, and what is left still verifies from there on.

The head is signed once more, and says now that what was before it was removed on purpose; then an audit row says by
whose wish, and how much goes. Only then do rows go, in small transactions: cut short at any moment, the trail verifies,
and the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select
from tqdm.auto import tqdm

from agentsim.audit.report import Report
from agentsim.errors import UserError
from agentsim.server import Admin, KeyRing, Noted, NoteTruncation, Server, Store
from agentsim.server.audit import Head
from agentsim.server.checkpoints import RENEW, as_row, of_head, read, renewal
from agentsim.server.clock import SECOND
from agentsim.server.ids import first_id
from agentsim.server.statements import AUDIT, CHECKPOINTS

#: Rows that go together, and seconds between two transactions: a server that writes meanwhile has its turn.
_TOGETHER, _PAUSE = 2_000, 0.01

_LAST_BEFORE = (
    select(CHECKPOINTS)
    .where(CHECKPOINTS.c.chain == bindparam("of"), CHECKPOINTS.c.log_id < bindparam("before"))
    .where(CHECKPOINTS.c.length <= bindparam("proven"))
    .order_by(CHECKPOINTS.c.length.desc())
    .limit(1)
)
_HASH = select(AUDIT.c.row_hash).where(AUDIT.c.log_id == bindparam("id"), AUDIT.c.chain == bindparam("of"))
_OLD = (AUDIT.c.chain == bindparam("of"), AUDIT.c.log_id <= bindparam("last"))
_COUNT = select(func.count()).select_from(AUDIT).where(*_OLD)
_NEXT = select(AUDIT.c.log_id).where(*_OLD, AUDIT.c.log_id > bindparam("after")).order_by(AUDIT.c.log_id)
_REMOVE = delete(AUDIT).where(AUDIT.c.chain == bindparam("of"), AUDIT.c.log_id > bindparam("after"))


class RetentionError(UserError):
    """Nothing is removed; the message says why."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """What was removed of a chain: up to which row, how many now, and how many there have been up to there."""

    chain: int
    last: int
    removed: int
    length: int


def truncate(
    server: Server, report: Report, before: int, now: int, by: Admin, *, progress: bool = False
) -> Sequence[Truncated]:
    """Remove audit rows that are older than a moment, chain by chain, up to the last signed head before it.

    Parameters
    ----------
    server : whose database it is; its key signs, and its chain tells of it.
    report : what verification found of the trail just now.
    before, now : microseconds.
    by : whose wish it is.

    Returns
    -------
    What went, of each chain of which anything did.

    Raises
    ------
    RetentionError
        If the trail is not sound: what is wrong with it must not be removed unseen.
    """
    if report.found:
        raise RetentionError(
            f"nothing was removed: {report.found:,} faults are in the audit trail; `agentsim audit verify` names them"
        )
    done = []
    for chain in report.chains:
        base = _sign_base(server.store, chain.chain, chain.proven, server.keyring, before, now)
        total = 0 if base is None else _count(server.store, base)
        if base is None or not total:
            continue
        note = NoteTruncation(by=by, chain=base.chain, last=base.log_id, rows=total, length=base.length)
        server.ask(note, Noted)
        removed = _remove(server.store, base, total, progress=progress)
        done.append(Truncated(base.chain, base.log_id, removed, base.length))
    return done


def _sign_base(store: Store, chain: int, proven: int, keyring: KeyRing, before: int, now: int) -> Head | None:
    """The head up to which a chain's rows may go, signed as such; None where there is none."""
    with store.transaction() as connection:
        asked = {"of": chain, "before": first_id(min(before, now + SECOND)), "proven": proven}
        row = connection.execute(_LAST_BEFORE, asked).one_or_none()
        if row is None:
            return None
        head = Head(chain, row.log_id, row.row_hash, row.length)
        if row.truncated:
            return head
        there = connection.execute(_HASH, {"id": head.log_id, "of": chain}).scalar_one_or_none()
        issuer = _issuer_of(row.jws, head)
        if there != head.row_hash or issuer is None:
            raise RetentionError(
                f"nothing was removed: row {head.log_id} of chain {chain} is not what was signed"
            )
        signed = of_head(head, issuer, now, truncated=True)
        connection.execute(RENEW, renewal(row.jws, as_row(signed, keyring.keys.signing)))
    return head


def _issuer_of(jws: str, head: Head) -> str | None:
    """Who signed a head; None where something else was signed."""
    try:
        signed, _ = read(jws)
    except ValueError:
        return None
    return signed.issuer if signed == of_head(head, signed.issuer, signed.signed_at) else None


def _count(store: Store, base: Head) -> int:
    with store.reading() as connection:
        return int(connection.execute(_COUNT, {"of": base.chain, "last": base.log_id}).scalar_one())


def _remove(store: Store, base: Head, total: int, *, progress: bool) -> int:
    removed, after = 0, -1
    with tqdm(total=total, unit="row", unit_scale=True, desc="truncate", disable=not progress) as bar:
        while removed < total:
            with store.transaction(hurried=True) as connection:
                asked = {"of": base.chain, "last": base.log_id, "after": after}
                ids = connection.execute(_NEXT.limit(_TOGETHER), asked).scalars().all()
                if not ids:
                    break
                gone = _REMOVE.where(AUDIT.c.log_id <= ids[-1])
                removed += connection.execute(gone, {"of": base.chain, "after": after}).rowcount
                after = ids[-1]
            bar.update(len(ids))
            time.sleep(_PAUSE)
    with store.transaction() as connection:
        older = (CHECKPOINTS.c.chain == base.chain, CHECKPOINTS.c.length < base.length)
        connection.execute(delete(CHECKPOINTS).where(*older))
    return removed
