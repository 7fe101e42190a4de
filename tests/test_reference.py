"""How the reference tells what commands and keys take."""

from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field
from typer.main import get_command

from agentsim.cli.reference import commands, fields
from agentsim.cli.reference.markdown import prose, table
from agentsim.settings.durations import Duration, Rate
from agentsim.settings.strict import Share, Strict


class Inner(Strict):
    """Something in it."""

    length: Annotated[Duration, Field(alias="for", description="How long.")]


class Left(Strict):
    """On the left."""

    executor: Annotated[Literal["left"], Field(description="Which.")]
    stages: Annotated[tuple[Inner, ...], Field(description="One after the other.")]


class Right(Strict):
    """On the right, in ``two`` words."""

    executor: Annotated[Literal["right"], Field(description="Which.")]


class Outer(Strict):
    """A file."""

    share: Annotated[Share, Field(description="A part.")] = 0.5
    wait: Annotated[Duration, Field(description="A time | a pause.")] = 5_400_000_000
    pace: Annotated[Rate | None, Field(description="A rate.")] = None
    least: Annotated[int, Field(strict=True, gt=0, description="A number.")]
    way: Annotated[Literal["a", "b"], Field(description="A choice.")] = "a"
    named: Annotated[dict[str, Inner], Field(description="By name.")] = Field(default_factory=dict)
    load: Annotated[Left | Right, Field(discriminator="executor", description="A load.")]
    on: Annotated[bool, Field(strict=True, description="Whether.")] = False


@pytest.mark.parametrize(
    "row",
    [
        "| `share` | number, 0 to 1 | `0.5` | A part. |",
        "| `wait` | duration (`1h30m`) | `1h30m` | A time \\| a pause. |",
        "| `pace` | rate (`50/s`) |  | A rate. |",
        "| `least` | whole number, more than 0 | required | A number. |",
        "| `way` | `a`, `b` | `a` | A choice. |",
        "| `named` | mapping of names to [`named.NAME`](#namedname) |  | By name. |",
        "| `load` | [`executor: left`](#load-with-executor-left) or [`executor: right`](#load-with-executor-right) "
        "| required | A load. |",
        "| `on` | true or false | `false` | Whether. |",
    ],
)
def test_a_key_says_what_it_takes_and_what_it_is_by_default(row):
    assert row in fields.sections(Outer).splitlines()


def test_each_model_in_a_file_has_a_section_of_its_own_once():
    headings = [line for line in fields.sections(Outer).splitlines() if line.startswith("#")]
    assert headings == [
        "### `named.NAME`",
        "### `load` with `executor: left`",
        "### `load` with `executor: right`",
    ]
    assert "On the right, in `two` words." in fields.sections(Outer)
    assert "| `for` | duration (`1h30m`) | required | How long. |" in fields.sections(Outer)


def test_what_is_told_on_another_page_is_linked():
    told = fields.sections(Outer, {Inner: "other.md#all-keys"})
    assert "mapping of names to [keys](other.md#all-keys)" in told
    assert "`named.NAME`" not in told


def example() -> typer.Typer:
    app = typer.Typer()
    group = typer.Typer(help="A group.")
    app.add_typer(group, name="group")

    @group.command()
    def first(
        run: Annotated[str, typer.Argument(help="A run.", metavar="RUN")],
        other: Annotated[str | None, typer.Argument(help="Another.")] = None,
        way: Annotated[Literal["a", "b"], typer.Option(help="A way.")] = "a",
        most: Annotated[int, typer.Option("--most", "-m", min=1, max=9, metavar="N", help="At most.")] = 5,
        key: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A key.")] = None,
        need: Annotated[float, typer.Option(metavar="S", help="Needed.")] = ...,  # type: ignore[assignment]
        jobs: Annotated[int | None, typer.Option(help="Jobs.", show_default="one per core")] = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="Anew.")] = False,
    ) -> None:
        """Do it.

        And more.
        """

    @group.command()
    def second() -> None:
        """Do nothing."""

    return app


@pytest.mark.parametrize(
    "row",
    [
        "    agentsim group first [OPTIONS] RUN [OTHER]",
        "| `RUN` |  |  | A run. |",
        "| `[OTHER]` |  |  | Another. |",
        "| `--way` | `a`, `b` | `a` | A way. |",
        "| `--most`, `-m` | `N`, whole number, at least 1, at most 9 | `5` | At most. |",
        "| `--key` | `K=V`, several times |  | A key. |",
        "| `--need`, required | `S`, number |  | Needed. |",
        "| `--jobs` | whole number | one per core | Jobs. |",
        "| `--fresh` |  |  | Anew. |",
        "Commands: [first](#agentsim-group-first), [second](#agentsim-group-second).",
        "    agentsim group second",
    ],
)
def test_a_command_says_what_it_takes_and_what_it_is_by_default(row):
    assert row in commands.sections(get_command(example())).splitlines()


def test_groups_are_no_rows_of_the_overview():
    rows = commands.overview_of(get_command(example())).splitlines()[2:]
    assert rows == [
        "| [group first](#agentsim-group-first) | Do it. |",
        "| [group second](#agentsim-group-second) | Do nothing. |",
    ]


def test_text_keeps_to_its_cell_and_its_paragraph():
    assert table(("a",), [("one | two\nthree",)]).splitlines()[2] == "| one \\| two three |"
    assert prose("A ``word``\n  and more.\n\n    Then.") == "A `word` and more.\n\nThen."
