"""Places of marks in the order of commits, on PostgreSQL; SQLite numbers its rows itself."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE revocations ADD COLUMN place BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE revocations DROP COLUMN place")
