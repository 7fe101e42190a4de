"""A scenario: everything that a simulation depends on, in one frozen value read from a YAML file.

Two runs of the same scenario and seed are the same run. Durations are written with their unit (``5m``) and
held as integer microseconds; every default is here and is written into the run's manifest.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from agentsim.server.ids import WRITERS
from agentsim.settings import faults
from agentsim.settings.durations import UNITS, Duration
from agentsim.settings.faults import SettingsError
from agentsim.settings.mending import validate
from agentsim.settings.policy import PolicySettings
from agentsim.settings.policyfile import extended
from agentsim.settings.strict import (
    Count,
    Name,
    Share,
    Strict,
    Weight,
    raise_faults,
)
from agentsim.settings.yamlfile import read_yaml
from agentsim.simulation.attacks import ATTACKERS, find_attacker
from agentsim.simulation.consistency import cross_faults
from agentsim.simulation.people import People
from agentsim.simulation.resourceservers import ResourceServers
from agentsim.simulation.role import Role
from agentsim.simulation.roles import ROLES
from agentsim.simulation.workload import Workload

#: Shorter spans would be mostly empty.
_SHORTEST_SPAN = 200_000


class Tenant(Strict):
    """One organisation. Nothing crosses tenants."""

    name: Annotated[Name, Field(description="The organisation that owns the agents.", examples=["org"])]
    share: Annotated[
        float, Field(strict=True, gt=0, description="Its part of all agents, in proportion to the others'.")
    ] = 1.0
    roots: Annotated[
        dict[Name, Weight] | None, Field(description="Its own roles of roots; the population's if left out.")
    ] = None


class Population(Strict):
    """Who there is: trees of agents that grow from roots by delegation."""

    agents: Annotated[
        Count,
        Field(
            description="Agents in all tenants together, exactly; the last tree is cut to fit.",
            examples=[10_000],
        ),
    ]
    roots: Annotated[
        dict[Name, Weight], Field(min_length=1, description="Weight of each role among roots.")
    ] = Field(
        default_factory=lambda: {
            "orchestrator": 0.45,
            "code_reviewer": 0.2,
            "data_analyst": 0.15,
            "support_agent": 0.2,
        }
    )
    max_depth: Annotated[
        int, Field(strict=True, ge=0, le=64, description="Depth of the deepest agent; roots have depth 0.")
    ] = 6
    max_fanout: Annotated[int, Field(strict=True, ge=0, description="Most children of one agent.")] = 32


def _known_attack(kind: str) -> str:
    find_attacker(kind)
    return kind


class AttackSettings(Strict):
    """One attack, as often and as loud as is said here. The same kind may come several times."""

    kind: Annotated[
        str,
        AfterValidator(_known_attack),
        Field(
            description="A kind that `agentsim attacks` lists, or another's class as package.module:Class.",
            examples=[next(iter(ATTACKERS))],
        ),
    ]
    prevalence: Annotated[
        Share, Field(description="Share of trees that are attacked in this way.", examples=[0.01])
    ]
    stealth: Annotated[Share, Field(description="0: loud; 1: imitates its victim but for one deviation.")] = (
        0.5
    )
    start: Annotated[
        Duration, Field(ge=0, description="Nothing happens earlier than this after the beginning.")
    ] = 0


def _tenants(value: Any) -> Any:
    """A number of tenants stands for that many of the same size."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= WRITERS:
            raise ValueError(f"must be 1 to {WRITERS} tenants, got {value}")
        return [{"name": f"org-{number}"} for number in range(1, value + 1)]
    return value


def _roles(value: Any) -> Any:
    """Fields that are given for a built-in role replace its own; roles of other names, and classes, are added."""
    if not isinstance(value, Mapping):
        return value
    given = {}
    for name, fields in value.items():
        # A class brings all fields itself.
        changes = isinstance(fields, Mapping) and "class" not in fields
        given[name] = {**ROLES.get(name, {}), **fields} if changes else fields
    return {**ROLES, **given}


def _beginning(value: Any) -> Any:
    # YAML reads a time without a zone as one, and a date as a date; both lack the zone.
    return value.isoformat() if isinstance(value, datetime) else str(value)


class Scenario(Strict):
    """A whole scenario. Read one with :func:`load_scenario`; every copy is checked as a whole again."""

    format: Annotated[
        Literal[1], Field(alias="schema", description="Version of this format: 1.", examples=[1])
    ]
    name: Annotated[Name, Field(description="Short name, used for the run's directory.", examples=["demo"])]
    description: Annotated[str, Field(description="What it is for, in a line or two.")] = ""
    seed: Annotated[
        int,
        Field(
            strict=True, ge=0, description="Root of all randomness; 128 random bits, recorded, if left out."
        ),
    ] = Field(default_factory=lambda: secrets.randbits(128))
    start: Annotated[
        AwareDatetime,
        BeforeValidator(_beginning),
        Field(description="Simulated beginning, with its time zone."),
    ] = datetime(2026, 1, 1, tzinfo=UTC)
    tenants: Annotated[
        tuple[Tenant, ...],
        BeforeValidator(_tenants),
        Field(
            min_length=1, max_length=WRITERS, description="The organisations, or how many of the same size."
        ),
    ] = (Tenant(name="org-1"),)
    population: Annotated[Population, Field(description="Who there is.", examples=[{"agents": 10_000}])]
    workload: Annotated[
        Workload,
        Field(
            description="When trees start.",
            examples=[{"executor": "constant-arrival-rate", "duration": "1h"}],
        ),
    ]
    window: Annotated[
        Duration, Field(gt=0, description="Simulated time that goes to the server together.")
    ] = 5_000_000
    policy: Annotated[PolicySettings, Field(description="Rules of the token server.")] = PolicySettings()
    roles: Annotated[
        dict[Name, Role],
        BeforeValidator(_roles),
        Field(
            description="Changes to built-in roles, and roles of your own: fields, or a class.",
            validate_default=True,
        ),
    ] = Field(default_factory=dict)
    people: Annotated[
        People | None, Field(description="People who work beside the agents.", examples=[{"count": 100}])
    ] = None
    resource_servers: Annotated[
        ResourceServers, Field(description="How resource servers find out whether a token may be used.")
    ] = ResourceServers()
    attacks: Annotated[tuple[AttackSettings, ...], Field(description="Who misbehaves, and how.")] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Scenario:
        raise_faults("Scenario", cross_faults(self))
        return self

    @property
    def start_us(self) -> int:
        """The simulated beginning, microseconds since 1970."""
        return (self.start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    @property
    def span(self) -> int:
        """Microseconds of simulated time that go to the server together: the window, or less under tight limits.

        Within it, operations of those who do not wait for each other come out of order. A bucket that many share would
        take that for haste, so it must hold for twice as long.
        """
        limits = self.policy.server_policy().limits
        shared = [limit for limit in (limits.tree, *limits.classes.values()) if limit is not None]
        half = [round(limit.burst / limit.per_second * UNITS["s"] / 2) for limit in shared]
        return min(self.window, max(_SHORTEST_SPAN, min(half, default=self.window)))

    def tenant_agents(self) -> tuple[int, ...]:
        """How many agents each tenant has: at least one, the rest by share."""
        return tuple(count + 1 for count in self._dealt(self.population.agents - len(self.tenants)))

    def tenant_people(self) -> tuple[int, ...]:
        """How many people each tenant has, by share."""
        return self._dealt(self.people.count if self.people else 0)

    def _dealt(self, total: int) -> tuple[int, ...]:
        """So many, dealt to the tenants by their shares, by largest remainder."""
        shares = np.array([tenant.share for tenant in self.tenants])
        exact = total * (shares / shares.sum())
        counts = np.floor(exact).astype(np.int64)
        missing = total - int(counts.sum())
        counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
        return tuple(counts.tolist())

    def roots_of(self, tenant: int) -> dict[str, float]:
        """Weights of the roles of one tenant's roots."""
        return self.tenants[tenant].roots or self.population.roots

    def resolved(self) -> dict[str, Any]:
        """The scenario as plain JSON data with every default filled in; :func:`parse_scenario` reads it back."""
        return self.model_dump(mode="json", by_alias=True)

    def with_agents(self, agents: int) -> Scenario:
        """A copy with another number of agents. Raises SettingsError where that cannot be."""
        data = self.resolved()
        data["population"]["agents"] = agents
        return parse_scenario(data, self.name)

    def with_seed(self, seed: int) -> Scenario:
        """A copy with another seed. Raises SettingsError where it is negative."""
        return parse_scenario({**self.resolved(), "seed": seed}, self.name)

    def with_policy(self, policy: PolicySettings) -> Scenario:
        """A copy under other rules. Raises SettingsError where its roles cannot work under them."""
        data = {**self.resolved(), "policy": policy.model_dump(mode="json")}
        return parse_scenario(data, self.name)

    def without_attacks(self) -> Scenario:
        """A copy in which nobody misbehaves; every benign intent stays as it is."""
        return parse_scenario({**self.resolved(), "attacks": []}, self.name)


def load_scenario(path: Path | str) -> Scenario:
    """Read a scenario from a YAML file.

    Raises
    ------
    SettingsError
        With everything that is wrong: the file cannot be read or is not YAML (with the line), a key is
        unknown, missing or given twice, a value is out of range, or parts do not fit each other. The same of a
        policy file that it extends.
    """
    data = read_yaml(Path(path))
    if isinstance(data, dict) and "policy" in data:
        data["policy"] = extended(data["policy"], Path(path).parent)
    return parse_scenario(data, path)


def parse_scenario(data: Any, source: Path | str = "scenario") -> Scenario:
    """Make a scenario of plain data; ``source`` is named in errors.

    Raises
    ------
    SettingsError
        With everything that is wrong.
    """
    if not isinstance(data, Mapping):
        got = "nothing" if data is None else f"a {type(data).__name__}"
        raise SettingsError(
            source, [faults.Fault("", f"must hold keys such as name and population, got {got}")]
        )
    scenario, found = validate(Scenario, data)
    if scenario is None:
        raise SettingsError(source, found)
    return scenario
