"""The command line's frame: the application that commands are added to, and how it leaves.

Exit status: 0; 1 where a command found that something is wrong, as its help says, or the reader of a pipe went away;
2 for a user's mistake, with one message on standard error; 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from agentsim.cli.plain import say
from agentsim.errors import UserError

#: Faults of the disk that a user can mend, wherever they come up.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
#: A name that leads through a file, to a folder where a file should be, to nothing, or to too much.
_MISNAMED = {
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.ENOTEMPTY,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
_MENDABLE = _FULL | _FORBIDDEN | _MISNAMED

app = typer.Typer(
    name="agentsim",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A first walk: `agentsim simulate data/scenarios/demo.yaml`, then `agentsim inspect`, then "
    "`agentsim report`. Each command explains itself: `agentsim simulate --help`.",
)

Thresholds = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Thresholds by which uses are judged and acted upon: a thresholds.yaml."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON and nothing else.")]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        # Not standalone, so that a mistake in the usage reads like every other mistake.
        status = app(args=arguments, prog_name="agentsim", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as exc:
        return _complain(exc.format_message(), getattr(getattr(exc, "ctx", None), "command_path", None))
    except UserError as exc:
        return _complain(str(exc))
    except BrokenPipeError:
        # Python would flush once more while it shuts down, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as exc:
        if exc.errno not in _MENDABLE:
            raise
        return _complain(f"{exc.filename2 or exc.filename or 'writing'}: {exc.strerror}")
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:
        print("agentsim: interrupted", file=sys.stderr)  # noqa: T201
    return int(status or 0)


def _complain(message: str, command: str | None = None) -> int:
    hint = f" (see '{command} --help')" if command else ""
    say(f"agentsim: {message}{hint}", err=True)
    return 2


@app.callback(invoke_without_command=True)
def _agentsim(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Measure what happens to OAuth when AI agents delegate to each other by the million.

    A scenario is simulated, or real traces are replayed, against a real token server. The outcome is a
    *Run*, a directory of tables, which can be inspected and turned into reports.
    """
    if show_version:
        typer.echo(f"agentsim {version('agentsim')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def progress() -> bool:
    """Whether a progress bar would be seen: it is drawn on standard error, away from the figures."""
    return sys.stderr.isatty()


def print_json(figures: Mapping[str, Any]) -> None:
    """Print figures for programs."""
    typer.echo(json.dumps(figures, indent=2, allow_nan=False))
