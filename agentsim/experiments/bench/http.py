"""Token grants over HTTP, one a request and a hundred a request, beside the floor in the same run.

All servers run from the beginning to the end, and only one at a time is asked: in each round first the floor, then
the server, then its batch form, so that a machine that grows slower grows slower for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson
from tqdm.auto import tqdm

from agentsim.experiments.bench import floor
from agentsim.experiments.bench.children import Child, running, serve_words
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.figures import Figures, Sample, summarise
from agentsim.experiments.bench.load import drive
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.bench.requests import Requests, batch_requests, single_requests
from agentsim.experiments.bench.stored import Stored, look_up, newest_rows

#: Grants in one request of the batch form.
BATCH = 100
FLOOR = "bare signature"
#: The words that serve it.
SERVE_FLOOR = ("-P", floor.__file__)
_METADATA = "/.well-known/oauth-authorization-server"


class Contender(NamedTuple):
    """What is measured: a server, and what it is asked."""

    server: Child
    requests: Requests


@dataclass(frozen=True, kw_only=True)
class HttpResult:
    """Figures by what was measured, the floor first, and whether what was answered is stored."""

    agents: int
    connections: int
    seconds: float
    rounds: int
    workers: int
    figures: dict[str, Figures]
    stored: Stored


def bench_http(
    *,
    agents: int = 100_000,
    connections: int = 64,
    seconds: float = 10.0,
    rounds: int = 3,
    workers: int = 1,
    database: str | None = None,
    progress: bool = False,
) -> HttpResult:
    """Register agents, serve them, and measure how fast they are granted tokens.

    Parameters
    ----------
    agents : how many are registered, at least 100.
    connections : requests that are under way at any time.
    seconds, rounds : how long, and how often, each is measured.
    workers : processes that serve.
    database : URL; by default an SQLite file in a temporary directory.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If a server does not come up or goes away, or a request is not granted.
    """
    with TemporaryDirectory(prefix="agentsim-bench-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'agentsim.db'}"
        prepare(url)
        credentials = register_agents(url, agents, progress)
        before = newest_rows(url)
        with ExitStack() as stack:
            bare = stack.enter_context(running("the floor", *SERVE_FLOOR))
            # No limits and no lists: what is measured is not what a policy forbids.
            serve = serve_words(Path(folder), url, "--workers", str(workers))
            served = stack.enter_context(running("agentsim serve", *serve))
            one, many = _endpoints(served)
            contenders = {
                FLOOR: Contender(bare, single_requests(credentials, floor.TOKEN_PATH)),
                "one grant a request": Contender(served, single_requests(credentials, one)),
                f"{BATCH} grants a request": Contender(served, batch_requests(credentials, many, BATCH)),
            }
            samples = measure(
                contenders, connections=connections, seconds=seconds, rounds=rounds, progress=progress
            )
        floors = samples[FLOOR]
        ours = [sample for name, some in samples.items() if name != FLOOR for sample in some]
        stored = look_up(url, before, sum(sample.answered for sample in ours), distinct_tokens(ours))
    return HttpResult(
        agents=agents,
        connections=connections,
        seconds=seconds,
        rounds=rounds,
        workers=workers,
        figures={name: summarise(some, floors) for name, some in samples.items()},
        stored=stored,
    )


def measure(
    contenders: Mapping[str, Contender], *, connections: int, seconds: float, rounds: int, progress: bool
) -> dict[str, list[Sample]]:
    """Measure each contender once a round, in turn.

    Raises
    ------
    BenchError
        If a server goes away, or not every request is granted.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    turns = [name for _ in range(rounds) for name in contenders]
    for name in tqdm(turns, unit="turn", disable=not progress, desc="measure", leave=False):
        server, requests = contenders[name]
        sample = drive(server.port, requests, connections=connections, seconds=seconds)
        server.require()
        _require_grants(name, sample)
        samples[name].append(sample)
    return samples


def distinct_tokens(samples: list[Sample]) -> list[str]:
    """The tokens that were kept from answers.

    Raises
    ------
    BenchError
        If one was answered twice: then something was measured that grants nothing.
    """
    tokens = [token for sample in samples for token in sample.tokens()]
    if len(set(tokens)) < len(tokens):
        raise BenchError("the same token was answered twice")
    return tokens


def _require_grants(name: str, sample: Sample) -> None:
    if sample.faults:
        counted = ", ".join(f"{what}: {count:,}" for what, count in sample.faults.items())
        raise BenchError(f"{name}: not every request was granted ({counted}); the first: {sample.evidence}")
    if not sample.grants:
        raise BenchError(f"{name}: nothing was answered in {sample.seconds} seconds; measure longer")


def _endpoints(served: Child) -> tuple[str, str]:
    """Paths of the token endpoint and of its batch form, from the server's metadata (RFC 8414)."""
    try:
        metadata = orjson.loads(served.get(_METADATA) or b"")
        one, many = metadata["token_endpoint"], metadata["token_batch_endpoint"]
    except (ValueError, KeyError, TypeError):
        raise BenchError(f"{served.name} tells no token endpoints at {_METADATA}") from None
    return urlsplit(str(one)).path, urlsplit(str(many)).path
