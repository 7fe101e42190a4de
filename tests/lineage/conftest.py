"""Small Runs told as stories to a real server, and ways to tamper with them."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.run import FileEntry, Manifest, Run, RunWriter, save_manifest
from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    IssueChild,
    KeyRing,
    ManualClock,
    OAuthError,
    Policy,
    Refresh,
    Register,
    Revoke,
    SeededSecrets,
    Server,
    SigningKey,
    TokenGrant,
    Verify,
)
from agentsim.server.operations.agents import Disable, Enable, UpdateAgent
from agentsim.simulation.export import TenantExport
from agentsim.tables import SCHEMAS

SECOND = 1_000_000
START = 1_780_000_000 * SECOND
ADMIN = Admin(owner="acme", everywhere=True)


@dataclass
class Story:
    """A server, a clock and those who ask; every step takes a second."""

    policy: Policy = field(default_factory=Policy)
    tenant: int = 0

    def __post_init__(self) -> None:
        self.clock = ManualClock(START)
        self.server = Server(
            policy=self.policy,
            clock=self.clock,
            secrets=SeededSecrets(b"seed"),
            keyring=KeyRing(SigningKey.generate()),
            writer=self.tenant,
        )
        self.labels: list[dict[str, Any]] = []

    def ask(self, operation: Any) -> Any:
        """The answer, or the refusal."""
        self.clock.advance(SECOND)
        (answer,) = self.server.execute([operation])
        return answer

    def agent(
        self, name: str, tools: str = "file_read web", resources: str = "github docs", **other: Any
    ) -> Client:
        registered = self.register(name, tools, resources, **other)
        self.ask(Confirm(registration_token=registered.registration_token))
        return Client(registered.client_id, registered.client_secret)

    def register(
        self, name: str, tools: str = "file_read web", resources: str = "github docs", **other: Any
    ) -> Any:
        return self.ask(
            Register(
                by=ADMIN,
                agent_name=name,
                allowed_tools=tools.split(),
                resource_access=resources.split(),
                role=name,
                **{"max_scope_level": "standard", **other},
            )
        )

    def update(self, agent: Client, **terms: Any) -> Any:
        return self.ask(UpdateAgent(by=ADMIN, client_id=agent.client_id, **terms))

    def disable(self, agent: Client) -> Any:
        return self.ask(Disable(by=ADMIN, client_id=agent.client_id, reason="incident"))

    def enable(self, agent: Client) -> Any:
        return self.ask(Enable(by=ADMIN, client_id=agent.client_id))

    def root(self, by: Client, task_id: str, **other: Any) -> TokenGrant:
        asked = {"required_tools": ["file_read", "web"], "required_resources": ["github", "docs"], **other}
        return self.ask(Issue(by=by, task_id=task_id, **asked))

    def child(self, by: Client, parent: TokenGrant, task_id: str, **other: Any) -> TokenGrant:
        asked = other or {"scope": "file_read:github"}
        return self.ask(IssueChild(by=by, parent_token=parent.access_token, task_id=task_id, **asked))

    def refresh(self, by: Client, grant: TokenGrant, **other: Any) -> TokenGrant:
        return self.ask(Refresh(by=by, refresh_token=grant.refresh_token, **other))

    def verify(self, grant: TokenGrant, tool: str = "file_read", resource: str = "github") -> Any:
        return self.ask(
            Verify(
                token=grant.access_token, required_tools=[tool], required_resources=[resource], caller="api"
            )
        )

    def revoke(self, **named: Any) -> Any:
        return self.ask(Revoke(by=ADMIN, reason="incident", **named))

    def fill(self) -> None:
        while self.server.pending():
            self.server.fill()

    def label(self, answer: Any, attack: str, attack_id: int) -> None:
        self.labels.append(
            {
                "tenant": self.tenant,
                "log_id": answer.log_id,
                "label": 1,
                "attack": attack,
                "attack_id": attack_id,
            }
        )

    def write(self, writer: RunWriter) -> None:
        entry = TenantExport(self.server, writer, self.tenant).finish(self.clock.now(), {})
        writer.finish_tenant(self.tenant, entry)
        writer.write("labels", self.tenant, pa.Table.from_pylist(self.labels, schema=SCHEMAS["labels"]))


def tell_lives() -> Story:
    """Registrations that change: narrowed, widened, disabled, enabled; and agents of two owners in one tree."""
    story = Story()
    lead, worker, idle = story.agent("lead"), story.agent("worker"), story.agent("idle")
    partner = story.agent("partner", owner="globex")
    root = story.root(lead, "plan", may_act=partner.client_id)
    hired = story.child(partner, root, "hired", scope="file_read:github web:github")
    story.child(worker, hired, "helped", scope="web:github")
    story.update(worker, allowed_tools=["file_read"], resource_access=["github"])
    story.child(worker, root, "narrow")
    story.update(lead, max_scope_level="minimal")
    story.root(lead, "low")
    story.disable(idle)
    story.disable(partner)
    assert not story.verify(hired).is_valid
    assert isinstance(story.root(partner, "too soon"), OAuthError)
    story.enable(partner)
    again = story.child(partner, root, "hired again")
    assert story.verify(again).is_valid
    story.fill()
    unconfirmed = story.register("unconfirmed")
    story.disable(Client(unconfirmed.client_id, unconfirmed.client_secret))
    return story


def write_run(path: Path, *stories: Story) -> Run:
    manifest = Manifest(
        kind="simulation",
        name="story",
        source={},
        policy=stories[0].policy.model_dump(mode="json"),
        reproduce="agentsim simulate story.yaml",
        created_at="2026-01-01T00:00:00Z",
    )
    with RunWriter(path, manifest, fresh=True) as writer:
        for story in stories:
            story.write(writer)
        return writer.finish(start=START, wall_seconds=0.0)


def tell_story(tenant: int = 0) -> Story:
    """Delegation at two depths, refreshes, refusals, a replayed refresh token, revocations of every kind."""
    story = Story(tenant=tenant)
    lead, coder, helper = story.agent("lead"), story.agent("coder"), story.agent("helper")
    story.agent("idle", scope="email.read")
    root = story.root(lead, "release", principal="ana")
    review = story.child(coder, root, "review", scope="file_read:github file_read:docs web:docs")
    read = story.child(helper, review, "read", scope="file_read:github/specific")
    assert story.verify(read, "file_read", "github/specific").is_valid
    assert isinstance(story.child(helper, review, "grab", scope="web:github"), OAuthError)
    assert isinstance(story.child(helper, read, "grab", scope="file_read:github-evil"), OAuthError)
    narrowed = story.refresh(coder, review, scope="file_read:github")
    newer = story.refresh(coder, narrowed)
    story.child(helper, newer, "read-more")
    assert not story.verify(read, "web", "docs").is_valid

    other = story.root(lead, "report")
    stolen = story.child(coder, other, "collect")
    story.refresh(coder, stolen)
    replayed = story.refresh(coder, stolen)
    assert replayed.reason == "refresh_reused"
    story.label(replayed, "refresh_replay", 0)
    attempt = story.verify(stolen)
    assert not attempt.is_valid
    story.label(attempt, "refresh_replay", 0)
    leaf = story.child(helper, other, "leaf")
    story.revoke(token=leaf.access_token, cascade=False)
    story.revoke(token=read.access_token, affected_task_chain=["report"])
    story.revoke(client_id=helper.client_id)
    again = story.root(helper, "after", principal="ana")
    assert story.verify(again).is_valid
    story.revoke(principal="ana")
    assert not story.verify(again).is_valid
    story.fill()
    last = story.root(helper, "quiet", principal="ana")
    assert story.verify(last).is_valid
    return story


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture(scope="session")
def told_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("runs") / "story", tell_story(0), tell_story(1))


@pytest.fixture(scope="session")
def lives_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("runs") / "lives", tell_lives())


@pytest.fixture
def run(told_run: Run, tmp_path: Path) -> Run:
    """A copy of the told Run, to tamper with."""
    shutil.copytree(told_run.path, tmp_path / "copy")
    return Run(tmp_path / "copy")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Run]:
    return lambda *stories: write_run(tmp_path / "written", *stories)


@pytest.fixture
def tamper() -> Callable[..., Run]:
    return tamper_with


@pytest.fixture
def reseal() -> Callable[[Run], Run]:
    return reseal_chain


def tamper_with(run: Run, table: str, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Run:
    """Change a table in place and let the manifest agree with its files, as a careful forger would."""
    for name in [name for name in run.manifest.files if name.startswith(f"{table}/")]:
        path = run.path / name
        frame = pq.read_table(path).to_pandas(types_mapper=pd.ArrowDtype)
        frame = frame.astype(dict.fromkeys(frame.columns, object))
        changed = change(frame)
        frame = frame if changed is None else changed
        columns = {
            column: [None if value is pd.NA or value is None else value for value in frame[column]]
            for column in SCHEMAS[table].names
        }
        arrays = [
            pa.array(columns[one.name], one.type.value_type if pa.types.is_dictionary(one.type) else one.type)
            for one in SCHEMAS[table]
        ]
        rows = pa.table(arrays, names=SCHEMAS[table].names).cast(SCHEMAS[table])
        pq.write_table(rows, path)
        run.manifest.files[name] = FileEntry(
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            rows=rows.num_rows,
            bytes=path.stat().st_size,
        )
    save_manifest(run)
    return Run(run.path)


def reseal_chain(run: Run) -> Run:
    """Make the hash chains and the manifest agree with the audit rows: only what the rows say is wrong then."""
    heads = {tenant: (bytes(32), 0) for tenant in run.manifest.tenants}

    def link(frame: pd.DataFrame) -> None:
        for row in frame.index:
            previous, length = heads[frame.at[row, "tenant"]]
            values = [
                None if value is pd.NA else value.hex() if isinstance(value, bytes) else value
                for value in frame.loc[row].drop(["tenant", "row_hash"])
            ]
            head = hashlib.sha256(previous + orjson.dumps(values)).digest()
            frame.at[row, "row_hash"] = head
            heads[frame.at[row, "tenant"]] = (head, length + 1)

    run = tamper_with(run, "audit", link)
    for tenant, (head, length) in heads.items():
        run.manifest.tenants[tenant].audit_head = head.hex()
        run.manifest.tenants[tenant].audit_rows = length
    save_manifest(run)
    return Run(run.path)
