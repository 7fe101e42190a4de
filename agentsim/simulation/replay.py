"""Real traces through the token server: the same kind of Run as a simulation gives.

An agent per (agent, suite), its role the suite, its tools the suite's catalogue; a grant per run and task; a verify per
tool call and, after it, how the call went. The answers that come with the traces go to ``labels`` alone.
"""

import shlex
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm.auto import tqdm

from agentsim.run import Manifest, Run, RunWriter
from agentsim.run.files import sha256
from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    IssueChild,
    OAuthError,
    Operation,
    Policy,
    RecordExecution,
    Register,
    Registration,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.simulation.export import TenantExport
from agentsim.simulation.rounds import Stage, Step
from agentsim.simulation.tenant import open_tenant
from agentsim.simulation.trace_format import LONGEST_RUN, TraceError
from agentsim.simulation.traces import DEEPEST, Traces, read_traces
from agentsim.simulation.windows import WindowLog
from agentsim.tables import make_table

#: Traces carry no date: a replay begins here (2026-01-01T00:00:00Z).
_START = 1_767_225_600 * SECOND
#: Agents register in the first minute, before the first run.
_RUNS_BEGIN = 60 * SECOND
_WINDOW = 60 * SECOND
_OWNER = "replay"
#: Traces say nothing of lifetimes: nothing expires, and nothing is too deep.
_FOREVER = 10 * LONGEST_RUN * SECOND
_POLICY = Policy(
    access_ttl_us=_FOREVER,
    grant_ttl_us=_FOREVER,
    max_depth=DEEPEST,
    max_fanout=1_000_000,
    refresh_tokens=False,
)


class _Kind(IntEnum):
    REGISTER = 0
    CONFIRM = 1
    ISSUE = 2
    CALL = 3
    OUTCOME = 4


def replay(traces: Path, out: Path, *, batch_size: int = 1000, progress: bool = False) -> Run:
    """Replay traces into a Run.

    Parameters
    ----------
    traces : Parquet file in the long format of :mod:`agentsim.simulation.traces`, or OpenTelemetry spans as
        :mod:`agentsim.simulation.otlp` reads them.
    out : directory of the Run.
    batch_size : operations in one call of the server at most; changes nothing but the wall time.
    progress : show a bar.

    Raises
    ------
    TraceError
        If the traces cannot be used.
    RunError
        If the directory cannot be.
    """
    began = time.perf_counter()
    read = read_traces(traces)
    digest = sha256(Path(traces))
    manifest = Manifest(
        kind="replay",
        name=Path(traces).stem,
        source={
            "traces": Path(traces).name,
            "sha256": digest,
            "runs": int((read.grants["parent"] < 0).sum()),
            "calls": len(read.calls),
            "timing": read.timing,
            **read.source,
        },
        policy=_POLICY.model_dump(mode="json"),
        reproduce=shlex.join(["agentsim", "replay", str(traces), "--out", str(out)]),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with RunWriter(out, manifest, fresh=True) as writer:
        _play(traces, read, writer, batch_size, progress)
        return writer.finish(start=_START, wall_seconds=time.perf_counter() - began)


def _play(traces: Path, read: Traces, writer: RunWriter, batch_size: int, progress: bool) -> None:
    """Play the traces as the only tenant."""
    with open_tenant(writer.path, 0, int(writer.manifest.source["sha256"][:32], 16), _POLICY) as (
        server,
        database,
    ):
        log = WindowLog(0, server, database)
        stage = Stage(server, log, start=_START, window=_WINDOW, batch_size=batch_size)
        play = _Replay(traces, read)
        total = 2 * len(read.agents) + len(read.grants) + 2 * len(read.calls)
        windows = 0
        with tqdm(total=total, unit="op", disable=not progress, desc="replay") as bar:
            for count in stage.perform(play.intended(), play):
                windows += 1
                bar.update(count)
        entry = TenantExport(server.store, writer, 0).finish(_START + windows * _WINDOW, {})
        writer.write("labels", 0, play.labels())
        writer.write("windows", 0, log.table())
    writer.finish_tenant(0, entry)


class _Replay:
    """The traces as a play. Actors: grants by row, agents by row after them."""

    def __init__(self, path: Path, traces: Traces) -> None:
        self._path = path
        self._traces = traces
        self._grants = traces.grants.to_dict("list")
        self._calls = traces.calls.to_dict("list")
        self._agents = traces.agents.to_dict("list")
        self._registrations: list[Registration | None] = [None] * len(traces.agents)
        self._issued: list[TokenGrant | None] = [None] * len(traces.grants)

    def intended(self) -> Iterator[list[Step]]:
        """All steps, window by window."""
        windows: dict[int, list[Step]] = {}
        for step in self._steps():
            windows.setdefault((step.time - _START) // _WINDOW, []).append(step)
        for number in range(max(windows) + 1):
            yield windows.get(number, [])

    def prepare(self, step: Step) -> Operation | None:
        """The operation of a step; None for a grant that was never made."""
        match step.kind:
            case _Kind.REGISTER:
                return self._register(step.ref)
            case _Kind.CONFIRM:
                registration = self._registrations[step.ref]
                if registration is None:
                    return None
                return Confirm(registration_token=registration.registration_token)
            case _Kind.ISSUE:
                return self._issue(step.actor)
        grant = self._issued[step.actor]
        if grant is None:
            return None
        return self._verify(grant, step.ref) if step.kind == _Kind.CALL else self._outcome(grant, step.ref)

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Keep credentials and tokens; a call that was let through reports how it went."""
        if isinstance(answer, Registration):
            self._registrations[step.ref] = answer
        elif isinstance(answer, TokenGrant):
            self._issued[step.actor] = answer
        elif isinstance(answer, Verification) and answer.is_valid:
            return [step._replace(time=step.time + 1, kind=_Kind.OUTCOME)]
        elif isinstance(answer, OAuthError):
            # A catalogue of very many tools, or a long chain of long names, can be more than a token may hold.
            raise TraceError(self._path, [f"the server refuses what the traces ask for: {answer}"])
        return []

    def labels(self) -> pa.Table:
        """The answers, one row per grant that was made."""
        answers = self._traces.answers
        made = [(row, grant) for row, grant in enumerate(self._issued) if grant is not None]
        rows = [row for row, _ in made]
        columns: dict[str, Any] = {
            "tenant": [0] * len(made),
            "grant_id": [grant.grant_id for _, grant in made],
            "root_grant_id": [grant.root_grant_id for _, grant in made],
            "label": answers["label"].iloc[rows].astype("int8"),
            "detail": answers["label_detail"].iloc[rows],
            "attempted": answers["attack_attempted"].iloc[rows],
            "utility": answers["utility"].iloc[rows].astype("boolean"),
        }
        return make_table("labels", len(made), columns)

    def _steps(self) -> Iterator[Step]:
        agents, grants = len(self._agents["agent"]), len(self._grants["agent"])
        for agent in range(agents):
            yield Step(_START, agent, grants + agent, -1, _Kind.REGISTER, agent)
            yield Step(_START + SECOND, agents + agent, grants + agent, -1, _Kind.CONFIRM, agent)
        base = _START + _RUNS_BEGIN
        for grant, (issued, parent) in enumerate(
            zip(self._grants["issued"], self._grants["parent"], strict=True)
        ):
            yield Step(base + issued, 2 * agents + grant, grant, parent, _Kind.ISSUE)
        for call, (at, grant) in enumerate(zip(self._calls["time"], self._calls["grant"], strict=True)):
            yield Step(base + at, 2 * agents + grants + call, grant, -1, _Kind.CALL, call)

    def _register(self, agent: int) -> Register:
        suite = self._agents["suite"][agent]
        return Register(
            by=Admin(_OWNER),
            agent_name=self._agents["agent"][agent],
            description=f"{self._agents['agent'][agent]} in {suite}",
            allowed_tools=self._traces.catalogue[suite],
            resource_access=(suite,),
            max_scope_level=_POLICY.levels[-1],
            role=suite,
        )

    def _issue(self, grant: int) -> Issue | IssueChild | None:
        agent, parent = self._grants["agent"][grant], self._grants["parent"][grant]
        registration = self._registrations[agent]
        if registration is None:
            return None
        by = Client(registration.client_id, registration.client_secret)
        suite = self._agents["suite"][agent]
        tools, resources = self._traces.catalogue[suite], (suite,)
        task, description = self._grants["task_id"][grant], self._grants["description"][grant]
        if parent < 0:
            return Issue(
                by=by,
                task_id=task,
                task_description=description,
                required_tools=tools,
                required_resources=resources,
            )
        above = self._issued[parent]
        if above is None:
            return None
        return IssueChild(
            by=by,
            parent_token=above.access_token,
            parent_task_id=above.task_id,
            task_id=task,
            task_description=description,
            required_tools=tools,
            required_resources=resources,
        )

    def _verify(self, grant: TokenGrant, call: int) -> Verify:
        return Verify(
            token=grant.access_token,
            task_id=grant.task_id,
            required_tools=(self._calls["tool"][call],),
            required_resources=grant.allowed_resources,
            caller=self._calls["caller"][call],
            include_history=False,
        )

    def _outcome(self, grant: TokenGrant, call: int) -> RecordExecution:
        return RecordExecution(
            token=grant.access_token,
            tool=self._calls["tool"][call],
            resource=grant.allowed_resources[0],
            outcome="error" if self._calls["error"][call] else "success",
            args_digest=_text(self._calls["args_digest"][call]),
            n_args=_plain(self._calls["n_args"][call]),
            arg_chars=_plain(self._calls["arg_chars"][call]),
            result_chars=_plain(self._calls["result_chars"][call]),
        )


def _text(value: Any) -> str | None:
    # What is missing in a column of texts is a float there.
    return value if isinstance(value, str) else None


def _plain(value: Any) -> int | None:
    return None if value is None or value != value else int(value)
