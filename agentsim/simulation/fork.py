"""A finished Run played again up to a moment, and from there on under other rules.

Intents, secrets and ids come from the seed, so the beginning is the same to the byte; the audit chain proves it. What
follows is played by the same intents: the two Runs differ in what was changed, and in what that led to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentsim.fragments import one_line
from agentsim.run import ForkEntry, Run
from agentsim.settings.dotted import find, lay
from agentsim.settings.durations import format_duration
from agentsim.settings.faults import Fault, SettingsError
from agentsim.simulation.scenario import Scenario, parse_scenario
from agentsim.simulation.simulate import simulate
from agentsim.simulation.turn import ForkError, Turn

#: What stays as it was, and why.
_PAST = {
    "seed": "the beginning was drawn from it",
    "start": "the beginning was played then",
    "tenants": "the agents of each are drawn before anything is played",
    "population": "agents are drawn before anything is played",
    "roles": "what agents intend is drawn before anything is played",
    "workload": "arrivals are drawn before anything is played",
    "people": "what people intend is drawn before anything is played",
    "window": "the beginning was played in windows of this length",
    "resource_servers": "what they knew at the moment depends on how they had asked until then",
    "policy.levels": "agents were registered with these levels",
    "policy.budgets.model": "budgets were taken out by this model",
    "policy.audience": "tokens were issued for it",
    "policy.resources": "resource servers are known from the beginning",
}


def fork(
    origin: Path,
    out: Path | None = None,
    *,
    at: int,
    changes: Mapping[str, Any],
    batch_size: int = 1000,
    jobs: int = 1,
    progress: bool = False,
) -> Run:
    """Play a Run again and let it go on differently.

    Parameters
    ----------
    origin : the directory of a finished simulated Run.
    out : directory of the new Run; beside the other, named after the changes, when None.
    at : microseconds of simulated time since the beginning. The turn is at the first end of a window from there on.
    changes : by key of the scenario: rules of the server (``policy.…``), and attacks behind those that there are,
        which begin after the turn.
    batch_size, jobs, progress : as for :func:`agentsim.simulation.simulate`.

    Returns
    -------
    The new Run; as with a simulation, ``manifest.failed`` says which tenants failed.

    Raises
    ------
    ForkError
        If the Run cannot be forked, or its beginning is played otherwise now.
    SettingsError
        If a change would change the beginning, or does not fit the scenario: all of them.
    RunError
        If there is no Run, or the directory cannot be used.
    """
    run = Run(origin)
    scenario = _scenario(run)
    turn = _turn(run, scenario, at, changes)
    place = out or _beside(run.path, turn.entry)
    if place.resolve() == run.path.resolve():
        raise ForkError(f"{place}: the fork would replace the Run that it is made from")
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command = ["agentsim", "fork", str(origin), "--at", format_duration(at), *sets, "--out", str(place)]
    forked = simulate(
        scenario, place, batch_size=batch_size, jobs=jobs, command=command, turn=turn, progress=progress
    )
    for failure in forked.manifest.failed.values():
        if failure.type == ForkError.__name__:
            raise ForkError(failure.message)
    return forked


def _scenario(run: Run) -> Scenario:
    """The scenario of a Run that can be forked."""
    manifest = run.manifest
    if manifest.kind != "simulation":
        raise ForkError(f"{run.path}: a {manifest.kind} cannot be forked; simulate a scenario")
    if manifest.status != "complete":
        raise ForkError(
            f"{run.path}: the Run is {manifest.status}; finish it first: {one_line(manifest.reproduce)}"
        )
    if manifest.fork is not None:
        raise ForkError(f"{run.path}: is a fork itself; fork {manifest.fork.run}, with other settings")
    if manifest.thresholds is not None:
        text = "was played under thresholds, which a fork does not know; simulate it without, then fork it"
        raise ForkError(f"{run.path}: {text}")
    scenario = parse_scenario(manifest.source, run.path)
    if find(manifest.source, "workload.clock") == "wall":
        raise ForkError(f"{run.path}: was played in real time, which nothing plays again")
    return scenario


def _turn(run: Run, scenario: Scenario, at: int, changes: Mapping[str, Any]) -> Turn:
    length = run.manifest.end - run.manifest.start
    boundary = -(-at // scenario.span) * scenario.span
    if not 0 < boundary < length:
        raise ForkError(
            f"{run.path}: lasts {format_duration(length)} of simulated time; fork it after its beginning and before "
            f"its end, got {format_duration(at)}"
        )
    past = scenario.resolved()
    data, found = lay(past, changes)
    try:
        future = parse_scenario(data)
    except SettingsError as exc:
        raise SettingsError("fork", [*found, *exc.faults]) from None
    found += _faults(past, future, boundary)
    if future.span < scenario.span:
        spans = format_duration(scenario.span), format_duration(future.span)
        text = "cannot be so tight in the middle: the beginning was played in windows of {}, they need {}"
        found.append(Fault("policy.limits", text.format(*spans)))
    if found:
        raise SettingsError("fork", found)
    entry = ForkEntry(
        run=str(run.path),
        digest=run.manifest.digest(),
        at=boundary,
        settings=dict(changes),
        policy=run.manifest.policy,
    )
    played = parse_scenario({**past, "attacks": future.resolved()["attacks"]})
    return Turn(run.path, played, scenario.start_us + boundary, future.policy.server_policy(), entry)


def _faults(past: Mapping[str, Any], future: Scenario, boundary: int) -> Iterator[Fault]:
    """Changes of what has been already."""
    after = future.resolved()
    for key, reason in _PAST.items():
        if find(after, key) != find(past, key):
            yield Fault(key, f"cannot be changed in the middle: {reason}")
    earlier = len(past["attacks"])
    if after["attacks"][:earlier] != past["attacks"]:
        yield Fault("attacks", f"the first {earlier} cannot be changed in the middle; add others behind them")
    for number, attack in list(enumerate(future.attacks))[earlier:]:
        if attack.start < boundary:
            text = f"must not begin before the turn ({format_duration(boundary)})"
            yield Fault(f"attacks.{number}.start", text)


def _beside(origin: Path, entry: ForkEntry) -> Path:
    told = json.dumps([entry.at, entry.settings], sort_keys=True)
    return origin.with_name(f"{origin.name}-fork-{hashlib.sha256(told.encode()).hexdigest()[:8]}")
