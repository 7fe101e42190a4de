"""The two models of budgets beside each other: what siblings spend together when many writers spend at once.

The same random trees and the same calls under ``carve-out`` and under ``shared-pool``, offering more than the roots
were given. Several processes, each a writer of its own on one database, verify calls of the same trees at the same
time. What was spent is then read from the audit trail, not from the counters that are being tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter, time_ns
from typing import TypeVar

import numpy as np
import orjson
from sqlalchemy import select
from tqdm.auto import tqdm

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.bench.requests import RESOURCES, SCOPE, TOOLS
from agentsim.server import (
    Client,
    Issue,
    IssueChild,
    KeyRing,
    Policy,
    Server,
    SigningKey,
    Store,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.policy import Budgets
from agentsim.server.schema import AuditRow
from agentsim.server.store import ConflictError, table

MODELS = ("carve-out", "shared-pool")
#: Units that each root is given, and what one call costs.
_BUDGET, _COST = 100, 7
#: Calls of one transaction: few, so that writers meet often.
_TOGETHER = 20
_ROOTS_TOGETHER = 500
_MOST_DEPTH, _MOST_SIBLINGS = 3, 4
#: How much more is asked for than there is.
_PRESSURE = 1.5
_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """What one model did.

    Attributes
    ----------
    granted, refused : calls.
    overspent_roots : trees whose calls cost more than their root was given.
    worst_overspend, total_overspend : in % of what the root, and all roots together, were given.
    stranded : % of what was given that stayed unspent although calls of the same tree were refused.
    calls_per_second : by all writers together.
    """

    granted: int
    refused: int
    overspent_roots: int
    worst_overspend: float
    total_overspend: float
    stranded: float
    calls_per_second: float


@dataclass(frozen=True, kw_only=True)
class BudgetsResult:
    """Figures by model, and how fast carve-out is in proportion to shared-pool."""

    trees: int
    grants: int
    writers: int
    figures: dict[str, ModelFigures]
    ratio: float


def bench_budgets(
    *, database: str, trees: int = 10_000, writers: int = 4, seed: int = 1, progress: bool = False
) -> BudgetsResult:
    """Spend from random trees under both models.

    Parameters
    ----------
    database : URL; with PostgreSQL several writers spend at once, SQLite has one.
    trees : how many, each with up to three levels below its root and up to four siblings.
    seed : of trees and calls.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If the database cannot be used, or has one writer and more are asked for.
    """
    prepare(database)
    if writers > 1 and database.startswith("sqlite"):
        raise BenchError("--writers above 1 needs PostgreSQL: SQLite has one writer")
    agent = Client(*register_agents(database, 1, progress)[0])
    draw = np.random.default_rng(seed)
    shapes = [_shape(draw) for _ in range(trees)]
    figures = {}
    for model in MODELS:
        tokens = _grow(database, _policy(model), agent, shapes)
        calls = _calls(tokens, np.random.default_rng(seed))
        figures[model] = _measure(database, model, calls, writers, trees, progress)
    carved, shared = (figures[model].calls_per_second for model in MODELS)
    return BudgetsResult(
        trees=trees,
        grants=sum(map(len, shapes)),
        writers=writers,
        figures=figures,
        ratio=carved / shared,
    )


def _policy(model: str) -> Policy:
    budgets = Budgets.model_validate({"model": model, "child_share": 0.3})
    hour = 3_600_000_000
    return Policy(budgets=budgets, tool_cost=_COST, access_ttl_us=6 * hour, max_fanout=_MOST_SIBLINGS)


def _shape(draw: np.random.Generator) -> list[int]:
    """A random tree: the parent of each grant, -1 for the root, which comes first."""
    parents, level = [-1], [0]
    for depth in range(draw.integers(1, _MOST_DEPTH, endpoint=True)):
        siblings = draw.integers(0 if depth else 2, _MOST_SIBLINGS, len(level), endpoint=True)
        below = [parent for parent, count in zip(level, siblings, strict=True) for _ in range(count)]
        level = list(range(len(parents), len(parents) + len(below)))
        parents += below
    return parents


def _server(database: str, policy: Policy) -> Server:
    store = Store(database, synchronous="OFF")
    # Every writer signs with the same key: they are one server to whoever asks.
    return Server(
        store,
        policy=policy,
        keyring=KeyRing(SigningKey.from_seed(b"bench budgets")),
        writer=store.claim_writer(),
    )


def _grow(database: str, policy: Policy, agent: Client, shapes: Sequence[list[int]]) -> list[list[str]]:
    """Grant all trees, a generation at a time; the tokens of each tree."""
    trees: list[list[str]] = [[] for _ in shapes]
    with closing(_server(database, policy)) as server:
        for some in _chunks(range(len(shapes)), _ROOTS_TOGETHER):
            for place in range(max(len(shapes[tree]) for tree in some)):
                growing = [tree for tree in some if place < len(shapes[tree])]
                asked = [_request(agent, trees[tree], shapes[tree][place]) for tree in growing]
                for tree, grant in zip(growing, server.execute(asked), strict=True):
                    if not isinstance(grant, TokenGrant):
                        raise BenchError(f"a grant was refused: {grant}")
                    trees[tree].append(grant.access_token)
    return trees


def _request(agent: Client, tokens: list[str], parent: int) -> Issue | IssueChild:
    if parent < 0:
        return Issue(by=agent, scope=SCOPE, budget=_BUDGET)
    return IssueChild(by=agent, parent_token=tokens[parent], scope=SCOPE)


def _calls(trees: Sequence[list[str]], draw: np.random.Generator) -> list[str]:
    """Tokens in the order of their calls: trees one after the other, so that all writers are at the same ones."""
    each = round(_PRESSURE * _BUDGET / _COST)
    return [tokens[place] for tokens in trees for place in draw.integers(len(tokens), size=each)]


def _measure(
    database: str, model: str, calls: list[str], writers: int, trees: int, progress: bool
) -> ModelFigures:
    first = time_ns() // 1_000
    answered = 0
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(writers, context, _begin, (database, model)) as executor,
        tqdm(total=len(calls), unit="call", disable=not progress, desc=model, leave=False) as bar,
    ):
        # Every writer has come up before the clock runs.
        list(executor.map(_verify, [calls[:1]] * writers * 4))
        began = perf_counter()
        for count in executor.map(_verify, _chunks(calls, _TOGETHER)):
            answered += count
            bar.update(count)
        seconds = perf_counter() - began
    spent, refused = _spent(database, first)
    over = [max(0, units - _BUDGET) for units in spent.values()]
    stranded = sum(_BUDGET - spent[tree] for tree in refused if spent[tree] < _BUDGET - _COST + 1)
    return ModelFigures(
        granted=sum(spent.values()) // _COST,
        refused=sum(refused.values()),
        overspent_roots=sum(units > 0 for units in over),
        worst_overspend=max(over, default=0) / _BUDGET * 100,
        total_overspend=sum(over) / (_BUDGET * trees) * 100,
        stranded=stranded / (_BUDGET * trees) * 100,
        calls_per_second=answered / seconds,
    )


def _chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


#: The server of a writer's process.
_writer: list[Server] = []


def _begin(database: str, model: str) -> None:
    _writer.append(_server(database, _policy(model)))


def _verify(tokens: Sequence[str]) -> int:
    asked = [Verify(token=token, required_tools=TOOLS, required_resources=RESOURCES) for token in tokens]
    while True:
        try:
            answers = _writer[0].execute(asked)
        except ConflictError:
            # Others were faster again and again; nothing of this has been counted.
            continue
        return sum(isinstance(answer, Verification) for answer in answers)


def _spent(database: str, since: int) -> tuple[Counter[int], Counter[int]]:
    """Units spent by tree, and calls refused for want of budget, as the audit trail tells them."""
    audit = table(AuditRow)
    query = select(audit.c.root_grant_id, audit.c.reason, audit.c.details).where(
        audit.c.event_type == "token_verified", audit.c.timestamp >= since
    )
    spent: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    with closing(Store(database)) as store, store.reading() as connection:
        for root, reason, details in connection.execute(query):
            spent[root] += orjson.loads(details).get("cost") or 0
            refused[root] += reason == "budget_exhausted"
    return spent, +refused
