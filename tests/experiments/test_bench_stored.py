"""After a benchmark: what was answered is looked for in the database."""

import pytest
from sqlalchemy import delete, update

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.bench.stored import look_up, newest_rows
from agentsim.server import Client, Issue, Server, Store
from agentsim.server.schema import AuditRow, IssuedToken


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'bench.db'}"


def issue(url: str, agents: list) -> list[str]:
    server = Server(Store(url))
    asked = [Issue(by=Client(*agent), task_id="t", scope="file_read:github") for agent in agents]
    tokens = [answer.access_token for answer in server.execute(asked)]
    server.close()
    return tokens


def change(url: str, statement) -> None:
    store = Store(url)
    with store.transaction() as connection:
        connection.execute(statement)
    store.close()


def test_registered_agents_get_tokens_and_all_of_them_are_found(url):
    agents = register_agents(url, 5, progress=False)
    assert len({agent.client_id for agent in agents}) == 5
    issue(url, agents)
    before = newest_rows(url)
    tokens = issue(url, agents)
    stored = look_up(url, before, 5, tokens)
    assert (stored.tokens, stored.audit_rows, stored.found) == (5, 5, 5)
    assert stored.complete


@pytest.mark.parametrize(
    "damage",
    [
        delete(IssuedToken).where(IssuedToken.task_id == "t"),
        delete(AuditRow).where(AuditRow.event_type == "token_issued"),
        update(AuditRow).values(status="refused"),
        update(IssuedToken).values(access_token_hash=b"another"),
    ],
    ids=["no token", "no audit row", "refused", "another token"],
)
def test_what_is_missing_is_told(url, damage):
    agents = register_agents(url, 2, progress=False)
    before = newest_rows(url)
    tokens = issue(url, agents)
    change(url, damage)
    assert not look_up(url, before, 2, tokens).complete


def test_more_rows_than_were_answered_are_no_fault(url):
    agents = register_agents(url, 3, progress=False)
    before = newest_rows(url)
    tokens = issue(url, agents)
    assert look_up(url, before, 2, tokens[:1]).complete
    assert not look_up(url, before, 4, tokens[:1]).complete


def test_agents_are_added_to_those_that_are_there(url):
    first = register_agents(url, 1_001, progress=False)
    second = register_agents(url, 2, progress=False)
    assert len({agent.client_id for agent in [*first, *second]}) == 1_003


@pytest.mark.parametrize("url", ["nonsense", "oracle://host/name", "sqlite:////nowhere/x.db"])
def test_a_database_that_cannot_be_served_is_a_message(url):
    with pytest.raises(BenchError, match="--db"):
        prepare(url)
