"""Accounts that are made quickly, and an agent's own address to answer to."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from agentsim.server import accounts as accounts_module


@pytest.fixture(autouse=True, scope="session")
def quick() -> Iterator[None]:
    """The same password hash with less work."""
    usual, accounts_module._N = accounts_module._N, 2**8
    yield
    accounts_module._N = usual


@pytest.fixture(scope="module")
def callback() -> Iterator[Any]:
    """What an agent has at its redirect URI: it says thank you, and keeps what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.seen.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>thanks</title>")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}/back"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
