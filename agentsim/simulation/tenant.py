"""One tenant's server for the length of a run: its database, its key and its secrets, all from the seed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentsim.run import WORK
from agentsim.server import KeyRing, PatternMatcher, Policy, SeededSecrets, Server, SigningKey, Store
from agentsim.simulation.streams import STREAM, generator


@contextmanager
def open_tenant(
    scratch: Path, tenant: int, entropy: int, policy: Policy, matcher: PatternMatcher | None = None
) -> Iterator[tuple[Server, Path]]:
    """A server with an empty database in a folder of its own, which is removed at the end.

    Yields
    ------
    The server and its database file. Keys and secrets are derived from the seed and marked as simulated.
    """
    folder = Path(scratch) / f"{WORK}t{tenant:04d}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = folder / "server.db"
    store = None
    try:
        # A run that is cut short begins this tenant anew, with another database.
        store = Store(database, synchronous="NONE")
        yield (
            Server(
                store,
                policy=policy,
                keyring=KeyRing(SigningKey.from_seed(generator(entropy, STREAM.KEYS, tenant).bytes(32))),
                secrets=SeededSecrets(generator(entropy, STREAM.SECRETS, tenant).bytes(32)),
                matcher=matcher,
                writer=tenant,
            ),
            database,
        )
    finally:
        if store is not None:
            store.close()
        shutil.rmtree(folder, ignore_errors=True)
