"""From a tenant's database to the parts of a Run.

The database is the record; a Run is what it held at the end, without secrets and their hashes. Rows stream through
in the order of their keys, a part at a time, so memory stays flat and the files' bytes depend on the rows alone.
"""

from collections.abc import Iterator

import pyarrow as pa
from sqlalchemy import Table, select

from agentsim.run import PartWriter, TenantEntry
from agentsim.server.schema import Agent, AuditRow, IssuedToken, RevocationMark
from agentsim.server.store import Store, table
from agentsim.tables import SCHEMAS, make_table

#: Rows of one file; above DuckDB's row group, and about 60 MB of audit rows in memory.
ROWS_PER_PART = 200_000

#: SQLite has no truth values but 0 and 1.
_FLAGS = frozenset({"is_active", "is_revoked"})
_SOURCES: dict[str, Table] = {
    "agents": table(Agent),
    "tokens": table(IssuedToken),
    "revocations": table(RevocationMark),
    "audit": table(AuditRow),
}


def export_tenant(
    store: Store, writer: PartWriter, tenant: int, end: int, extra: dict[str, int]
) -> TenantEntry:
    """Write what a tenant's server holds; returns the tenant's entry for the manifest.

    Parameters
    ----------
    end : last simulated microsecond.
    extra : further counts for the manifest.
    """
    counts = {name: _export(store, writer, name, tenant) for name in _SOURCES}
    head = store.head(tenant)
    return TenantEntry(audit_head=head.row_hash.hex(), audit_rows=head.length, end=end, counts=counts | extra)


def _export(store: Store, writer: PartWriter, name: str, tenant: int) -> int:
    total = 0
    for part in _parts(store, name, tenant):
        writer.write(name, tenant, part)
        total += part.num_rows
    return total


def _parts(store: Store, name: str, tenant: int) -> Iterator[pa.Table]:
    source = _SOURCES[name]
    columns = [field.name for field in SCHEMAS[name] if field.name != "tenant"]
    query = select(*(source.c[column] for column in columns)).order_by(*source.primary_key.columns)
    with store.transaction() as connection:
        # The driver's own rows: SQLAlchemy's would take as long again, and are taken apart at once.
        cursor = connection.exec_driver_sql(str(query.compile(connection))).cursor
        while rows := cursor.fetchmany(ROWS_PER_PART):
            values = dict(zip(columns, zip(*rows, strict=True), strict=True))
            values |= {name: tuple(map(bool, values[name])) for name in _FLAGS & values.keys()}
            yield make_table(name, len(rows), {"tenant": [tenant] * len(rows), **values})
