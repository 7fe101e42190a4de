"""Commands on people's accounts: account add, list, password, disable, enable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.database import DATABASE, Database, made_store
from agentsim.cli.plain import say
from agentsim.errors import UserError

if TYPE_CHECKING:
    from agentsim.server.accounts import Accounts

account = typer.Typer(
    help="Accounts of people, who may let agents act for them.", rich_markup_mode="markdown"
)
app.add_typer(account, name="account")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account: a-z, 0-9, dot, dash, underscore.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, not the terminal.")
]


@account.command(epilog="Example: `agentsim account add ana`")
def add(
    name: Name,
    owner: Annotated[
        str, typer.Option(metavar="NAME", help="The organisation; agents of this owner may ask the person.")
    ] = "admin",
    password_stdin: FromInput = False,
    db: Database = DATABASE,
) -> None:
    """Make an account; the password is asked for twice, unseen."""
    password = _password(password_stdin)
    _change(db, lambda accounts: accounts.add(name, password, owner))
    say(f"{name} may sign in.")


@account.command()
def password(name: Name, password_stdin: FromInput = False, db: Database = DATABASE) -> None:
    """Give an account another password; whoever is signed in there is not any more."""
    new = _password(password_stdin)
    _change(db, lambda accounts: accounts.set_password(name, new))
    say(f"{name} has another password.")


@account.command()
def disable(name: Name, db: Database = DATABASE) -> None:
    """Let nobody sign in to an account any more. What agents were granted goes on until it is withdrawn or revoked."""
    _change(db, lambda accounts: accounts.disable(name))
    say(f"{name} is disabled. To end its grants, revoke the principal user:{name}.")


@account.command()
def enable(name: Name, db: Database = DATABASE) -> None:
    """Let a person sign in again."""
    _change(db, lambda accounts: accounts.enable(name))
    say(f"{name} may sign in again.")


@account.command(name="list")
def list_accounts(db: Database = DATABASE, as_json: Json = False) -> None:
    """List all accounts."""
    with _opened(db) as accounts:
        rows = accounts.all()
    if as_json:
        print_json({"accounts": rows})
        return
    from agentsim.cli.terminal import print_rows

    shown = [{**row, "state": "active" if row["disabled_at"] is None else "disabled"} for row in rows]
    print_rows(("name", "owner", "state"), shown)


@contextmanager
def _opened(db: str) -> Iterator[Accounts]:
    from agentsim.server.accounts import Accounts
    from agentsim.server.clock import SystemClock

    # People may have accounts before anything has been served.
    with made_store(db) as store:
        yield Accounts(store, SystemClock())


def _change(db: str, change: Callable[[Accounts], None]) -> None:
    from agentsim.server.accounts import AccountError

    with _opened(db) as accounts:
        try:
            change(accounts)
        except AccountError as fault:
            raise UserError(str(fault)) from None


def _password(from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise UserError("no terminal to ask for the password: give it with --password-stdin")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
