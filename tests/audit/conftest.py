"""A served database with an audit trail of some hundred rows, and a few hands that change it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentsim.audit.report import Report
from agentsim.audit.trails import open_database_trail
from agentsim.audit.verifying import verify
from agentsim.server import KeyRing, ManualClock, SigningKey, Store
from agentsim.server.audit import Entry, Head, Trail, row_digest
from agentsim.server.checkpoints import Notary
from agentsim.server.clock import SECOND
from agentsim.server.ids import IdGenerator
from agentsim.server.statements import AUDIT, CHAINS, CHECKPOINTS

NOW = 1_700_000_000 * SECOND


class Office:
    """Writes rows into chains, and signs their heads."""

    def __init__(self, database: Path | str) -> None:
        self.database = database
        self.store = Store(database, synchronous="OFF")
        self.clock = ManualClock(NOW)
        self.key = SigningKey.from_seed(b"office")
        self.heads: dict[int, Head] = {}
        self._ids: dict[int, IdGenerator] = {}

    def write(self, count: int, chain: int = 0) -> None:
        """So many rows, a second between each and the next."""
        ids = self._ids.setdefault(chain, IdGenerator(chain))
        trail = Trail(self.heads.get(chain, Head(chain)), ids)
        for number in range(count):
            self.clock.advance(SECOND)
            trail.append(
                Entry(
                    event_type="token_issued" if number % 2 else "token_verified",
                    timestamp=self.clock.now(),
                    client_id=number,
                    grant_id=7,
                    task_id=f'a "task" {number}',
                    access_token_hash=b"\x01\x02" if number % 3 == 0 else None,
                    status="granted" if number % 4 else "refused",
                    reason=None if number % 4 else "expired",
                    source_ip="192.0.2.7",
                    details={"tools": ["file_read"], "scope": "file_read:github"},
                )
            )
        with self.store.transaction() as connection:
            self.store.write_trail(connection, trail)
        self.heads[chain] = trail.head

    def sign(self, chain: int = 0, key: SigningKey | None = None) -> None:
        """Sign the head of a chain."""
        ring = KeyRing(key or self.key)
        Notary(self.store, ring, "https://auth.example", self.clock, chain).step(
            self.heads[chain], closing=True
        )

    def verify(self, *keys: SigningKey) -> Report:
        with open_database_trail(self.store) as trail:
            return verify(trail, frozenset(key.kid for key in keys) if keys else None)

    def rows(self, chain: int = 0) -> list[dict[str, Any]]:
        with self.store.transaction() as connection:
            query = AUDIT.select().where(AUDIT.c.chain == chain).order_by(AUDIT.c.log_id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def change(self, log_id: int, **values: Any) -> None:
        with self.store.transaction() as connection:
            connection.execute(AUDIT.update().where(AUDIT.c.log_id == log_id).values(**values))

    def put(self, table: str, column: str, value: str, **where: int) -> None:
        """A value as SQL has it, of whatever kind."""
        ((name, key),) = where.items()
        with self.store.transaction() as connection:
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = {value} WHERE {name} = {key}")

    def remove(self, *log_ids: int) -> None:
        with self.store.transaction() as connection:
            connection.execute(AUDIT.delete().where(AUDIT.c.log_id.in_(log_ids)))

    def insert(self, row: dict[str, Any]) -> None:
        with self.store.transaction() as connection:
            connection.execute(AUDIT.insert(), row)

    def hash_anew(self, chain: int = 0) -> None:
        """What an attacker does who knows how the chain is made: all hashes, and the stored head."""
        previous, rows = bytes(32), self.rows(chain)
        for row in rows:
            previous = row_digest(previous, row)
            self.change(row["log_id"], row_hash=previous)
        self.set_head(chain, log_id=rows[-1]["log_id"], row_hash=previous, length=len(rows))

    def set_head(self, chain: int = 0, **values: Any) -> None:
        with self.store.transaction() as connection:
            connection.execute(CHAINS.update().where(CHAINS.c.chain == chain).values(**values))

    def forget_checkpoints(self, above: int = 0, chain: int = 0) -> None:
        with self.store.transaction() as connection:
            connection.execute(
                CHECKPOINTS.delete().where(CHECKPOINTS.c.chain == chain, CHECKPOINTS.c.length > above)
            )


@pytest.fixture(params=["sqlite", "postgresql"])
def make_office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Office]]:
    """Makes offices, on SQLite and on PostgreSQL."""
    made: list[Office] = []

    def make() -> Office:
        if request.param == "postgresql":
            database = request.getfixturevalue("new_schema")()
        else:
            database = tmp_path / f"office-{len(made)}.sqlite"
        made.append(Office(database))
        return made[-1]

    yield make
    for office in made:
        office.store.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """300 rows of chain 0 on SQLite, with heads signed after 100, 200 and 290 of them."""
    made = Office(tmp_path / "office.sqlite")
    for count in (100, 100, 90):
        made.write(count)
        made.sign()
    made.write(10)
    yield made
    made.store.close()
