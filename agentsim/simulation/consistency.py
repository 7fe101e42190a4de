"""What does not fit together in a scenario although each of its parts is good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from agentsim.settings import faults
from agentsim.settings.durations import format_duration
from agentsim.settings.strict import Fault
from agentsim.simulation.role import Role

if TYPE_CHECKING:
    from agentsim.simulation.scenario import Scenario

#: Ids count from 2020 on, for 69 years; a run may last for some of them.
_YEARS = range(2020, 2080)
#: Tools, and resources, that all roles of a scenario may name together: sets of them are 64-bit masks.
MOST_NAMES = 64


def cross_faults(scenario: Scenario) -> Iterable[Fault]:
    """Every such fault, with its path."""
    yield from _unknown_roles(scenario)
    yield from _too_many_names(scenario.roles)
    yield from _roles_without_rules(scenario)
    yield from _people_faults(scenario)
    yield from _unknown_resources(scenario)
    for name, role in scenario.roles.items():
        if role.level not in scenario.policy.levels:
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


def _roles_without_rules(scenario: Scenario) -> Iterable[Fault]:
    """Roles that agents of the scenario have and a policy with roles does not name."""
    used = {name for tenant in range(len(scenario.tenants)) for name in scenario.roots_of(tenant)}
    for name in (waiting := sorted(used)):
        below = scenario.roles[name].child_roles if name in scenario.roles else {}
        # The list grows while it is walked through.
        waiting += [child for child in below if child not in waiting]
    for name in waiting:
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


def _too_many_names(roles: Mapping[str, Role]) -> Iterable[Fault]:
    for what, names in (
        ("tools", {tool for role in roles.values() for tool in role.tools}),
        ("resources", {name for role in roles.values() for name in role.resources}),
    ):
        if len(names) > MOST_NAMES:
            yield ("roles",), f"all roles together name {len(names)} {what}; at most {MOST_NAMES}", None
