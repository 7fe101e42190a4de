"""Parts of a role: the kinds of task that it is given, and how much its tools take and give."""

from typing import Annotated

from pydantic import Field

from agentsim.settings.strict import Resource, Strict, Tool, Weight

#: Standard deviation of a logarithm.
Spread = Annotated[float, Field(strict=True, ge=0, le=5)]
#: A mean number of characters.
Characters = Annotated[float, Field(strict=True, ge=0, le=10**8)]


class TaskKind(Strict):
    """One kind of task that a role is given."""

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="Task description; {n} becomes the number of a case, the same for a whole tree.",
            examples=["Work on case {n}"],
        ),
    ]
    weight: Annotated[Weight, Field(description="How often, against the role's other kinds.")] = 1.0
    tools: Annotated[
        tuple[Tool, ...] | None,
        Field(min_length=1, description="Tools that it needs; all of the role's if left out."),
    ] = None
    resources: Annotated[
        tuple[Resource, ...] | None,
        Field(min_length=1, description="Resources that it needs; all of its tools' if left out."),
    ] = None


class Size(Strict):
    """How much one tool takes and gives. What is left out is made up: it differs from tool to tool."""

    arguments: Annotated[
        int | None, Field(strict=True, ge=0, le=255, description="Number of arguments of a call.")
    ] = None
    argument_chars: Annotated[Characters | None, Field(description="Mean characters of its arguments.")] = (
        None
    )
    argument_spread: Annotated[
        Spread | None, Field(description="Standard deviation of their logarithm; the role's if left out.")
    ] = None
    result_chars: Annotated[
        Characters | None, Field(description="Mean characters of the result of a call that succeeds.")
    ] = None
    result_spread: Annotated[
        Spread | None, Field(description="Standard deviation of their logarithm; the role's if left out.")
    ] = None
