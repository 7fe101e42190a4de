"""The statements that the store needs: made once, since making one costs as much as a small batch's rows."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Table, bindparam, func, select, text, update

from agentsim.server.batch import MOST_HISTORY
from agentsim.server.databases import Database
from agentsim.server.schema import (
    Agent,
    AuditChain,
    AuditCheckpoint,
    AuditRow,
    AuthorizationCode,
    Base,
    BudgetRow,
    EndedTasks,
    GrantStateRow,
    IssuedToken,
    RevocationMark,
    UsedAssertion,
)


def table(model: type[Base]) -> Table:
    """A model's table, for SQLAlchemy Core."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


AGENTS, TOKENS, AUDIT = table(Agent), table(IssuedToken), table(AuditRow)
MARKS, STATES, CHAINS = table(RevocationMark), table(GrantStateRow), table(AuditChain)
ASSERTIONS, BUDGETS = table(UsedAssertion), table(BudgetRow)
CODES = table(AuthorizationCode)
CHECKPOINTS = table(AuditCheckpoint)
ENDED_TASKS = table(EndedTasks)

NEWEST_TOKEN, NEWEST_CODE = select(func.max(TOKENS.c.token_id)), select(func.max(CODES.c.code_id))
LAST_EXPIRY = select(func.max(TOKENS.c.expires_at))
NEWEST_TASKS = (
    select(TOKENS.c.grant_id, TOKENS.c.task_id)
    .where(TOKENS.c.client_id == bindparam("client"), TOKENS.c.token_id == TOKENS.c.grant_id)
    .where(TOKENS.c.owner == bindparam("owner"))
    .order_by(TOKENS.c.token_id.desc())
    .limit(MOST_HISTORY + 1)
)
NEWEST_LOGS = (
    select(AUDIT)
    .where(AUDIT.c.grant_id == bindparam("grant"))
    .order_by(AUDIT.c.log_id.desc())
    .limit(MOST_HISTORY)
)
CONFIRM = (
    update(AGENTS)
    .where(AGENTS.c.client_id == bindparam("id"), AGENTS.c.registration_token.is_not(None))
    .values(is_active=True, registration_token=None, updated_at=bindparam("at"))
)
CHANGE_AGENT = (
    update(AGENTS)
    .where(AGENTS.c.client_id == bindparam("id"))
    .values(
        {column.name: bindparam(f"new_{column.name}") for column in AGENTS.columns if not column.primary_key}
    )
)
CONSUME = (
    update(TOKENS)
    .where(TOKENS.c.token_id == bindparam("id"), TOKENS.c.refresh_consumed_at.is_(None))
    .values(refresh_consumed_at=bindparam("at"))
)
REDEEM = (
    update(CODES)
    .where(CODES.c.code_id == bindparam("id"), CODES.c.consumed_at.is_(None))
    .values(consumed_at=bindparam("at"), grant_id=bindparam("grant"))
)
#: On the condition that it fits, whoever else spends: a carved-out budget is never exceeded. The pool may be.
SPEND = (
    update(BUDGETS)
    .where(
        BUDGETS.c.grant_id == bindparam("id"),
        BUDGETS.c.used + bindparam("spent") <= BUDGETS.c.given,
        BUDGETS.c.returned_at.is_(None),
    )
    .values(
        used=BUDGETS.c.used + bindparam("spent"),
        pooled=BUDGETS.c.pooled + bindparam("pooling"),
        ends_at=bindparam("end"),
    )
)


class Statements:
    """The statements that depend on the kind of database."""

    def __init__(self, database: type[Database]) -> None:
        place = database.place
        self.marks_after = (
            select(MARKS, place.label("place")).where(place > bindparam("after")).order_by(place)
        )
        self.last_place = select(func.max(place)).select_from(MARKS)
        self.next_pending = (
            # A literal: with a bound value no database can know that the partial index serves.
            select(MARKS, place.label("place"))
            .where(text("closure = 'pending'"))
            .order_by(MARKS.c.revocation_id)
            .limit(1)
        )
        self.by_key: dict[Table, Select[Any]] = {
            source: select(source).where(database.among(key))
            for source, key in (
                (AGENTS, AGENTS.c.client_id),
                (TOKENS, TOKENS.c.token_id),
                (STATES, STATES.c.grant_id),
                (ASSERTIONS, ASSERTIONS.c.assertion_key),
                (BUDGETS, BUDGETS.c.grant_id),
                (CODES, CODES.c.code_id),
            )
        }
        self.put_checkpoint = database.insert_new(CHECKPOINTS)
        self.put_tasks = database.upsert(ENDED_TASKS, "revocation_id")
        self.end_tokens = (
            update(TOKENS)
            .where(database.among(TOKENS.c.token_id))
            .values(
                is_revoked=True,
                revoked_at=bindparam("at"),
                revocation_reason=bindparam("why"),
                revocation_id=bindparam("mark"),
            )
        )
        # Counts are changed by reading, adding and writing: no other writer may come between. In the order of keys,
        # so that two batches never wait for each other. SQLite has no such locks and needs none.
        states = self.by_key[STATES]
        self.by_key[STATES] = states.order_by(STATES.c.grant_id).with_for_update()
        put_head = database.upsert(CHAINS, "chain", where=CHAINS.c.length == bindparam("before"))
        # Of an INSERT the count is not kept unless asked for.
        self.put_head = put_head.execution_options(preserve_rowcount=True)


@lru_cache
def statements_of(database: type[Database]) -> Statements:
    """The statements of a kind of database: the same for every database of that kind."""
    return Statements(database)
