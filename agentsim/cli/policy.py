"""Commands on policy files: policy check, policy schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentsim.cli.app import Json, app, print_json

policy = typer.Typer(
    help="Check the file that says what an organisation allows.", rich_markup_mode="markdown"
)
app.add_typer(policy, name="policy")


@policy.command(epilog="Example: `agentsim policy check data/policies/default.yaml`")
def check(
    file: Annotated[Path, typer.Argument(help="The policy, a YAML file.", metavar="FILE")],
    as_json: Json = False,
) -> None:
    """Read a policy as the server does: all faults at once, each with its path, or what it says in short."""
    from agentsim.cli.terminal import print_figures
    from agentsim.settings.policyfile import load_settings

    settings = load_settings(file)
    rules = settings.server_policy()
    if as_json:
        print_json({"file": str(file), "digest": rules.digest, "policy": rules.model_dump(mode="json")})
        return
    written = settings.model_dump(mode="json")
    print_figures(
        {
            "policy": str(file),
            "digest": rules.digest[:16],
            "roles": ", ".join(settings.roles) or "no rule",
            "tools named": len(settings.tools),
            "lifetimes": f"tokens {written['access_ttl']}, grants {written['grant_ttl']}",
            "delegation": f"depth {settings.max_depth}, {settings.max_fanout} children",
            "limits": _limits(written["limits"]),
            "budgets": f"{settings.budgets.model}, {settings.budgets.root or 'no'} units for a root",
        }
    )


@policy.command(epilog="Example: `agentsim policy schema > policy.schema.json`")
def schema() -> None:
    """Print the JSON Schema of policy files, for editors and for checks elsewhere."""
    from agentsim.settings.policyfile import schema as made

    print_json(made())


def _limits(limits: dict[str, object]) -> str:
    named = {"client": limits["client"], "tree": limits["tree"]}
    classes = limits["classes"]
    assert isinstance(classes, dict)
    told = [f"{name} {limit['rate']}" for name, limit in (named | classes).items() if isinstance(limit, dict)]
    return ", ".join(told) or "none"
