"""The access log: what cannot be written is lost, and nothing else."""

import io
import os

from agentsim.server.http.observer import AccessLog


def test_a_reader_of_the_log_who_goes_away_costs_lines_and_not_requests() -> None:
    reading, writing = os.pipe()
    # Nothing is kept back: what cannot be written is not tried again when the stream is closed.
    raw = io.FileIO(writing, "w")
    with io.TextIOWrapper(raw, write_through=True) as stream:
        log = AccessLog(lambda: 1_000, stream)
        log.add({"path": "/token"})
        log.flush()
        assert os.read(reading, 100) == b'{"time":1,"path":"/token"}\n'
        os.close(reading)
        for _ in range(3):
            log.add({"path": "/token"})
            log.flush()
