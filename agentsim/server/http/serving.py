"""Serving: one or several processes of uvicorn on one socket, each with a token server on the same database."""

import gc
import os
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from agentsim.server.clock import SystemClock
from agentsim.server.core import Server
from agentsim.server.http.heads import BoundedHeads
from agentsim.server.http.logs import log_as_json
from agentsim.server.http.reload import PolicySource
from agentsim.server.keyfile import KeyFile
from agentsim.server.keyring import KeyRing
from agentsim.server.policy import Policy
from agentsim.server.store import Store
from agentsim.server.watch import PatternMatcher, Watch

#: Where keys may come from instead of a file.
KEYS_VARIABLE = "AGENTSIM_KEYS"
#: Seconds that requests under way are given at the end.
_GRACE = 10
#: Connections that may wait to be accepted, uvicorn's own number.
_BACKLOG = 2048
#: Seconds after which a thread that computes lets another one go on; the usual ten times as long is a batch's whole time.
SWITCH = 0.0005
#: After how many objects more than before the collector looks, and how often it looks at older ones, too.
_COLLECT = (50_000, 20, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What each serving process needs to know; it travels between processes.

    ``key_file`` is None where the keys are in the environment.
    """

    #: A URL, with its password.
    database: str = field(repr=False)
    policy: Policy
    key_file: Path | None
    admin_token_hash: bytes
    #: Where the policy was read from; None where it is the built-in one.
    policy_source: PolicySource | None = None
    #: Processes that serve; each grants its part of what rates are limited to.
    workers: int = 1
    #: What judges and follows; None: nobody does.
    watch: Watch | None = None
    #: How long trees are kept after their end; None: for ever.
    keep_us: int | None = None


def bind(host: str, port: int) -> socket.socket:
    """A socket on which to listen.

    Raises
    ------
    OSError
        If the address is taken or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # From here on whoever connects waits for the server to come up, instead of being turned away.
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    bound.set_inheritable(True)
    return bound


def serve(settings: Settings, bound: socket.socket) -> None:
    """Serve until a signal says otherwise; everything that was asked by then is answered first."""
    log_as_json()
    # uvicorn ends in good order and then raises the signal again, which would kill: both ways to end it are one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = uvicorn.Config(
        partial(application, settings),
        factory=True,
        workers=settings.workers,
        http=BoundedHeads,
        access_log=False,
        log_config=None,
        log_level="warning",
        # Addresses in headers are anybody's to write.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    if settings.workers == 1:
        uvicorn.Server(config).run(sockets=[bound])
        return
    with tempfile.TemporaryDirectory(prefix="agentsim-metrics-") as folder:
        # Each worker keeps its counts in a file there, and whichever is asked adds them up.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Multiprocess(config, sockets=[bound]).run()


def application(settings: Settings) -> Starlette:
    """The application of one process."""
    from agentsim.server.http.app import make_app

    # Here as well, because each further worker is a process that begins anew.
    log_as_json()
    # Event loop and writer hand the interpreter to each other a dozen times a batch, whenever one waits for the disk.
    sys.setswitchinterval(SWITCH)
    # Requests leave nothing behind that only the collector could undo, and a thousand of them that are held take it 50 ms
    # to go through, in which nobody is served.
    gc.set_threshold(*_COLLECT)
    matcher, watcher = (None, None) if settings.watch is None else settings.watch.for_tenant(0)
    return make_app(
        settings.policy.issuer,
        partial(open_server, settings, matcher),
        settings.admin_token_hash,
        policy_source=settings.policy_source,
        watcher=watcher,
        keep_us=settings.keep_us,
    )


def open_server(settings: Settings, matcher: PatternMatcher | None = None) -> Server:
    """A server on the shared database, with a writer's number of its own."""
    clock = SystemClock()
    keyring: KeyRing
    if settings.key_file is None:
        keyring = KeyRing.from_json(os.environ[KEYS_VARIABLE])
    else:
        keyring = KeyFile(settings.key_file)
    store = Store(settings.database)
    return Server(
        store,
        policy=settings.policy,
        clock=clock,
        keyring=keyring,
        matcher=matcher,
        writer=store.claim_writer(),
        sharers=settings.workers,
    )
