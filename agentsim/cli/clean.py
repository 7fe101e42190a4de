"""The command that removes what is long over: clean."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.database import DATABASE, Database, keep_time, open_store
from agentsim.cli.plain import say

#: Rows of one transaction, and seconds between two: a server that writes meanwhile has its turn.
_TOGETHER, _PAUSE = 500, 0.01


@app.command(epilog="Example: `agentsim clean --keep 90d`")
def clean(
    db: Database = DATABASE,
    keep: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="How long a lineage tree is kept after its end; an hour at least."
        ),
    ] = "30d",
    as_json: Json = False,
) -> None:
    """Remove what is long over from a served database, while it is served or not.

    Whole lineage trees whose every grant has expired, with their states, budgets and marks; used assertions, sessions and
    codes that have expired. No later answer changes, but that what has gone is not known any more. Marks on tasks and
    audit rows stay: for those there is `agentsim audit truncate`. What went is told in the audit trail, by rows of the kind
    `cleaned_up`. `agentsim serve` does the same by itself.
    """
    from tqdm.auto import tqdm

    from agentsim.server import Admin, Server

    keep_us = keep_time(keep)
    removed: Counter[str] = Counter()
    with (
        open_store(db) as store,
        tqdm(unit="row", unit_scale=True, desc="clean", disable=not progress()) as bar,
    ):
        server = Server(store, writer=store.claim_writer())
        more = True
        while more:
            step = server.clean(keep_us, _TOGETHER, by=Admin("admin", everywhere=True))
            removed.update(step.removed)
            bar.update(step.total)
            more = step.more
            time.sleep(_PAUSE if more else 0)
    if as_json:
        print_json({"removed": dict(sorted(removed.items()))})
    elif removed:
        from agentsim.cli.terminal import print_figures

        print_figures({f"{name}_removed": count for name, count in sorted(removed.items())})
    else:
        say("Nothing is long enough over.")
