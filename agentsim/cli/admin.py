"""What administrators see, from the command line: ``agentsim admin``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.database import DATABASE, Database, open_store
from agentsim.cli.plain import say
from agentsim.errors import UserError

if TYPE_CHECKING:
    from agentsim.server.overview import Overview

admin = typer.Typer(help="See who was granted what, by whom, and how it is used.", no_args_is_help=True)
app.add_typer(admin, name="admin")

_Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Rows at most.")]
_Owner = Annotated[str | None, typer.Option(metavar="OWNER", help="Only this owner's.")]
_Client = Annotated[str | None, typer.Option("--client", metavar="CLIENT_ID", help="Only this agent's.")]
_Before = Annotated[
    int | None, typer.Option(metavar="ID", help="Go on from here: `next` of the page before.")
]
_AFTER = typer.Option(metavar="ID", help="Go on from here: `next` of the page before.")


@admin.command(epilog="Example: `agentsim admin agents --status pending`")
def agents(
    db: Database = DATABASE,
    owner: _Owner = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="pending, active or disabled.")] = None,
    after: Annotated[int, _AFTER] = 0,
    limit: _Limit = 100,
    as_json: Json = False,
) -> None:
    """List registered agents, oldest first."""
    page = _look(db, lambda view: view.agents(owner=owner, status=status, after=after, limit=limit))
    columns = ("client_id", "agent_name", "status", "owner", "role", "max_scope_level", "created_at")
    _show(page, "agents", columns, "--after", as_json)


@admin.command(epilog="Example: `agentsim admin grants --client agent_512389598412800000`")
def grants(
    db: Database = DATABASE,
    client: _Client = None,
    owner: _Owner = None,
    principal: Annotated[str | None, typer.Option(metavar="NAME", help="Only on behalf of this one.")] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK_ID", help="Only for this task.")] = None,
    before: _Before = None,
    limit: _Limit = 100,
    as_json: Json = False,
) -> None:
    """List grants, newest first: to whom, by whom, for what, and how they are used."""
    page = _look(
        db,
        lambda view: view.grants(
            client_id=client, owner=owner, principal=principal, task_id=task, before=before, limit=limit
        ),
    )
    _show_grants(page, "--before", as_json)


@admin.command(epilog="Example: `agentsim admin tree 512389598412800123`")
def tree(
    grant: Annotated[int, typer.Argument(metavar="GRANT_ID", help="Any grant of the tree.")],
    db: Database = DATABASE,
    after: Annotated[int, _AFTER] = 0,
    limit: _Limit = 1000,
    as_json: Json = False,
) -> None:
    """Show the whole tree of delegation that a grant stands in."""
    page = _look(db, lambda view: view.tree(grant, after=after, limit=limit))
    if not page["grants"] and after == 0:
        raise UserError(f"GRANT_ID {grant}: there is no such grant; `agentsim admin grants` lists them")
    _show_grants(page, "--after", as_json)


@admin.command(epilog="Example: `agentsim admin audit --status refused --limit 20`")
def audit(
    db: Database = DATABASE,
    client: _Client = None,
    grant: Annotated[int | None, typer.Option(metavar="GRANT_ID", help="Only about this grant.")] = None,
    event: Annotated[
        str | None, typer.Option(metavar="EVENT", help="Only such events: token_issued, ...")
    ] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="granted or refused.")] = None,
    before: _Before = None,
    limit: _Limit = 100,
    as_json: Json = False,
) -> None:
    """Show the audit trail, newest first."""
    page = _look(
        db,
        lambda view: view.audit(
            client_id=client, grant_id=grant, event_type=event, status=status, before=before, limit=limit
        ),
    )
    _show(
        page,
        "audit",
        ("timestamp", "event_type", "status", "reason", "client_id", "grant_id", "task_id"),
        "--before",
        as_json,
    )


@admin.command(epilog="Example: `agentsim admin reauthorize 512389598412800123`")
def reauthorize(
    grant: Annotated[int, typer.Argument(metavar="GRANT_ID", help="A grant that is held.")],
    db: Database = DATABASE,
    as_json: Json = False,
) -> None:
    """Let a grant be used again that was held because a use of it was found strange; it is not held another time."""
    from agentsim.server import Admin, Noted, OAuthError, Reauthorize, Server

    with open_store(db) as store:
        server = Server(store, writer=store.claim_writer())
        operation = Reauthorize(by=Admin("admin", everywhere=True), grant_id=grant)
        try:
            noted = server.ask(operation, Noted)
        except OAuthError as exc:
            raise UserError(
                f"GRANT_ID {grant}: {exc.description}; `agentsim admin grants` lists them"
            ) from None
    if as_json:
        print_json({"grant_id": str(grant), "status": "reauthorized", "log_id": str(noted.log_id)})
    else:
        say(f"Grant {grant} may be used again.")


def _look(db: str, ask: Callable[[Overview], dict[str, Any]]) -> dict[str, Any]:
    """One page of what is in a database."""
    from agentsim.server.errors import InvalidRequest

    with _overview(db) as view:
        try:
            return ask(view)
        except InvalidRequest as exc:
            allowed = f" (one of {', '.join(map(str, exc.allowed))})" if exc.allowed else ""
            raise UserError(f"{exc.description}: {exc.asked}{allowed}") from None


@contextmanager
def _overview(db: str) -> Iterator[Overview]:
    from agentsim.server.overview import Overview

    with open_store(db) as store:
        yield Overview(store)


def _show_grants(page: dict[str, Any], further: str, as_json: bool) -> None:
    if not as_json:
        for row in page["grants"]:
            row["agent"] = f"{'  ' * row['depth']}{row['agent_name']}"
            row["verified"] = row["usage"].get("verifications", 0)
    columns = (
        "grant_id",
        "agent",
        "client_id",
        "granted_by",
        "task_id",
        "scope",
        "status",
        "issued_at",
        "verified",
    )
    _show(page, "grants", columns, further, as_json)


def _show(page: Mapping[str, Any], name: str, columns: Sequence[str], further: str, as_json: bool) -> None:
    """Print a page and, where there may be more, the option that goes on from there."""
    if as_json:
        print_json(page)
        return
    from agentsim.cli.terminal import print_rows

    print_rows(columns, page[name])
    if page["next"] is not None:
        say(f"\nThere may be more: go on with {further} {page['next']}")
