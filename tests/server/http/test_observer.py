"""The access log: what cannot be written is lost, and nothing else."""

import asyncio
import io
import json
import os

import httpx
from starlette.applications import Starlette

from agentsim.server.http.observer import AccessLog, Observer


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


def test_a_path_moves_no_cursor_of_whoever_reads_the_log() -> None:
    """JSON spells out but the first 32 of the characters that a terminal obeys."""
    stream = io.StringIO()
    log = AccessLog(lambda: 1_000, stream)
    transport = httpx.ASGITransport(app=Observer(Starlette(), log))

    async def ask(path: str) -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://server.example") as http:
            await http.get(path)

    asyncio.run(ask("/gr%C3%BCn/%C2%9B31m%7F%E2%80%AE%E2%80%A8%1B"))
    log.flush()
    line = stream.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert json.loads(line)["path"] == "/grün/%C2%9B31m%7F%E2%80%AE%E2%80%A8%1B"
