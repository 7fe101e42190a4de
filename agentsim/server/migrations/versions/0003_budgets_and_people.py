"""Budgets, people, and places in status lists."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "authorization_codes",
        sa.Column("code_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("consumed_at", sa.BigInteger(), nullable=True),
        sa.Column("grant_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code_id"),
    )
    op.create_table(
        "budgets",
        sa.Column("grant_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("parent_grant_id", sa.BigInteger(), nullable=True),
        sa.Column("root_grant_id", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("pooled", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("returned_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("grant_id"),
    )
    op.create_index(
        "ix_budgets_open",
        "budgets",
        ["ends_at"],
        unique=False,
        sqlite_where=sa.text("returned_at IS NULL"),
        postgresql_where=sa.text("returned_at IS NULL"),
    )
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_hash"),
    )
    op.create_index("ix_sessions_account", "sessions", ["account"], unique=False)
    op.add_column("issued_tokens", sa.Column("budget", sa.BigInteger(), nullable=True))
    op.add_column("issued_tokens", sa.Column("status_index", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_issued_tokens_status",
        "issued_tokens",
        ["status_index"],
        unique=False,
        sqlite_where=sa.text("is_revoked AND status_index IS NOT NULL"),
        postgresql_where=sa.text("is_revoked AND status_index IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_issued_tokens_status",
        table_name="issued_tokens",
        sqlite_where=sa.text("is_revoked AND status_index IS NOT NULL"),
        postgresql_where=sa.text("is_revoked AND status_index IS NOT NULL"),
    )
    op.drop_column("issued_tokens", "status_index")
    op.drop_column("issued_tokens", "budget")
    op.drop_index("ix_sessions_account", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(
        "ix_budgets_open",
        table_name="budgets",
        sqlite_where=sa.text("returned_at IS NULL"),
        postgresql_where=sa.text("returned_at IS NULL"),
    )
    op.drop_table("budgets")
    op.drop_table("authorization_codes")
    op.drop_table("accounts")
