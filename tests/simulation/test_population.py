from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.simulation.population import Population, make_population
from agentsim.simulation.roles import ROLES
from agentsim.simulation.scenario import Scenario, parse_scenario

Make = Callable[..., Scenario]


def well_formed(population: Population) -> None:
    """Each tree stands together, parents before children, children of one parent side by side."""
    parent, child = population.parent, np.flatnonzero(population.parent >= 0)
    assert (parent < np.arange(len(population))).all()
    assert (population.tree[child] == population.tree[parent[child]]).all()
    assert (population.depth[child] == population.depth[parent[child]] + 1).all()
    assert (population.depth[parent < 0] == 0).all()
    assert set(np.diff(population.tree).tolist()) <= {0, 1}
    assert (np.bincount(parent[child], minlength=len(population)) == population.children).all()
    rank = child - population.first_child[parent[child]]
    assert ((rank >= 0) & (rank < population.children[parent[child]])).all()


@settings(max_examples=40, deadline=None)
@given(
    agents=st.integers(1, 400),
    fanout=st.floats(0, 6),
    max_depth=st.integers(0, 5),
    max_fanout=st.integers(0, 9),
    seed=st.integers(0, 2**130),
)
def test_there_are_exactly_as_many_agents_as_wanted_in_whole_trees(
    agents: int, fanout: float, max_depth: int, max_fanout: int, seed: int
) -> None:
    scenario = parse_scenario(
        {
            "schema": 1,
            "name": "story",
            "seed": seed,
            "population": {"agents": agents, "max_depth": max_depth, "max_fanout": max_fanout},
            "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
            "roles": {"orchestrator": {"fanout": fanout}},
        }
    )
    population = make_population(scenario, 0)
    assert len(population) == agents
    well_formed(population)
    assert population.depth.max() <= max_depth
    assert population.children.max() <= max_fanout
    assert sum(len(level) for level in population.levels()) == agents


def test_one_huge_tree_is_cut_without_growing_it_whole(scenario: Make) -> None:
    role = {**ROLES["orchestrator"], "fanout": 1000.0, "child_roles": {"orchestrator": 1}}
    parts = {"agents": 5_000, "max_depth": 64, "max_fanout": 1_000_000, "roots": {"orchestrator": 1}}
    population = make_population(scenario(population=parts, roles={"orchestrator": role}), 0)
    assert len(population) == 5_000
    assert len(population.roots) == 1
    well_formed(population)


def test_fan_out_and_roles_are_as_the_roles_say(scenario: Make) -> None:
    population = make_population(scenario(population={"agents": 60_000}), 0)
    code = population.catalogue.roles.index("orchestrator")
    shallow = (population.role == code) & (population.depth < 6)
    assert population.children[shallow].mean() == pytest.approx(2.2, rel=0.03)
    of_orchestrators = population.role[
        (population.parent >= 0) & (population.role[population.parent] == code)
    ]
    assert (of_orchestrators == code).mean() == pytest.approx(0.12, abs=0.01)
    roots = population.role[population.roots]
    assert (roots == code).mean() == pytest.approx(0.45, abs=0.02)


def test_the_same_seed_grows_the_same_trees_and_another_others(scenario: Make) -> None:
    first, again, other = (make_population(scenario(seed=seed), 0) for seed in (1, 1, 2))
    assert (first.parent == again.parent).all()
    assert (first.role == again.role).all()
    assert not (first.parent == other.parent).all()


def test_tenants_grow_their_own_trees(scenario: Make) -> None:
    parted = scenario(tenants=[{"name": "a"}, {"name": "b"}, {"name": "c", "roots": {"support_agent": 1}}])
    first, second, third = (make_population(parted, tenant) for tenant in range(3))
    assert [len(first), len(second), len(third)] == list(parted.tenant_agents())
    assert not np.array_equal(first.parent[:100], second.parent[:100])
    assert third.catalogue.roles == ("support_agent",)
