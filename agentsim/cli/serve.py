"""The command that serves: ``agentsim serve``."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Thresholds, app
from agentsim.cli.database import DATABASE, KEYS, Database, keep_time, made_store, make_folder
from agentsim.cli.plain import say
from agentsim.cli.urls import without_password
from agentsim.errors import UserError

if TYPE_CHECKING:
    from socket import socket

    from agentsim.server import Policy, Store, Watch
    from agentsim.server.http.reload import PolicySource
    from agentsim.server.http.serving import Settings

POLICY = Path("data/policies/default.yaml")
ADMIN_VARIABLE = "AGENTSIM_ADMIN_TOKEN"
#: Shorter tokens can be guessed.
_SHORTEST_TOKEN = 32
#: Hosts that are every address of the machine, and so the name of none.
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104
_ISSUER = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?")


@app.command(epilog="Example: `agentsim serve --db postgresql://agentsim@localhost/agentsim --workers 4`")
def serve(
    db: Database = DATABASE,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0 takes a free one.")
    ] = 8400,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The rules, a YAML file; read again whenever it changes.",
            show_default=f"{POLICY} where that is there",
        ),
    ] = None,
    thresholds: Thresholds = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The server's name in metadata and tokens.", show_default="http://HOST:PORT"
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Processes that serve; above 1 needs PostgreSQL.")
    ] = 1,
    keys: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The signing keys; made if missing. AGENTSIM_KEYS holds them instead."
        ),
    ] = KEYS,
    alg: Annotated[
        str, typer.Option(metavar="ALG", help="Algorithm of a key that is made: EdDSA, ES256 or RS256.")
    ] = "EdDSA",
    keep: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="How long a lineage tree is kept after its end; `forever` removes nothing.",
        ),
    ] = "30d",
) -> None:
    """Serve the token server over HTTP: OAuth 2, found through its metadata.

    The administrator's bearer token comes from AGENTSIM_ADMIN_TOKEN; without it one is made at the first start and
    printed once. With `--thresholds`, uses are judged while they are verified: what is found strange is refused, and its grant
    held or ended. What is long over is removed in small steps, and heads of the audit trail are signed. Ctrl-C answers what has
    been asked and ends.
    """
    from agentsim.server.http import serving

    _check_workers(db, workers)
    _check_issuer(issuer, host)
    keep_us = None if keep == "forever" else keep_time(keep)
    source = _policy_source(policy)
    watch = _watch(thresholds)
    # Before anything is made: a token that is told only once must not be made for a server that cannot start.
    bound = _bind(host, port)
    try:
        address = _address(host, bound.getsockname()[1])
        key_file = _prepare_keys(keys, alg)
        with made_store(db) as store:
            token_hash, fresh = _admin_token(store)
        settings = serving.Settings(
            database=db,
            policy=_rules(source).model_copy(update={"issuer": issuer or address}),
            policy_source=source,
            key_file=key_file,
            admin_token_hash=token_hash,
            workers=workers,
            watch=watch,
            keep_us=keep_us,
        )
        _announce(settings, address, fresh, thresholds)
        serving.serve(settings, bound)
    except KeyboardInterrupt:
        # The usual way to end it, after everything has been answered.
        return
    finally:
        bound.close()


def _bind(host: str, port: int) -> socket:
    from agentsim.server.http.serving import bind

    try:
        return bind(host, port)
    except OSError as exc:
        raise UserError(f"cannot listen on {host} port {port}: {exc.strerror or exc}") from None


def _announce(settings: Settings, address: str, admin_token: str | None, thresholds: Path | None) -> None:
    """Say what serves where, and tell the administrator's token where it has just been made."""
    lines = [f"Serving   {settings.policy.issuer}"]
    if settings.policy.issuer != address:
        lines.append(f"Address   {address}")
    lines.append(f"Database  {without_password(settings.database)}")
    lines.append(f"Keys      {settings.key_file or 'AGENTSIM_KEYS'}")
    source = settings.policy_source
    lines.append(f"Policy    {'the built-in one' if source is None else source.path}")
    if thresholds is not None:
        lines.append(f"Thresholds {thresholds}")
    if admin_token is not None:
        lines.append(f"\nThe administrator's token, shown this once:\n\n  {admin_token}\n")
    say("\n".join(lines))


def _policy_source(path: Path | None) -> PolicySource | None:
    """The policy's file, looked at once so that a bad one is told before anything is made."""
    if path is None and not POLICY.exists():
        return None
    from agentsim.server.http.reload import PolicySource
    from agentsim.settings.policyfile import load_policy

    file = path or POLICY
    source = PolicySource(file, partial(load_policy, file))
    source.load()
    return source


def _watch(path: Path | None) -> Watch | None:
    if path is None:
        return None
    from agentsim.risk.online import load_watch

    return load_watch(path)


def _rules(source: PolicySource | None) -> Policy:
    from agentsim.server import Policy

    return Policy() if source is None else source.load()


def _check_workers(db: str, workers: int) -> None:
    if workers > 1 and db.startswith("sqlite"):
        raise UserError(
            "--workers above 1 needs PostgreSQL: SQLite has one writer. Use --db postgresql://USER@HOST/NAME"
        )


def _prepare_keys(path: Path, alg: str) -> Path | None:
    """The key file, made if missing; None where the environment holds the keys."""
    from agentsim.server.clock import SystemClock
    from agentsim.server.http.serving import KEYS_VARIABLE
    from agentsim.server.keyfile import KeyFile
    from agentsim.server.keyring import KeyFileError, KeyRing
    from agentsim.server.keys import ALGORITHMS

    if alg not in ALGORITHMS:
        raise UserError(f"--alg {alg}: must be one of {', '.join(ALGORITHMS)}")
    if KEYS_VARIABLE in os.environ:
        try:
            KeyRing.from_json(os.environ[KEYS_VARIABLE])
        except KeyFileError as exc:
            raise UserError(f"{KEYS_VARIABLE}: {exc}") from None
        return None
    make_folder("--keys", path.parent)
    try:
        KeyFile.ensure(path, SystemClock(), alg)
    except KeyFileError as exc:
        raise UserError(f"--keys {exc}") from None
    return path


def _admin_token(store: Store) -> tuple[bytes, str | None]:
    """The digest of the administrator's token, and the token itself where it has just been made."""
    from agentsim.server.administrators import make_token, stored_token_hash
    from agentsim.server.clock import SystemClock
    from agentsim.server.credentials import digest
    from agentsim.server.store import ConflictError

    given = os.environ.get(ADMIN_VARIABLE)
    if given is not None:
        if len(given) < _SHORTEST_TOKEN or not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", given):
            raise UserError(
                f"{ADMIN_VARIABLE} must be at least {_SHORTEST_TOKEN} characters of a bearer token (RFC 6750)"
            )
        return digest(given), None
    if (stored := stored_token_hash(store)) is not None:
        return stored, None
    try:
        token = make_token(store, SystemClock())
    except ConflictError:
        # Another process that starts on the same database was faster, and tells its token.
        return _admin_token(store)
    return digest(token), token


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _check_issuer(issuer: str | None, host: str) -> None:
    """An issuer is an https URL without query and fragment (RFC 8414 section 2); http only for trying it out."""
    if issuer is None:
        if host in _EVERYWHERE:
            raise UserError(f"--host {host} needs --issuer: the URL by which clients know the server")
    elif not _ISSUER.fullmatch(issuer):
        raise UserError(
            f"--issuer {issuer}: must be an https URL without query and fragment, such as https://auth.example"
        )
