"""What a role is: the tools that an agent of it calls, how it goes from one to the next, whom it delegates to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from agentsim.settings.durations import Duration
from agentsim.settings.strict import (
    CheckedWith,
    Fault,
    Name,
    Resource,
    Share,
    Strict,
    Tool,
    Weight,
    raise_faults,
)
from agentsim.simulation.roleclass import made_by
from agentsim.simulation.roleparts import Characters, Size, Spread, TaskKind


class Role(Strict):
    """How agents of one role behave. Shares and means are per agent or per tool call, as each field says.

    A role of one's own is written down in a scenario, or is a class that the scenario names by ``class``:

    * It is derived from this one, and gives every field a default, with its annotation (``steps: float = 9.0``);
      durations are microseconds, or ``parse_duration("20s")``.
    * It may have further fields, and validators that work out fields of this class from them.
    * What stands beside ``class`` in the scenario replaces single fields.
    * It is made once, when the scenario is read. What the simulation, its workers and its manifest hold
      is a plain ``Role`` with the same fields, so none of its methods are called later.

    A class is named by ``package.module:Class``, or by the name of an entry point of the group ``agentsim.roles``.
    """

    summary: Annotated[
        str, Field(description="One line for people: what agents of this role do.", examples=["works"])
    ]
    level: Annotated[str, Field(description="Highest scope level that they register for.")] = "standard"
    personal: Annotated[
        bool,
        Field(
            strict=True,
            description="Whether each root acts for a person of its own, its principal, not for the organisation.",
        ),
    ] = False
    tools: Annotated[
        dict[Tool, Annotated[tuple[Resource, ...], Field(min_length=1)]],
        Field(
            min_length=1,
            description="Each tool, with the resources that it works on.",
            examples=[{"file_read": ["github"]}],
        ),
        CheckedWith(("start", "chain", "tasks", "sizes")),
    ]
    start: Annotated[
        dict[Tool, Weight], Field(description="Weight of each tool as the first call; all alike if left out.")
    ] = Field(default_factory=dict)
    chain: Annotated[
        dict[Tool, dict[Tool, Weight]],
        Field(
            description="Markov chain: weight of the next tool after each tool. A tool left out goes on as at the start."
        ),
    ] = Field(default_factory=dict)
    tasks: Annotated[
        tuple[TaskKind, ...],
        Field(
            min_length=1,
            description="Kinds of task that they are given.",
            examples=[[{"text": "Work on case {n}"}]],
        ),
    ]

    budget: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            le=10**12,
            description="Units of budget that a root asks for; what the policy gives if left out.",
        ),
    ] = None
    steps: Annotated[
        float, Field(strict=True, ge=1, le=1000, description="Mean number of tool calls of a task.")
    ] = 5.0
    dispersion: Annotated[
        float,
        Field(
            strict=True,
            ge=0,
            le=100,
            description="How much tasks differ in length: variance over square of the expected further calls; 0: Poisson.",
        ),
    ] = 0.5
    every: Annotated[
        Duration | None,
        Field(
            gt=0, description="Roots wait for the next multiple of this time, such as the full hour (UTC)."
        ),
    ] = None
    gap: Annotated[Duration, Field(gt=0, description="Mean time that an agent thinks between two calls.")] = (
        15_000_000
    )
    gap_spread: Annotated[
        Spread, Field(description="Standard deviation of the logarithm of that time; 0: like a clock.")
    ] = 0.9
    call: Annotated[Duration, Field(gt=0, description="Mean duration of a tool call.")] = 1_500_000
    call_spread: Annotated[Spread, Field(description="Standard deviation of its logarithm.")] = 0.8
    sizes: Annotated[dict[Tool, Size], Field(description="How much each tool takes and gives.")] = Field(
        default_factory=dict
    )
    failure_chars: Annotated[
        Characters, Field(description="Mean characters of the result of a call that fails.")
    ] = 150.0
    size_spread: Annotated[
        Spread,
        Field(
            description="Standard deviation of the logarithm of sizes, of failures and where a tool has none."
        ),
    ] = 0.9
    fanout: Annotated[
        float,
        Field(
            strict=True,
            ge=0,
            le=1000,
            description="Mean number of children (Poisson) that an agent delegates to.",
        ),
    ] = 0.0
    child_roles: Annotated[
        dict[Name, Weight], Field(description="Weight of each role among the children.")
    ] = Field(default_factory=dict)

    errors: Annotated[Share, Field(description="Share of tool calls that fail.")] = 0.08
    retries: Annotated[Share, Field(description="Share of failed calls that are repeated at once.")] = 0.5
    slips: Annotated[
        Share,
        Field(
            description="Share of calls that name a tool or resource at random, perhaps outside the grant."
        ),
    ] = 0.01
    introspected: Annotated[
        Share, Field(description="Share of calls whose receiver introspects the token, too.")
    ] = 0.02
    reports: Annotated[Share, Field(description="Share of calls whose receiver reports how they went.")] = 1.0
    broad: Annotated[
        Share,
        Field(description="Share of agents that ask for all they may have instead of what the task needs."),
    ] = 0.25
    careless: Annotated[
        Share,
        Field(
            description="Share of children that first ask for more than their parent has, and are refused."
        ),
    ] = 0.02
    proactive: Annotated[
        Share,
        Field(description="Share of agents that refresh before the access token expires; the others after."),
    ] = 0.6
    waits: Annotated[
        Share, Field(description="Share of parents that wait for their children before they end.")
    ] = 0.95
    revokes: Annotated[
        Share, Field(description="Share of agents that revoke their grant at the end of the task.")
    ] = 0.2
    cancelled: Annotated[
        Share, Field(description="Share of root tasks that their owner cancels midway, with all below.")
    ] = 0.01
    moves: Annotated[Share, Field(description="Share of agents that go on from another host midway.")] = 0.03

    class_: Annotated[
        str | None,
        Field(
            alias="class",
            exclude=True,
            description="A class derived from this one, package.module:Class or an entry point: its defaults apply.",
        ),
        # A class brings them: without it, they would be missed.
        CheckedWith(("summary", "tools", "start", "chain", "tasks", "child_roles", "fanout")),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _of_class(cls, data: Any) -> Any:
        named = data.get("class") if isinstance(data, Mapping) else None
        return (
            data
            if named is None
            else made_by(named, Role, {key: value for key, value in data.items() if key != "class"})
        )

    @model_validator(mode="after")
    def _consistent(self) -> Role:
        raise_faults(
            "Role", [*self._faults_of_chain(), *self._faults_of_tasks(), *self._faults_of_children()]
        )
        return self

    @property
    def resources(self) -> frozenset[str]:
        """All resources that the role's tools work on."""
        return frozenset(name for names in self.tools.values() for name in names)

    def tools_of(self, kind: TaskKind) -> dict[str, tuple[str, ...]]:
        """Tools and resources that a kind of task needs, in the role's order."""
        names = self.tools if kind.tools is None else [tool for tool in self.tools if tool in kind.tools]
        wanted = self.resources if kind.resources is None else frozenset(kind.resources)
        return {tool: tuple(r for r in self.tools[tool] if r in wanted) for tool in names}

    def _faults_of_chain(self) -> Iterable[Fault]:
        for tool in self.start:
            if tool not in self.tools:
                yield ("start", tool), f"the role has no tool {tool!r}", tool
        if self.start and not any(self.start.values()):
            yield ("start",), "one weight at least must be above 0", self.start
        for tool, row in self.chain.items():
            if tool not in self.tools:
                yield ("chain", tool), f"the role has no tool {tool!r}", tool
            for following in row:
                if following not in self.tools:
                    yield ("chain", tool, following), f"the role has no tool {following!r}", following
        for tool in self.sizes:
            if tool not in self.tools:
                yield ("sizes", tool), f"the role has no tool {tool!r}", tool

    def _faults_of_tasks(self) -> Iterable[Fault]:
        if not any(kind.weight for kind in self.tasks):
            yield ("tasks",), "one weight at least must be above 0", None
        for number, kind in enumerate(self.tasks):
            path = ("tasks", number)
            unknown = [tool for tool in kind.tools or () if tool not in self.tools]
            for tool in unknown:
                yield (*path, "tools"), f"the role has no tool {tool!r}", tool
            for name in kind.resources or ():
                if name not in self.resources:
                    yield (*path, "resources"), f"no tool of the role works on {name!r}", name
            idle = [tool for tool, resources in self.tools_of(kind).items() if not resources]
            if idle and not unknown:
                yield (
                    (*path, "resources"),
                    f"nothing is left for {', '.join(idle)} to work on",
                    kind.resources,
                )

    def _faults_of_children(self) -> Iterable[Fault]:
        if self.fanout and not any(self.child_roles.values()):
            yield ("child_roles",), "needed where fanout is above 0", self.child_roles


def reachable(roles: Mapping[str, Role], roots: Mapping[str, float]) -> list[str]:
    """Names of the roles that roots have or lead to, alphabetically; names without a role lead nowhere."""
    found: set[str] = set()
    waiting = [name for name, weight in roots.items() if weight]
    while waiting:
        name = waiting.pop()
        if name not in found and name in roles:
            found.add(name)
            role = roles[name]
            waiting += [child for child, weight in role.child_roles.items() if weight and role.fanout]
    return sorted(found)
