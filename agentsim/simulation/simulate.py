"""A scenario played into a Run, tenant by tenant."""

import gc
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from sqlalchemy import select
from tqdm.auto import tqdm

from agentsim.run import FileEntry, Manifest, PartWriter, Run, RunWriter, TenantEntry
from agentsim.server import Server
from agentsim.server.schema import AuditRow
from agentsim.server.store import Store, table
from agentsim.server.tokens import TokenCodec
from agentsim.simulation.adversaries import AttackRecord
from agentsim.simulation.engine import TenantPlay
from agentsim.simulation.export import export_tenant
from agentsim.simulation.intents import Intents, make_intents
from agentsim.simulation.knowledge import Marks, committed_marks
from agentsim.simulation.rounds import Stage
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.shards import deal
from agentsim.simulation.streams import STREAM, generator
from agentsim.simulation.tenant import open_tenant
from agentsim.simulation.verifiers import Verifiers
from agentsim.simulation.windows import WindowLog
from agentsim.tables import make_table


def simulate(
    scenario: Scenario,
    out: Path,
    *,
    batch_size: int = 1000,
    jobs: int = 1,
    source: Path | str | None = None,
    policy_file: Path | None = None,
    progress: bool = False,
) -> Run:
    """Play a scenario into a Run.

    Parameters
    ----------
    out : directory of the Run; a Run that is there is replaced.
    batch_size : operations in one call of the server at most.
    jobs : processes that tenants are dealt to. Neither it nor ``batch_size`` changes any table but ``windows``.
    source, policy_file : the files that the scenario, and its policy where that is another's, were read from: for
        the command that makes the Run again.
    progress : show a bar.

    Raises
    ------
    RunError
        If the directory cannot be used.
    """
    began = time.perf_counter()
    agents = scenario.population.agents
    manifest = Manifest(
        kind="simulation",
        name=scenario.name,
        seed=scenario.seed,
        source=scenario.resolved(),
        policy=scenario.policy.server_policy().model_dump(mode="json"),
        reproduce=shlex.join(
            [
                *("agentsim", "simulate", str(source or f"{scenario.name}.yaml")),
                *(() if policy_file is None else ("--policy", str(policy_file))),
                *("--agents", str(agents), "--seed", str(scenario.seed), "--out", str(out)),
            ]
        ),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    writer = RunWriter(out, manifest)
    sizes = scenario.tenant_agents()
    # The largest first: what is begun last should not be what takes longest.
    tenants = sorted(range(len(sizes)), key=lambda tenant: -sizes[tenant])
    end = scenario.start_us
    with tqdm(total=agents, unit="agent", disable=not progress, desc="simulate") as bar:
        work = _Work(scenario, writer.path, batch_size)
        for tenant, outcome in deal(work, tenants, jobs, bar.update):
            writer.finish_tenant(tenant, outcome.entry, outcome.files)
            end = max(end, outcome.end)
    return writer.finish(start=scenario.start_us, end=end, wall_seconds=time.perf_counter() - began)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the garbage collector look for cycles seldom: a play makes many objects, few of which are in one.

    At its usual pace it takes a tenth of the time.
    """
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a worker leaves: the manifest's entries, and the end of its last window."""

    entry: TenantEntry
    files: dict[str, FileEntry]
    end: int


@dataclass(frozen=True, slots=True)
class _Work:
    """Plays tenants of a scenario; it can be sent to another process."""

    scenario: Scenario
    path: Path
    batch_size: int

    def __call__(self, tenant: int, advance: Callable[[int], object]) -> _Outcome:
        """Play one tenant and write its tables."""
        with rare_collections():
            return self._play(tenant, advance)

    def _play(self, tenant: int, advance: Callable[[int], object]) -> _Outcome:
        scenario = self.scenario
        writer = PartWriter(self.path)
        intents = make_intents(scenario, tenant)
        policy = scenario.policy.server_policy()
        with open_tenant(self.path, tenant, scenario.seed, policy) as (server, database):
            log = WindowLog(tenant, server, database)
            stage = Stage(
                server, log, start=scenario.start_us, window=scenario.window, batch_size=self.batch_size
            )
            verifiers = _verifiers(scenario, tenant, intents, server)
            play = TenantPlay(scenario, tenant, intents, verifiers)
            agents, windows, done, shown = len(intents.population), 0, 0, 0
            for count in stage.perform(play.intended(scenario.start_us, scenario.window), play):
                windows += 1
                done += count
                verifiers.close_window(scenario.start_us + windows * scenario.window)
                # Follow-ups are not known beforehand: what is shown is the share of intents, in agents.
                now = min(agents, agents * done // len(intents))
                advance(now - shown)
                shown = now
            advance(agents - shown)
            end = scenario.start_us + windows * scenario.window
            counts = {
                "intents": len(intents),
                "skipped": play.skipped,
                "operations": done,
                "calls": verifiers.calls,
                "asked": verifiers.asked,
                "looks": verifiers.looks(end),
            }
            writer.write("labels", tenant, _labels(server.store, tenant, play.attacks))
            writer.write("exposures", tenant, verifiers.exposures.table(tenant))
            entry = export_tenant(server.store, writer, tenant, counts)
            writer.write("windows", tenant, log.table())
        return _Outcome(entry, writer.files, end)


def _verifiers(scenario: Scenario, tenant: int, intents: Intents, server: Server) -> Verifiers:
    """The resource servers of a tenant, with the token server's public keys and the marks that it makes."""
    return Verifiers(
        scenario.resource_servers,
        sorted(
            {*intents.population.catalogue.resources, *(scenario.people.resources if scenario.people else ())}
        ),
        TokenCodec(server.policy.issuer, server.policy.audiences, server.keyring),
        Marks(committed_marks(server.store)),
        salt=generator(scenario.seed, STREAM.PHASES, tenant).bytes(32),
        start=scenario.start_us,
    )


def _labels(store: Store, tenant: int, attacks: list[AttackRecord]) -> pa.Table:
    """One row per operation of an attacker, with the grant that its audit row is about."""
    audit = table(AuditRow)
    about = {}
    ids = [record.log_id for record in attacks]
    with store.transaction() as connection:
        for start in range(0, len(ids), 5_000):
            query = select(audit.c.log_id, audit.c.grant_id, audit.c.root_grant_id)
            chunk = query.where(audit.c.log_id.in_(ids[start : start + 5_000]))
            about.update({row.log_id: (row.grant_id, row.root_grant_id) for row in connection.execute(chunk)})
    ordered = sorted(attacks, key=lambda record: record.log_id)
    columns = {
        "tenant": [tenant] * len(ordered),
        "log_id": [record.log_id for record in ordered],
        "grant_id": [about[record.log_id][0] for record in ordered],
        "root_grant_id": [about[record.log_id][1] for record in ordered],
        "label": [1] * len(ordered),
        "attack": [record.kind for record in ordered],
        "attack_id": [record.attack_id for record in ordered],
        "stealth": [record.stealth for record in ordered],
        "attempted": [True] * len(ordered),
    }
    return make_table("labels", len(ordered), columns)
