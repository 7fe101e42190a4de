"""From a tenant's database to the parts of a Run.

The database is the record; a Run is what it held at the end, without secrets and their hashes. Rows stream through
in the order of their keys, a part at a time, so memory stays flat and the files' bytes depend on the rows alone.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Select, Table, select

from agentsim.run import PartWriter, TenantEntry
from agentsim.server import Server
from agentsim.server.checkpoints import of_head, sign
from agentsim.server.schema import Agent, AuditRow, IssuedToken, RevocationMark
from agentsim.server.store import table
from agentsim.tables import SCHEMAS, make_table

#: Rows of one file; above DuckDB's row group, and about 60 MB of audit rows in memory.
ROWS_PER_PART = 200_000

#: SQLite has no truth values but 0 and 1.
_FLAGS = frozenset({"is_active", "is_revoked"})
#: What is written at the end.
_SOURCES: dict[str, Table] = {
    "agents": table(Agent),
    "tokens": table(IssuedToken),
    "revocations": table(RevocationMark),
}
_AUDIT = table(AuditRow)


class TenantExport:
    """Writes what a tenant's server holds: the audit trail while it grows, what may still change at the end.

    Parameters
    ----------
    server : whose key signs where the audit chain ends.
    tenant : its number, which is its audit chain's, too.
    """

    def __init__(self, server: Server, writer: PartWriter, tenant: int) -> None:
        self._server = server
        self._store = server.store
        self._writer = writer
        self._tenant = tenant
        #: Audit rows written so far, and the last of them.
        self._written = self._last = 0

    def stream(self) -> None:
        """Write as many whole parts of the audit trail as there are."""
        while self._store.head(self._tenant).length - self._written >= ROWS_PER_PART:
            self._write_trail()

    def finish(self, end: int, extra: dict[str, int]) -> TenantEntry:
        """Write the rest; returns the tenant's entry for the manifest.

        Parameters
        ----------
        end : last simulated microsecond.
        extra : further counts for the manifest.
        """
        head = self._store.head(self._tenant)
        while self._written < head.length:
            self._write_trail()
        counts = {name: self._write_table(name) for name in _SOURCES}
        key = self._server.keyring.keys.signing
        return TenantEntry(
            audit_head=head.row_hash.hex(),
            audit_rows=head.length,
            audit_checkpoint=sign(of_head(head, self._server.policy.issuer, end), key),
            audit_key=key.public_jwk(),
            end=end,
            counts=counts | {"audit": self._written} | extra,
        )

    def _write_trail(self) -> None:
        query = _select("audit", _AUDIT).where(_AUDIT.c.log_id > self._last).limit(ROWS_PER_PART)
        with self._store.transaction() as connection:
            (part,) = _parts(connection, "audit", query, self._tenant)
        self._writer.write("audit", self._tenant, part)
        self._written += part.num_rows
        self._last = part["log_id"][-1].as_py()

    def _write_table(self, name: str) -> int:
        total = 0
        with self._store.transaction() as connection:
            for part in _parts(connection, name, _select(name, _SOURCES[name]), self._tenant):
                self._writer.write(name, self._tenant, part)
                total += part.num_rows
        return total


def _select(name: str, source: Table) -> Select[Any]:
    """The columns that a Run keeps, in the order of keys."""
    columns = [source.c[field.name] for field in SCHEMAS[name] if field.name != "tenant"]
    return select(*columns).order_by(*source.primary_key.columns)


def _parts(connection: Connection, name: str, query: Select[Any], tenant: int) -> Iterator[pa.Table]:
    # The driver's own rows: SQLAlchemy's would take as long again, and are taken apart at once.
    text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    cursor = connection.exec_driver_sql(text).cursor
    columns = [field.name for field in SCHEMAS[name] if field.name != "tenant"]
    while rows := cursor.fetchmany(ROWS_PER_PART):
        values = dict(zip(columns, zip(*rows, strict=True), strict=True))
        values |= {flag: tuple(map(bool, values[flag])) for flag in _FLAGS & values.keys()}
        yield make_table(name, len(rows), {"tenant": [tenant] * len(rows), **values})
