"""How alembic runs the revisions: on the connection that it is handed, in its transaction."""

from alembic import context

from agentsim.server.migrations import is_ours
from agentsim.server.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    include_object=is_ours,
)
context.run_migrations()
