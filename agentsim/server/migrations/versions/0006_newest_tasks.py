"""The newest tasks of an agent are found without going through all of its tokens."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _index_clients("client_id", "token_id")


def downgrade() -> None:
    _index_clients("client_id")


def _index_clients(*columns: str) -> None:
    op.drop_index("ix_issued_tokens_client", table_name="issued_tokens")
    op.create_index("ix_issued_tokens_client", "issued_tokens", list(columns), unique=False)
