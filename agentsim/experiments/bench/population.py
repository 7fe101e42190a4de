"""The agents that a benchmark asks for: registered and confirmed through the library, before anything is served."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError
from tqdm.auto import tqdm

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.requests import OWNER, RESOURCES, TOOLS, AgentCredentials
from agentsim.server import Admin, Confirm, OAuthError, Register, Registration, Server, Store
from agentsim.server.migrations import migrate

_BATCH = 1_000


def prepare(database: str) -> None:
    """Bring a database to the tables that this program serves.

    Raises
    ------
    BenchError
        If it is no URL of a database that can be served, or cannot be reached.
    """
    try:
        migrate(database)
    except (ValueError, DBAPIError) as exc:
        reason = str(getattr(exc, "orig", exc)).strip().partition("\n")[0]
        raise BenchError(f"--db: {reason}") from None


def register_agents(
    database: str, count: int, progress: bool, *, actor_class: str = "agent"
) -> list[AgentCredentials]:
    """Register agents of one owner and confirm them.

    Parameters
    ----------
    database : URL; see :func:`prepare`. It is closed again at the end, so that it can be served.
    count : how many.
    progress : whether to draw a progress bar on standard error.
    actor_class : of all of them.
    """
    server = Server(Store(database))
    agents: list[AgentCredentials] = []
    try:
        with tqdm(total=count, unit="agent", disable=not progress, desc="register", leave=False) as bar:
            for start in range(0, count, _BATCH):
                some = _register(server, range(start, min(start + _BATCH, count)), actor_class)
                agents += some
                bar.update(len(some))
    finally:
        server.close()
    return agents


def _register(server: Server, numbers: range, actor_class: str) -> list[AgentCredentials]:
    by = Admin(OWNER)
    asked = [
        Register(
            by=by,
            agent_name=f"bench-{number}",
            allowed_tools=TOOLS,
            resource_access=RESOURCES,
            actor_class=actor_class,
        )
        for number in numbers
    ]
    registered = [answer for answer in server.execute(asked) if isinstance(answer, Registration)]
    confirmed = server.execute([Confirm(registration_token=agent.registration_token) for agent in registered])
    assert len(registered) == len(numbers)
    assert not any(isinstance(answer, OAuthError) for answer in confirmed)
    return [AgentCredentials(agent.client_id, agent.client_secret or "") for agent in registered]
