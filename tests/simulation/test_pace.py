"""Real time: steps are taken at their moments, and latencies count from there."""

import pytest

from agentsim.run import Run
from agentsim.server import Admin, ManualClock, Register, Server
from agentsim.simulation import simulate
from agentsim.simulation.pace import AtOnce, InRealTime
from agentsim.simulation.rounds import Stage, Step
from agentsim.simulation.windows import WindowLog

START, MS = 5_000_000, 1_000


class Watch:
    """A real clock that moves only when somebody sleeps or works."""

    def __init__(self):
        self.ns = 77_000_000_000

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += round(seconds * 1e9)


class SlowServer(Server):
    """Takes 30 ms for a call, whatever is in it, and remembers how much that was."""

    def __init__(self, watch):
        super().__init__(clock=ManualClock())
        self.watch, self.calls = watch, []

    def execute(self, operations, at=None):
        self.calls.append([operation.agent_name for operation in operations])
        self.watch.sleep(0.030)
        return super().execute(operations, at)


class Registering:
    """A play in which every step registers an agent, and some lead to another step after a while."""

    def __init__(self, follow_ups=()):
        self.follow_ups = dict(follow_ups)

    def prepare(self, step):
        name = f"a{step.order}"
        return Register(by=Admin("acme"), agent_name=name, allowed_tools=[], resource_access=[])

    def settle(self, step, operation, answer):
        delay = self.follow_ups.get(step.order)
        return () if delay is None else [Step(step.time + delay, step.order + 100, step.actor, -1, 0)]


def play(tmp_path, moments, *, speed=1.0, follow_ups=(), window=1_000 * MS):
    """Play one step of each actor at each moment (ms); the server's calls, and the table of windows."""
    watch = Watch()
    server = SlowServer(watch)
    log = WindowLog(0, server, tmp_path / "server.db")
    pace = InRealTime(START, speed, watch.now, watch.sleep)
    stage = Stage(server, log, start=START, window=window, batch_size=1000, pace=pace)
    steps = [Step(START + moment * MS, number, number, -1, 0) for number, moment in enumerate(moments)]
    list(stage.perform(iter([steps]), Registering(follow_ups)))
    return server.calls, log.table().to_pandas().set_index("operation").loc[["Register"]]


def test_what_is_due_together_goes_as_one_batch(tmp_path):
    calls, _ = play(tmp_path, [0, 10, 20, 29, 100, 200])
    # Three came while the first was being answered.
    assert calls == [["a0"], ["a1", "a2", "a3"], ["a4"], ["a5"]]


def test_a_latency_counts_from_the_moment_that_was_meant(tmp_path):
    # The second call begins at 30 and ends at 60: what was meant for 10 has waited since then.
    _, rows = play(tmp_path, [0, 10])
    assert rows["latency_counts"].tolist()[0].tolist() == [1, 1]
    assert rows["p50_us"].tolist() == [30_000]
    assert rows["max_us"].tolist() == [50_000]


def test_a_server_that_falls_behind_shows_it(tmp_path):
    _, steady = play(tmp_path, range(0, 400, 40))
    assert steady["max_us"].tolist() == [30_000]
    _, behind = play(tmp_path, range(0, 400, 2))
    assert behind["count"].tolist() == [200]
    # All but those that were due when a call began waited for an earlier call, too.
    assert behind["p50_us"].item() > 40_000


def test_what_follows_is_meant_for_its_own_moment(tmp_path):
    calls, rows = play(tmp_path, [0], follow_ups={0: 10 * MS})
    assert calls == [["a0"], ["a100"]]
    assert rows["max_us"].item() == 50_000


def test_faster_time_is_real_time_that_goes_by_faster(tmp_path):
    calls, rows = play(tmp_path, [0, 100, 290, 310], speed=10.0)
    # 30 ms of the server's are 300 ms of the agents'.
    assert calls == [["a0"], ["a1", "a2"], ["a3"]]
    # Meant for 31 ms of real time, answered after three calls.
    assert rows["max_us"].item() == 90_000 - 31_000


def test_simulated_time_waits_for_nothing(tmp_path):
    steps = [Step(START + moment, moment, moment, -1, 0) for moment in (0, 5)]
    assert AtOnce().arrived(steps) == (steps, [])
    assert AtOnce().latencies(steps, 123) == [123, 123]


@pytest.fixture(scope="module")
def real(scenario, tmp_path_factory):
    workload = {"executor": "constant-vus", "vus": 4, "clock": "wall", "speed": 900}
    made = scenario(population={"agents": 25}, workload=workload, roles={"support_agent": {"gap": "2s"}})
    return made, simulate(made, tmp_path_factory.mktemp("wall") / "run")


def test_a_run_in_real_time_is_a_whole_run(real):
    made, run = real
    assert Run(run.path).manifest.status == "complete"
    assert len(run.frame("agents")) == 25
    assert run.manifest.source["workload"]["clock"] == "wall"
    windows = run.frame("windows").dropna(subset=["max_us"])
    assert set(windows["operation"]) >= {"Register", "Issue", "Verify"}
    # As the simulated clock has it: the same agents want the same, whenever they are answered.
    again = simulate(
        made.model_copy(update={"workload": made.workload.model_copy(update={"clock": "simulated"})}),
        run.path.parent / "again",
    )
    wanted = "select count(*) n from audit where event_type in ('agent_registered', 'agent_confirmed')"
    assert run.sql(wanted)["n"][0] == again.sql(wanted)["n"][0] == 50
