"""A scenario played into a Run, tenant by tenant."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import select
from tqdm.auto import tqdm

from agentsim.run import Manifest, Run, RunWriter
from agentsim.server.schema import AuditRow
from agentsim.server.store import Store, table
from agentsim.simulation.engine import AttackRecord, TenantPlay
from agentsim.simulation.export import export_tenant
from agentsim.simulation.intents import make_intents
from agentsim.simulation.rounds import Stage
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.tenant import open_tenant
from agentsim.simulation.windows import WindowLog
from agentsim.tables import make_table


def simulate(scenario: Scenario, out: Path, *, batch_size: int = 1000, progress: bool = False) -> Run:
    """Play a scenario into a Run.

    Parameters
    ----------
    out : directory of the Run; a Run that is there is replaced.
    batch_size : operations in one call of the server at most; changes nothing but the wall time.
    progress : show a bar.

    Raises
    ------
    RunError
        If the directory cannot be used.
    """
    began = time.perf_counter()
    manifest = Manifest(
        kind="simulation",
        name=scenario.name,
        seed=scenario.seed,
        source=scenario.resolved(),
        policy=scenario.policy.server_policy().model_dump(mode="json"),
        reproduce=f"agentsim simulate {scenario.name}.yaml --agents {scenario.population.agents} --seed {scenario.seed}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    writer = RunWriter(out, manifest)
    end = scenario.start_us
    with tqdm(total=scenario.population.agents, unit="agent", disable=not progress, desc="simulate") as bar:
        for tenant, agents in enumerate(scenario.tenant_agents()):
            end = max(end, _play_tenant(scenario, tenant, writer, batch_size, bar, agents))
    return writer.finish(start=scenario.start_us, end=end, wall_seconds=time.perf_counter() - began)


def _play_tenant(
    scenario: Scenario, tenant: int, writer: RunWriter, batch_size: int, bar: Any, agents: int
) -> int:
    """Play one tenant and write its tables; returns the end of its last window."""
    intents = make_intents(scenario, tenant)
    policy = scenario.policy.server_policy()
    with open_tenant(writer.path, tenant, scenario.seed, policy) as (server, database):
        log = WindowLog(tenant, server, database)
        stage = Stage(server, log, start=scenario.start_us, window=scenario.window, batch_size=batch_size)
        play = TenantPlay(scenario, tenant, intents)
        windows = done = 0
        shown = 0
        for count in stage.perform(play.intended(scenario.start_us, scenario.window), play):
            windows += 1
            done += count
            # Follow-ups are not known beforehand: the bar shows the share of intents, in agents.
            now = min(agents, agents * done // len(intents))
            bar.update(now - shown)
            shown = now
        bar.update(agents - shown)
        extra = {"intents": len(intents), "skipped": play.skipped.total(), "operations": done}
        labels = _labels(server.store, tenant, play.attacks)
        export_tenant(server.store, writer, tenant, extra)
        writer.write("labels", tenant, labels)
        writer.write("windows", tenant, log.table())
    return scenario.start_us + windows * scenario.window


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
