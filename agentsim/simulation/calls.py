"""The tool calls of honest agents: which tool on which resource, how long it takes and how it goes.

Agents of one tenant walk their roles' Markov chains together, one step of all at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agentsim.simulation.catalogue import Catalogue
from agentsim.simulation.population import Population
from agentsim.simulation.streams import STREAM, generator

Longs = npt.NDArray[np.int64]
Small = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
#: Mean characters of arguments and results where a role does not say, times a small number that differs by tool.
_MEAN_ARGUMENT, _MEAN_RESULT = 120, 1_500
_HIGHEST = 2**31 - 1
#: Stands for none at all: a gamma distribution needs a shape.
_LEAST_DISPERSION = 1e-9


@dataclass(frozen=True, slots=True)
class Calls:
    """All tool calls of one tenant, those of agent 0 first, each agent's in order.

    Agent ``a`` makes calls ``first[a]`` to ``first[a + 1] - 1``. All other arrays have one entry per call.
    """

    first: Longs
    agent: npt.NDArray[np.int32]
    #: Codes of tool and resource in the population's catalogue.
    tool: Small
    resource: Small
    #: Microseconds from the agent's grant to the call, and from the call to its result.
    offset: Longs
    duration: npt.NDArray[np.int32]
    error: npt.NDArray[np.bool_]
    #: 48 bits that stand for the arguments: a repeated call has those of the call that it repeats.
    arguments: Longs
    n_args: Small
    arg_chars: npt.NDArray[np.int32]
    result_chars: npt.NDArray[np.int32]
    #: Whether the receiver introspects the token, too.
    introspected: npt.NDArray[np.bool_]
    #: Whether the receiver reports how the call went.
    reported: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.agent)

    def args_digest(self, call: int) -> str:
        """Twelve hexadecimal digits that tell the call's arguments from others."""
        return f"{self.arguments[call]:012x}"


def make_calls(seed: int, population: Population, kind: npt.NDArray[np.int16]) -> Calls:
    """Draw every call of a tenant; ``kind`` is each agent's kind of task, shape ``(agents,)``."""
    catalogue, role = population.catalogue, population.role
    behaviour = generator(seed, STREAM.BEHAVIOUR, population.tenant)
    count = _how_many(catalogue, role, behaviour)
    first = np.concatenate([[0], np.cumsum(count)])
    tool, resource, error, repeats = _walk(catalogue, role, kind, count, first, behaviour)
    agent = np.repeat(np.arange(len(role), dtype=np.int32), count)
    timing = generator(seed, STREAM.TIMING, population.tenant)
    role, codes = role[agent], np.arange(len(catalogue.tools))
    duration = _spread(timing, catalogue.setting("call")[role], catalogue.setting("call_spread")[role])
    arguments, arg_chars, result_chars = _sizes(catalogue, role, behaviour, tool, error, repeats)
    return Calls(
        first=first,
        agent=agent,
        tool=tool,
        resource=resource,
        offset=_offsets(
            timing, first, duration, catalogue.setting("gap")[role], catalogue.setting("gap_spread")[role]
        ),
        duration=duration,
        error=error,
        arguments=arguments,
        n_args=_per_tool(catalogue, "arguments", 1 + codes % 5)[role, tool].astype(np.uint8),
        arg_chars=arg_chars,
        result_chars=result_chars,
        introspected=_share(behaviour, catalogue.setting("introspected")[role]),
        reported=_share(behaviour, catalogue.setting("reports")[role]),
    )


def _share(rng: np.random.Generator, share: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which of the calls, each with its own probability."""
    chosen: npt.NDArray[np.bool_] = rng.random(len(share), np.float32) < share
    return chosen


def _how_many(catalogue: Catalogue, role: npt.NDArray[np.int16], rng: np.random.Generator) -> Longs:
    """Calls per agent: one, and a number that varies more than a Poisson one does, as tasks differ in size."""
    further = (catalogue.setting("steps") - 1)[role]
    shape = 1 / np.maximum(catalogue.setting("dispersion"), _LEAST_DISPERSION)[role]
    return 1 + rng.poisson(further * rng.standard_gamma(shape) / shape)


def _walk(
    catalogue: Catalogue,
    role: npt.NDArray[np.int16],
    kind: npt.NDArray[np.int16],
    count: Longs,
    first: Longs,
    rng: np.random.Generator,
) -> tuple[Small, Small, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Walk all chains at once; tool, resource, error, and whether a call repeats the one before it."""
    total = int(first[-1])
    tools, resources = np.zeros(total, np.uint8), np.zeros(total, np.uint8)
    errors, repeated = np.zeros(total, bool), np.zeros(total, bool)
    failing, retrying, slipping = (catalogue.setting(name) for name in ("errors", "retries", "slips"))
    # The agents that still have calls to make are always the first ones of this order.
    order = np.argsort(-count, kind="stable")
    going = np.searchsorted(-count[order], -np.arange(count.max()), side="left")
    state = failed = np.zeros(0, np.int64)
    resource = state
    for step, alive in enumerate(going):
        agents = order[:alive]
        roles, rows = role[agents], kind[agents].astype(np.int64)
        draws = rng.random((5, alive))
        again = np.zeros(alive, bool)
        if step == 0:
            tool = catalogue.first_tool.draw(rows, draws[0])
        else:
            again = failed[:alive].astype(bool) & (draws[1] < retrying[roles])
            tool = catalogue.next_tool.draw(rows * len(catalogue.tools) + state[:alive], draws[0])
            tool = np.where(again, state[:alive], tool)
        chosen = catalogue.resource.draw(rows * len(catalogue.tools) + tool, draws[2])
        resource = np.where(again, resource[:alive], chosen) if step else chosen
        failed = draws[3] < failing[roles]
        state = tool
        calls = first[agents] + step
        tools[calls], resources[calls], errors[calls], repeated[calls] = tool, resource, failed, again
        slips = np.flatnonzero(draws[4] < slipping[roles])
        tools[calls[slips]] = catalogue.any_tool.draw(roles[slips], rng.random(len(slips)))
        resources[calls[slips]] = catalogue.any_resource.draw(roles[slips], rng.random(len(slips)))
    return tools, resources, errors, repeated


def _spread(rng: np.random.Generator, mean: Floats, spread: Floats) -> npt.NDArray[np.int32]:
    """Log-normal draws with the given means, as 32-bit integers; positive where the mean is."""
    drawn = rng.standard_normal(len(mean), np.float32).astype(np.float64)
    # The mean of a log-normal is exp(mu + spread^2 / 2).
    drawn = np.exp(drawn * spread - spread**2 / 2) * mean
    return np.clip(np.rint(drawn), mean > 0, _HIGHEST).astype(np.int32)


def _offsets(
    rng: np.random.Generator, first: Longs, duration: npt.NDArray[np.int32], gap: Floats, spread: Floats
) -> Longs:
    """When calls are made after the grant: each a think time behind the result of the one before."""
    think = _spread(rng, gap, spread).astype(np.int64)
    # Running sums over all agents, less what had been reached before the agent's own first call.
    reached = np.cumsum(think + duration)
    before = np.concatenate([[0], reached])[first[:-1]]
    return np.asarray(reached - duration - np.repeat(before, np.diff(first)), np.int64)


def _sizes(
    catalogue: Catalogue,
    role: npt.NDArray[np.int16],
    rng: np.random.Generator,
    tool: Small,
    error: npt.NDArray[np.bool_],
    repeats: npt.NDArray[np.bool_],
) -> tuple[Longs, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Arguments and sizes; a repeated call has the arguments of the one before, a failed one a short result.

    ``role`` has one entry per call, as all others.
    """
    total = len(tool)
    arguments = rng.integers(1 << 48, size=total)
    codes, spread = np.arange(len(catalogue.tools)), catalogue.setting("size_spread")
    takes = _per_tool(catalogue, "argument_chars", _MEAN_ARGUMENT * (1 + codes % 3))[role, tool]
    gives = _per_tool(catalogue, "result_chars", _MEAN_RESULT * (1 + codes % 4))[role, tool]
    characters = _spread(rng, takes, _per_tool(catalogue, "argument_spread", spread[:, None])[role, tool])
    result = _spread(
        rng,
        np.where(error, catalogue.setting("failure_chars")[role], gives),
        np.where(error, spread[role], _per_tool(catalogue, "result_spread", spread[:, None])[role, tool]),
    )
    origin = np.maximum.accumulate(np.where(repeats, 0, np.arange(total)))
    return arguments[origin], characters[origin], result


def _per_tool(catalogue: Catalogue, name: str, otherwise: npt.NDArray[Any]) -> Floats:
    """One field of every role's sizes, shape ``(roles, tools)``; ``otherwise`` is broadcast to what is left out."""
    found: Floats = np.zeros((len(catalogue.roles), len(catalogue.tools))) + otherwise
    for number, role in enumerate(catalogue.settings):
        for tool, size in role.sizes.items():
            said = getattr(size, name)
            if said is not None:
                found[number, catalogue.tools.index(tool)] = said
    return found
