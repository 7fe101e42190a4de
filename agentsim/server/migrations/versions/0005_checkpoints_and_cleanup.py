"""Signed heads of audit chains, and what tells a clean-up quickly what is over."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_checkpoints",
        sa.Column("chain", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("length", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_id", sa.BigInteger(), nullable=False),
        sa.Column("row_hash", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "length"),
    )
    op.create_index("ix_used_assertions_expiry", "used_assertions", ["expires_at"], unique=False)
    op.create_index("ix_sessions_expiry", "sessions", ["expires_at"], unique=False)
    op.create_index(
        "ix_issued_tokens_end",
        "issued_tokens",
        ["grant_expires_at"],
        unique=False,
        sqlite_where=sa.text("token_id = root_grant_id"),
        postgresql_where=sa.text("token_id = root_grant_id"),
    )


def downgrade() -> None:
    op.drop_index("ix_issued_tokens_end", table_name="issued_tokens")
    op.drop_index("ix_sessions_expiry", table_name="sessions")
    op.drop_index("ix_used_assertions_expiry", table_name="used_assertions")
    op.drop_table("audit_checkpoints")
