"""A served server that is killed has kept all that it had answered; one that has not is found out."""

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from agentsim.experiments.soak.complaints import complaints
from agentsim.experiments.soak.faults.outages import endure
from agentsim.experiments.soak.kills.crashes import crashes, drive
from agentsim.experiments.soak.kills.kept import look
from agentsim.experiments.soak.kills.mixed import POLICY, Caller
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally
from tests import postgres

pytestmark = pytest.mark.long

KILLS = 3


def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path: Path) -> None:
    mixed, fill = crashes(kills=KILLS, folder=tmp_path, database=None, seed=1, progress=False)
    assert (mixed.notes, mixed.sound, mixed.tried) == ([], True, KILLS)
    assert mixed.operations > 100
    # The fill had begun, and was cut short.
    assert (fill.notes, fill.sound, fill.tried) == ([], True, 1)


def test_nothing_that_was_answered_is_lost_on_postgresql(
    tmp_path: Path, new_schema: Callable[[], str]
) -> None:
    mixed, fill = crashes(kills=1, folder=tmp_path, database=new_schema(), seed=2, progress=False)
    assert (mixed.notes, mixed.sound, mixed.tried) == ([], True, 1)
    assert (fill.notes, fill.sound, fill.tried) == ([], True, 1)


def test_nothing_that_was_answered_is_lost_where_postgresql_itself_is_killed(tmp_path: Path) -> None:
    # Sockets have short names.
    with TemporaryDirectory(prefix="agentsim-pg-") as home:
        try:
            database, url = postgres.start(Path(home))
        except postgres.NoPostgresError as fault:
            pytest.skip(str(fault))
        started = [database]

        def kill() -> None:
            # It ends at once, as in a crash, and recovers from its log when it is started again.
            started[-1].send_signal(signal.SIGQUIT)
            started[-1].wait(60)

        try:
            served = Served(tmp_path, url, policy=POLICY)
            tally = endure(
                "killed", served, begin=kill, end=lambda: started.append(postgres.start(Path(home))[0])
            )
        finally:
            kill()
    assert (tally.notes, tally.sound) == ([], True)


def test_a_server_that_has_forgotten_is_found_out(tmp_path: Path) -> None:
    served = Served(tmp_path, policy=POLICY)
    caller = Caller(served, 0, np.random.default_rng(3))
    with served:
        drive([caller], 2.0, served.stop)
        with closing(sqlite3.connect(tmp_path / "agentsim.sqlite")) as database:
            database.execute("DELETE FROM revocations")
            database.execute(
                "DELETE FROM issued_tokens WHERE token_id = (SELECT max(token_id) FROM issued_tokens)"
            )
            database.commit()
        served.start()
        found = Tally(part="kills", name="")
        look(served, [caller], found)
    assert found.let_in
    assert {"a token that was answered has no row"} <= set(found.notes)


def test_what_a_server_says_of_errors_is_heard() -> None:
    said = "\n".join(
        [
            "Serving   http://127.0.0.1:1",
            '{"level": "error", "logger": "agentsim.serve", "message": "a batch failed", "traceback": "KeyError"}',
            '{"level": "error", "logger": "agentsim.serve", "message": "the batch was not stored: it is full"}',
            '{"level": "warning", "logger": "uvicorn.error", "message": "Invalid HTTP request received."}',
            '{"method": "POST", "path": "/token", "status": 500}',
            '{"method": "POST", "path": "/token", "status": 200}',
        ]
    )
    failed, stored, answered = complaints(said)
    assert ("a batch failed" in failed, "was not stored" in stored) == (True, True)
    assert answered == "POST /token was answered 500"
    assert complaints(said, ["the batch was not stored"]) == [failed, answered]
