"""One tenant's part of a run: its population drawn, its play performed, its tables written."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from sqlalchemy import select

from agentsim.run import Failure, FileEntry, PartWriter, TenantEntry
from agentsim.server import Server, Watch
from agentsim.server.following import Follower
from agentsim.server.schema import AuditRow
from agentsim.server.store import Store, table
from agentsim.server.tokens import TokenCodec
from agentsim.simulation.adversaries import AttackRecord
from agentsim.simulation.engine import TenantPlay
from agentsim.simulation.export import TenantExport
from agentsim.simulation.intents import Intents, make_intents
from agentsim.simulation.knowledge import Marks, committed_marks
from agentsim.simulation.pace import AtOnce, InRealTime, Pace
from agentsim.simulation.response import Response
from agentsim.simulation.rounds import Stage
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.shards import Advance, Stopped
from agentsim.simulation.streams import STREAM, generator
from agentsim.simulation.tenant import open_tenant
from agentsim.simulation.turn import Turn
from agentsim.simulation.verifiers import Verifiers
from agentsim.simulation.windows import WindowLog
from agentsim.tables import make_table


@dataclass(frozen=True, slots=True)
class Played:
    """What a worker leaves: the manifest's entries."""

    entry: TenantEntry
    files: dict[str, FileEntry]


@dataclass(frozen=True, slots=True)
class TenantWork:
    """Plays tenants of a scenario; it can be sent to another process.

    Attributes
    ----------
    path : the Run's directory.
    scratch : where the token server's database is while it is needed.
    """

    scenario: Scenario
    path: Path
    batch_size: int
    scratch: Path
    #: What changes in the middle.
    turn: Turn | None
    #: What judges and follows; None: nobody does.
    watch: Watch | None = None

    def __call__(self, tenant: int, advance: Advance) -> Played | Failure:
        """Play one tenant and write its tables; what goes wrong is an outcome, too."""
        progress = _Progress(advance, self.scenario.tenant_agents()[tenant])
        try:
            with _rare_collections():
                return self._play(tenant, progress)
        except Stopped:
            raise
        except Exception as error:
            return Failure(
                stage=progress.stage,
                type=type(error).__name__,
                message=str(error),
                traceback=traceback.format_exc(),
            )

    def _play(self, tenant: int, progress: _Progress) -> Played:
        scenario = self.turn.scenario if self.turn else self.scenario
        span = scenario.span
        writer = PartWriter(self.path)
        intents = make_intents(scenario, tenant)
        policy = scenario.policy.server_policy()
        matcher, watcher = (None, None) if self.watch is None else self.watch.for_tenant(tenant)
        with open_tenant(self.scratch, tenant, scenario.seed, policy, matcher) as (server, database):
            log = WindowLog(tenant, server, database)
            verifiers = _verifiers(scenario, tenant, intents, server)
            play = TenantPlay(scenario, tenant, intents, verifiers)
            response = Response(Follower(server, watcher), log, verifiers)
            stage = Stage(
                server,
                log,
                start=scenario.start_us,
                window=span,
                batch_size=self.batch_size,
                pace=_pace(scenario),
                closing=None if self.watch is None else response,
            )
            export = TenantExport(server, writer, tenant)
            windows, done = 0, 0
            progress.stage = "play"
            for count in stage.perform(play.intended(scenario.start_us, span), play):
                windows += 1
                done += count
                now = scenario.start_us + windows * span
                verifiers.close_window(now)
                export.stream()
                if self.turn and self.turn.moment == now:
                    self.turn.take(tenant, server, play)
                # Follow-ups are not known beforehand: what is shown is the share of intents.
                progress.reach(min(1.0, done / len(intents)))
            end = scenario.start_us + windows * span
            begun = intents.plans.begun[intents.population.roots]
            counts = {
                "trees": len(begun),
                scenario.workload.LEFT_OUT: int((~begun).sum()),
                "intents": len(intents),
                "skipped": play.skipped,
                "operations": done,
                "calls": verifiers.calls,
                "asked": verifiers.asked,
                "looks": verifiers.looks(end),
            }
            progress.stage = "export"
            writer.write("labels", tenant, _labels(server.store, tenant, play.attacks))
            writer.write("exposures", tenant, verifiers.exposures.table(tenant))
            entry = export.finish(end, counts)
            writer.write("windows", tenant, log.table())
        progress.reach(1.0)
        return Played(entry, writer.files)


class _Progress:
    """How far a tenant has come: its stage, and the share of its agents that is told."""

    def __init__(self, advance: Advance, agents: int) -> None:
        self.stage = "population"
        self._advance = advance
        self._agents = agents
        self._told = 0

    def reach(self, share: float) -> None:
        reached = int(share * self._agents)
        self._advance(reached - self._told)
        self._told = reached


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector look for cycles seldom: a play makes many objects, few of which are in one.

    At its usual pace it takes a tenth of the time.
    """
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _pace(scenario: Scenario) -> Pace:
    """How a workload's clock goes, from now on."""
    workload = scenario.workload
    return AtOnce() if workload.clock == "simulated" else InRealTime(scenario.start_us, workload.speed)


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
