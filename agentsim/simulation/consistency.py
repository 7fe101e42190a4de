"""What does not fit together in a scenario although each of its parts is good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from agentsim.settings import faults
from agentsim.settings.durations import format_duration
from agentsim.settings.strict import Fault
from agentsim.simulation.role import reachable
from agentsim.simulation.roles import ROLES

if TYPE_CHECKING:
    from agentsim.simulation.scenario import Scenario

#: Ids count from 2020 on, for 69 years; a run may last for some of them.
_YEARS = range(2020, 2080)
#: Tools, and resources, that the roles of one tenant may name together: sets of them are 64-bit masks.
MOST_NAMES = 64


def cross_faults(scenario: Scenario) -> Iterable[Fault]:
    """Every such fault, with its path."""
    yield from _unknown_roles(scenario)
    yield from _too_many_names(scenario)
    yield from _roles_without_rules(scenario)
    yield from _people_faults(scenario)
    yield from _unknown_resources(scenario)
    used = _used_roles(scenario)
    for name, role in scenario.roles.items():
        # What is built in and not used need not fit.
        if (name in used or name not in ROLES) and role.level not in scenario.policy.levels:
            text = f"no such level; {faults.suggestion(role.level, scenario.policy.levels)}"
            yield ("roles", name, "level"), text, role.level
    names = [tenant.name for tenant in scenario.tenants]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield ("tenants", number, "name"), f"{name!r} is taken by another tenant", name
    agents = scenario.population.agents
    if agents < len(names):
        yield (
            ("population", "agents"),
            f"must be at least 1 for each of {len(names)} tenants, got {agents}",
            agents,
        )
    if scenario.start.year not in _YEARS:
        yield ("start",), f"must lie in the years {_YEARS[0]} to {_YEARS[-1]}", scenario.start
    for key, number in scenario.workload.dealt.items():
        if number < len(names):
            text = f"must be at least 1 for each of {len(names)} tenants, got {number}"
            yield ("workload", key), text, number
    end = scenario.workload.end
    for number, attack in enumerate(scenario.attacks):
        if end is not None and attack.start >= end:
            text = f"begins when the last tree has started ({format_duration(end)})"
            yield ("attacks", number, "start"), text, attack.start


def _used_roles(scenario: Scenario) -> list[str]:
    """Names of the roles that agents of any tenant have."""
    tenants = range(len(scenario.tenants))
    return sorted({name for n in tenants for name in reachable(scenario.roles, scenario.roots_of(n))})


def _roles_without_rules(scenario: Scenario) -> Iterable[Fault]:
    """Roles that agents of the scenario have and a policy with roles does not name."""
    for name in _used_roles(scenario):
        if scenario.policy.roles and name not in scenario.policy.roles:
            yield ("policy", "roles"), f"agents of the role {name!r} could not register: add it", None


def _unknown_resources(scenario: Scenario) -> Iterable[Fault]:
    known = {name for role in scenario.roles.values() for name in role.resources}
    known |= scenario.people.resources if scenario.people else frozenset()
    for name in scenario.resource_servers.others:
        if name not in known:
            text = f"no tool works on it; {faults.suggestion(name, known)}"
            yield ("resource_servers", "others", name), text, name


def _people_faults(scenario: Scenario) -> Iterable[Fault]:
    people, policy = scenario.people, scenario.policy
    if people is None:
        return
    if people.role in scenario.roles:
        yield ("people", "role"), f"{people.role!r} is a role of agents", people.role
    if policy.roles and people.role not in policy.roles:
        text = f"the policy has no such role; {faults.suggestion(people.role, policy.roles)}"
        yield ("people", "role"), text, people.role
    if people.level not in policy.levels:
        text = f"no such level; {faults.suggestion(people.level, policy.levels)}"
        yield ("people", "level"), text, people.level
    end = scenario.workload.end
    if end is not None and not people.is_anybody_at_work(scenario.start_us, scenario.start_us + end):
        text = "nobody is at work while trees arrive; see start, hours, days and zone"
        yield ("people", "hours"), text, None


def _unknown_roles(scenario: Scenario) -> Iterable[Fault]:
    places: list[tuple[tuple[str | int, ...], Mapping[str, float]]] = [
        (("population", "roots"), scenario.population.roots)
    ]
    places += [(("roles", name, "child_roles"), role.child_roles) for name, role in scenario.roles.items()]
    for number, tenant in enumerate(scenario.tenants):
        if tenant.roots is not None:
            places.append((("tenants", number, "roots"), tenant.roots))
    for path, weights in places:
        for name in weights:
            if name not in scenario.roles:
                yield (*path, name), f"no such role; {faults.suggestion(name, scenario.roles)}", name
        if path[-1] == "roots" and not any(weights.values()):
            yield path, "one weight at least must be above 0", weights


def _too_many_names(scenario: Scenario) -> Iterable[Fault]:
    told: set[str] = set()
    for number, tenant in enumerate(scenario.tenants):
        roles = [scenario.roles[name] for name in reachable(scenario.roles, scenario.roots_of(number))]
        for what, names in (
            ("tools", {tool for role in roles for tool in role.tools}),
            ("resources", {name for role in roles for name in role.resources}),
        ):
            if len(names) > MOST_NAMES and what not in told:
                told.add(what)
                text = f"the roles of {tenant.name} together name {len(names)} {what}; at most {MOST_NAMES}"
                yield ("roles",), text, None
