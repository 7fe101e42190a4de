"""The command ``roles``: what the built-in roles do, and one of them as it stands in a scenario."""

from __future__ import annotations

from typing import Annotated

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.plain import say

_COLUMNS = ("name", "tools", "calls", "lasts", "fanout", "children", "does")


@app.command(epilog="Example: `agentsim roles coding_agent`, to be pasted into a scenario and changed")
def roles(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show this role as YAML: a built-in one, an installed one, or a class package.module:Class."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the roles that agents can have: what they do, with which tools, how long, and whom they delegate to.

    Their figures are plausible, not measured; `agentsim calibrate` makes roles from recorded traces.
    """
    from agentsim.simulation.rolebook import describe, known_roles, role_data, role_yaml

    if name is None:
        rows = [describe(*item) for item in known_roles().items()]
        if as_json:
            print_json({"roles": rows})
            return
        from agentsim.cli.terminal import print_rows

        print_rows(_COLUMNS, rows)
    elif as_json:
        print_json({name: role_data(name)})
    else:
        say(role_yaml(name), nl=False)
