"""A scenario played into a Run, tenant by tenant, in this process or by a crew of workers."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from tqdm.auto import tqdm

from agentsim.run import Failure, Manifest, Run, RunWriter
from agentsim.server import Watch
from agentsim.simulation.cluster import Cluster
from agentsim.simulation.processes import Processes
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.shards import Advance, Crashed, Crew, deal
from agentsim.simulation.tenantwork import TenantWork
from agentsim.simulation.turn import Turn


def simulate(
    scenario: Scenario,
    out: Path,
    *,
    batch_size: int = 1000,
    jobs: int = 1,
    scheduler: str | None = None,
    fresh: bool = False,
    source: Path | str | None = None,
    policy_file: Path | None = None,
    command: Sequence[str] | None = None,
    turn: Turn | None = None,
    watch: Watch | None = None,
    thresholds_file: Path | None = None,
    progress: bool = False,
) -> Run:
    """Play a scenario into a Run.

    Parameters
    ----------
    out : directory of the Run. Where it holds one of the same scenario by the same code, its finished tenants are kept
        (``manifest.reused``) and the rest is played; any other Run is replaced.
    batch_size : operations in one call of the server at most.
    jobs : processes that tenants are dealt to. Neither it nor ``batch_size`` changes any table but ``windows``.
    scheduler : address of a Dask scheduler whose workers take the tenants instead; they must see ``out`` under this path.
    fresh : keep nothing of a Run that is there.
    source, policy_file : the files that the scenario, and its policy where that is another's, were read from: for
        the command that makes the Run again.
    command : that command, where it is another than ``agentsim simulate``.
    turn : what changes in the middle.
    watch : judges uses while they are verified, follows what is decided, and acts on both; None: nobody does.
    thresholds_file : the thresholds that it was made from: for the command that makes the Run again.
    progress : show a bar.

    Returns
    -------
    The Run. A tenant that failed stops no other: ``manifest.failed`` says why, and the status is ``failed``.

    Raises
    ------
    RunError
        If the directory cannot be used, or the scheduler.
    """
    began = time.perf_counter()
    sizes = scenario.tenant_agents()
    again = command or _command(scenario, out, source, policy_file, thresholds_file)
    manifest = _manifest(scenario, turn, watch, again)
    with RunWriter(out, manifest, fresh=fresh) as writer, _bar(sum(sizes), progress) as bar:
        bar.update(sum(sizes[tenant] for tenant in writer.manifest.tenants))
        # The largest first: what is begun last should not be what takes longest.
        todo = sorted(
            set(range(len(sizes))) - writer.manifest.tenants.keys(), key=lambda tenant: -sizes[tenant]
        )
        place = writer.path.absolute()
        work = TenantWork(scenario, place, batch_size, scratch=place, turn=turn, watch=watch)
        finished = bar.n
        with _crew(scheduler, jobs, len(todo), bar.update) as crew:
            for tenant, outcome in deal(work, todo, crew, bar.update):
                # Where workers cannot tell how far they are.
                finished += sizes[tenant]
                bar.update(max(0, finished - bar.n))
                if isinstance(outcome, Crashed):
                    outcome = outcome.failure
                if isinstance(outcome, Failure):
                    writer.fail_tenant(tenant, outcome)
                else:
                    writer.finish_tenant(tenant, outcome.entry, outcome.files)
        return writer.finish(start=scenario.start_us, wall_seconds=time.perf_counter() - began)


def _crew(
    scheduler: str | None, jobs: int, tenants: int, advance: Advance
) -> AbstractContextManager[Crew | None]:
    """A cluster's workers, processes for several lanes, or this process for one."""
    if scheduler is not None:
        return Cluster(scheduler, tenants)
    return Processes(min(jobs, tenants), advance) if min(jobs, tenants) > 1 else nullcontext()


def _bar(agents: int, progress: bool) -> tqdm[NoReturn]:
    return tqdm(total=agents, unit="agent", disable=not progress, desc="simulate")


def _command(
    scenario: Scenario,
    out: Path,
    source: Path | str | None,
    policy_file: Path | None,
    thresholds_file: Path | None,
) -> Sequence[str]:
    agents, seed = str(scenario.population.agents), str(scenario.seed)
    return [
        *("agentsim", "simulate", str(source or f"{scenario.name}.yaml")),
        *(() if policy_file is None else ("--policy", str(policy_file))),
        *(() if thresholds_file is None else ("--thresholds", str(thresholds_file))),
        *("--agents", agents, "--seed", seed, "--out", str(out)),
    ]


def _manifest(scenario: Scenario, turn: Turn | None, watch: Watch | None, command: Sequence[str]) -> Manifest:
    policy = turn.policy if turn else scenario.policy.server_policy()
    return Manifest(
        kind="simulation",
        name=scenario.name,
        seed=scenario.seed,
        source=scenario.resolved(),
        policy=policy.model_dump(mode="json"),
        fork=turn.entry if turn else None,
        thresholds=watch.digest if watch else None,
        reproduce=shlex.join(command),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
