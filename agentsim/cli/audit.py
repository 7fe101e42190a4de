"""Commands about the audit trail of a served database or of a Run: verify, export, truncate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.database import DATABASE, KEYS, Database, open_store
from agentsim.cli.plain import say
from agentsim.errors import UserError

if TYPE_CHECKING:
    from agentsim.audit.report import ChainReport, Report
    from agentsim.audit.trails import Trail
    from agentsim.server import KeyRing

audit = typer.Typer(
    help="Look whether the audit trail is whole, hand it on, and cut it off where it is old.",
    no_args_is_help=True,
)
app.add_typer(audit, name="audit")

_Run = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", help="The directory of a Run, instead of a database.", show_default="--db"),
]
_Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        help="The database: sqlite:///FILE or postgresql://USER@HOST/NAME.",
        show_default=DATABASE,
    ),
]


@audit.command(
    epilog="Example: `agentsim audit verify --db sqlite:///data/server/agentsim.sqlite --key jwks.json`"
)
def verify(
    run: _Run = None,
    db: _Db = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The keys that are believed: a JWK set, as the server answers it at /jwks.",
            show_default=f"{KEYS} for the default database",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every row of the audit trail: what was changed, removed, inserted or put in another order is named.

    Each row is hashed together with the one before it, and the server signs where a chain ends, now and then. What was
    cut off is found by the stored head and by what was signed; a chain of which all hashes were made anew by what was signed.
    Who may have changed the signed heads, too, is found only by keys that were kept elsewhere: `--key`. Who has removed
    them leaves rows that nothing proves, which are counted. Exit status 1 if anything is wrong.
    """
    from agentsim.audit.verifying import load_keys
    from agentsim.audit.verifying import verify as check

    if key is None and run is None and db is None and KEYS.exists():
        key = KEYS
    keys = None if key is None else load_keys(key)
    with _trail(run, db) as trail:
        report = check(trail, keys, simulated=run is not None, progress=progress())
    if as_json:
        print_json(_figures(report))
    else:
        _tell(report)
    if report.found:
        raise typer.Exit(1)


@audit.command(epilog="Example: `agentsim audit export data/runs/demo -o trail.ocsf.jsonl`")
def export(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The file: *.ocsf.jsonl, or *.jsonl for the rows as they are."
        ),
    ],
    run: _Run = None,
    db: _Db = None,
    form: Annotated[
        Literal["ocsf", "jsonl"] | None,
        typer.Option("--format", help="The format.", show_default="as the file's ending says"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the audit trail as JSON lines: OCSF events (API Activity, Authentication), or the rows as they are.

    The file is there whole or not at all. Ids and hashes are text; nothing in it is secret.
    """
    from agentsim.audit.exporting import export as write

    with _trail(run, db) as trail:
        rows = write(trail, out, form, progress=progress())
    if as_json:
        print_json({"file": str(out), "rows": rows})
    else:
        say(f"{rows:,} rows written to {out}")


@audit.command(epilog="Example: `agentsim audit truncate --before 2026-01-01`")
def truncate(
    before: Annotated[
        str,
        typer.Option(
            metavar="DATE", help="Rows before this day, or moment, go (ISO 8601; UTC unless it says)."
        ),
    ],
    db: Database = DATABASE,
    keys: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The server's signing keys. AGENTSIM_KEYS holds them instead."),
    ] = KEYS,
    as_json: Json = False,
) -> None:
    """Remove audit rows that are old, up to a signed head before the date; what is left verifies from there on.

    The whole trail is verified first, and nothing goes where anything is wrong. The head is signed once more: it says
    that the rows up to it were removed on purpose. An audit row of the kind `audit_truncated` says how many go. A server
    may go on writing meanwhile.
    """
    from agentsim.audit.retention import truncate as remove
    from agentsim.audit.trails import open_database_trail
    from agentsim.audit.verifying import verify as check
    from agentsim.server import Admin, Server

    moment = _moment(before)
    ring = _key_ring(keys)
    now = time.time_ns() // 1000
    believed = frozenset(jwk["kid"] for jwk in ring.jwks(now)["keys"])
    with open_store(db) as store:
        with open_database_trail(store) as trail:
            report = check(trail, believed, progress=progress())
        server = Server(store, keyring=ring, writer=store.claim_writer())
        by = Admin("admin", everywhere=True)
        done = remove(server, report, moment, now, by, progress=progress())
    removed = sum(each.removed for each in done)
    if as_json:
        chains = [
            {"chain": each.chain, "last": str(each.last), "removed": each.removed, "length": each.length}
            for each in done
        ]
        print_json({"removed": removed, "chains": chains})
    elif done:
        for each in done:
            say(f"Chain {each.chain}: {each.removed:,} rows removed, up to {each.last}.")
        say("What is left verifies from there on: `agentsim audit verify`")
    else:
        say("Nothing was removed: no signed head is older than that.")


@contextmanager
def _trail(run: Path | None, db: str | None) -> Iterator[Trail]:
    """The trail that is named; a served one as it is now, whatever is written meanwhile."""
    from agentsim.audit.trails import RunTrail, open_database_trail

    if run is not None:
        from agentsim.run import Run

        if db is not None:
            raise UserError("name a Run or --db, not both")
        yield RunTrail(Run(run))
        return
    with open_store(db or DATABASE) as store, open_database_trail(store) as trail:
        yield trail


def _key_ring(path: Path) -> KeyRing:
    from agentsim.server import KeyFile, KeyFileError, KeyRing
    from agentsim.server.http.serving import KEYS_VARIABLE

    try:
        given = os.environ.get(KEYS_VARIABLE)
        return KeyFile(path) if given is None else KeyRing.from_json(given)
    except KeyFileError as exc:
        raise UserError(f"--keys {exc}") from None


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return round(found.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise UserError(f"--before {text}: not a date, as 2026-01-31 or 2026-01-31T12:00:00Z") from None


def _figures(report: Report) -> dict[str, Any]:
    return {
        "sound": not report.found,
        "vouched": report.vouched,
        "faults": report.found,
        "chains": [_chain(chain) for chain in report.chains],
    }


def _chain(chain: ChainReport) -> dict[str, Any]:
    return {
        "chain": chain.chain,
        "rows": chain.rows,
        "truncated": chain.truncated,
        "left": chain.left,
        "proven": chain.proven,
        "proven_to": _id(chain.proven_to),
        "unsigned": chain.unsigned,
        "signed_by": chain.signed_by,
        "signed_at": None if chain.signed_at is None else _iso(chain.signed_at),
        "faults": chain.found,
        "told": [
            {"log_id": _id(fault.log_id), "kind": fault.kind, "message": fault.message}
            for fault in chain.faults
        ],
    }


def _tell(report: Report) -> None:
    from agentsim.cli.terminal import print_rows

    print_rows(
        ("chain", "rows", "removed_on_purpose", "proven", "proven_to", "signed_at", "faults"),
        [
            {
                "chain": chain.chain,
                "rows": f"{chain.rows:,}",
                "removed_on_purpose": f"{chain.truncated:,}",
                "proven": f"{chain.proven:,}",
                "proven_to": chain.proven_to,
                "signed_at": None if chain.signed_at is None else _iso(chain.signed_at),
                "faults": f"{chain.found:,}",
            }
            for chain in report.chains
        ],
    )
    say()
    for chain in report.chains:
        for fault in chain.faults:
            where = f"row {fault.log_id} of chain {fault.chain}" if fault.log_id else f"chain {fault.chain}"
            say(f"{fault.kind}: {where}: {fault.message}")
        if chain.found > len(chain.faults):
            say(f"and {chain.found - len(chain.faults):,} more in chain {chain.chain}")
        if chain.found:
            proven = f"row {chain.proven_to}" if chain.proven_to else "none"
            say(f"The last row of chain {chain.chain} that is still proven: {proven}")
        elif report.vouched and chain.rows and not chain.proven:
            say(
                f"By none of the keys given is any row of chain {chain.chain} proven: all may be somebody else's."
            )
        if chain.left:
            say(
                f"Of the rows of chain {chain.chain} that were removed on purpose {chain.left:,} are there still, and the "
                f"first of them is proven by nothing: `agentsim audit truncate` removes them"
            )
    unsigned = sum(chain.unsigned for chain in report.chains)
    if not report.found:
        say(f"Every row follows from the one before it; {unsigned:,} of them have not been signed for yet.")
    if report.simulated and not report.vouched:
        say("The keys come from the Run's seed: whoever knows it can sign as well.")
    elif not report.vouched:
        say("Every key was believed that signed anything: with --key only those that you kept elsewhere are.")


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="seconds")
