"""What judging each use costs: the same verifications by two equal servers in turn, one of which has a model at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import TypeVar

import numpy as np
from tqdm.auto import tqdm

from agentsim.experiments.bench.errors import BenchError
from agentsim.risk import Behaviour, read_behaviour
from agentsim.risk.online import Learned, learn
from agentsim.run import Run
from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    OAuthError,
    Operation,
    Policy,
    Register,
    Registration,
    Server,
    Store,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.simulation import Scenario, simulate

SIZES = (1, 64, 1_000)
#: Microseconds that judging may add to a verification, by size of batch.
MOST_US = {1: 100.0, 64: 60.0, 1_000: 50.0}
#: Longer than any measurement.
_TTL = 6 * 3_600_000_000
_BATCH = 500
_LEAST_BATCHES = 5
#: No honest grant scores so high: all are judged, none is held.
_NEVER = 1e9


@dataclass(frozen=True, kw_only=True)
class ScoringFigures:
    """Verifications in batches of one size.

    Attributes
    ----------
    without_us, with_us : microseconds a verification; medians over batches.
    added_us : what judging adds; the median over batches, each compared with the one beside it.
    added_quartiles : between which half of them lie.
    """

    batch_size: int
    batches: int
    without_us: float
    with_us: float
    added_us: float
    added_quartiles: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ScoringResult:
    """All that was measured, in order of size."""

    agents: int
    role: str
    figures: list[ScoringFigures]


def bench_scoring(
    scenario: Scenario,
    *,
    sizes: Sequence[int] = SIZES,
    seconds: float = 10.0,
    agents: int = 2_000,
    progress: bool = False,
) -> ScoringResult:
    """Measure verifications with and without a model at work, on SQLite files as when serving, without HTTP.

    Parameters
    ----------
    scenario : what the model learns from, without its attackers, at ``agents`` agents.
    sizes : of the batches, each of which is one transaction.
    seconds : how long each size is measured, both servers together; five batches of each at least.
    agents : grants that are verified in turn, each with its role's tools one after the other.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If a verification is refused.
    """
    with TemporaryDirectory(prefix="agentsim-bench-") as name:
        folder = Path(name)
        reference = scenario.without_attacks().with_agents(agents)
        learned = learn(simulate(reference, folder / "reference", jobs=1, progress=progress))
        behaviour = read_behaviour(Run(folder / "reference"))
        role = str(behaviour.grants["role"].mode()[0])
        calls = _usual_calls(behaviour, role)
        with (
            closing(_server(folder / "plain.db", None)) as plain,
            closing(_server(folder / "judged.db", learned)) as judged,
        ):
            callers = [_Caller(server, role, calls, agents) for server in (plain, judged)]
            figures = [
                _measure(callers[0], callers[1], size, seconds)
                for size in tqdm(sorted(set(sizes)), disable=not progress, desc="measure", leave=False)
            ]
    return ScoringResult(agents=agents, role=role, figures=figures)


def _server(path: Path, learned: Learned | None) -> Server:
    store = Store(f"sqlite:///{path}")
    matcher = None if learned is None else learned.watch(_NEVER, "step_up").for_tenant(0)[0]
    policy = Policy(access_ttl_us=_TTL, grant_ttl_us=2 * _TTL)
    return Server(store, policy=policy, writer=store.claim_writer(), matcher=matcher)


def _usual_calls(behaviour: Behaviour, role: str) -> list[tuple[str, str]]:
    """Tools with their resources, as often and in the order in which agents of a role use them."""
    mine = (behaviour.grants["role"] == role).to_numpy()
    uses = behaviour.uses[mine[behaviour.uses["grant"].to_numpy()]].sort_values("grant", kind="stable")
    return list(zip(uses["tool"].astype(str), uses["resource"].astype(str), strict=True))


class _Caller:
    """Grants of one server's own, verified in turn, each for what its role calls next."""

    def __init__(self, server: Server, role: str, calls: Sequence[tuple[str, str]], agents: int) -> None:
        self._server = server
        self._calls = calls
        self._turn = 0
        tools = tuple(sorted({tool for tool, _ in calls}))
        resources = tuple(sorted({each for _, where in calls for each in where.split()}))
        self._tokens = list(_tokens(server, role, tools, resources, agents))

    def verify(self, size: int) -> float:
        """Microseconds for each of so many verifications in one batch."""
        asked = list(islice(self._asked(), size))
        began = perf_counter_ns()
        answers = self._server.execute(asked)
        took = perf_counter_ns() - began
        if not all(isinstance(answer, Verification) and answer.is_valid for answer in answers):
            raise BenchError("not every use was allowed")
        return took / 1000 / size

    def _asked(self) -> Iterator[Verify]:
        while True:
            self._turn += 1
            place = self._turn % len(self._tokens)
            # Each grant goes its own way through what its role does.
            tool, where = self._calls[(7 * place + self._turn // len(self._tokens)) % len(self._calls)]
            yield Verify(
                token=self._tokens[place],
                required_tools=(tool,),
                required_resources=tuple(where.split()),
                caller=f"host-{place}",
                source_ip=f"10.0.{place >> 8 & 255}.{place & 255}",
                include_history=False,
            )


def _tokens(
    server: Server, role: str, tools: Sequence[str], resources: Sequence[str], agents: int
) -> Iterator[str]:
    for start in range(0, agents, _BATCH):
        part = range(start, min(start + _BATCH, agents))
        made = _done(server, [_registration(number, role, tools, resources) for number in part], Registration)
        _done(server, [Confirm(registration_token=each.registration_token) for each in made], object)
        asked = [
            Issue(
                by=Client(each.client_id, each.client_secret or ""),
                task_id=f"task-{number}",
                required_tools=tools,
                required_resources=resources,
            )
            for number, each in zip(part, made, strict=True)
        ]
        yield from (grant.access_token for grant in _done(server, asked, TokenGrant))


def _registration(number: int, role: str, tools: Sequence[str], resources: Sequence[str]) -> Register:
    return Register(
        by=Admin("bench"),
        agent_name=f"agent-{number}",
        role=role,
        allowed_tools=tools,
        resource_access=resources,
    )


_Answer = TypeVar("_Answer")


def _done(server: Server, operations: Sequence[Operation], kind: type[_Answer]) -> list[_Answer]:
    answers: list[object] = [*server.execute(operations)]
    granted = [
        answer for answer in answers if isinstance(answer, kind) and not isinstance(answer, OAuthError)
    ]
    if len(granted) < len(operations):
        raise BenchError(f"not every {type(operations[0]).__name__} was granted")
    return granted


def _measure(plain: _Caller, judged: _Caller, size: int, seconds: float) -> ScoringFigures:
    """Batches in turn, the first of each not counted."""
    pairs: list[tuple[float, float]] = []
    spent = 0.0
    while len(pairs) <= _LEAST_BATCHES or spent < seconds * 1e6:
        # Whoever is second finds warmer caches: they take turns.
        first, second = (plain, judged) if len(pairs) % 2 else (judged, plain)
        times = {first: first.verify(size), second: second.verify(size)}
        pairs.append((times[plain], times[judged]))
        spent += size * sum(pairs[-1])
    without, judging = np.array(pairs[1:]).T
    low, added, high = np.percentile(judging - without, [25, 50, 75]).tolist()
    return ScoringFigures(
        batch_size=size,
        batches=len(without),
        without_us=float(np.median(without)),
        with_us=float(np.median(judging)),
        added_us=added,
        added_quartiles=(low, high),
    )
