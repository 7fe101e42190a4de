"""What a fill changes is in no index, and on PostgreSQL a row's second version has room in its page.

Tasks that were ended before are not told by their marks any more; the tokens' own rows still tell them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_tasks",
        sa.Column("revocation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tasks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revocation_id"),
    )
    op.drop_index("ix_issued_tokens_ended", table_name="issued_tokens")
    _index_places("status_index IS NOT NULL")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE issued_tokens SET (fillfactor = 50)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE issued_tokens RESET (fillfactor)")
    _index_places("is_revoked AND status_index IS NOT NULL")
    op.create_index(
        "ix_issued_tokens_ended",
        "issued_tokens",
        ["revocation_id", "token_id"],
        unique=False,
        sqlite_where=sa.text("revocation_id IS NOT NULL"),
        postgresql_where=sa.text("revocation_id IS NOT NULL"),
    )
    op.drop_table("ended_tasks")


def _index_places(condition: str) -> None:
    """Index the tokens' places in status lists anew, where a condition holds."""
    where = sa.text(condition)
    op.drop_index("ix_issued_tokens_status", table_name="issued_tokens")
    op.create_index(
        "ix_issued_tokens_status",
        "issued_tokens",
        ["status_index"],
        unique=False,
        sqlite_where=where,
        postgresql_where=where,
    )
