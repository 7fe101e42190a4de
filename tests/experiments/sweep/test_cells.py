"""From the file of a sweep to its cells: names, seeds, and everything that is wrong at once."""

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.experiments.sweep import load_sweep
from agentsim.settings.durations import parse_duration
from agentsim.settings.faults import SettingsError
from agentsim.simulation.scenario import parse_scenario


def faults_of(path):
    with pytest.raises(SettingsError) as refused:
        load_sweep(path)
    return {fault.path: fault.message for fault in refused.value.faults}


def by_values(sweep):
    return {(str(cell.values), cell.replication): cell for cell in sweep.cells}


MATRIX = {"policy.access_ttl": ["1m", "5m"], "attacks.0.stealth": [0, 1], "population.agents": 40}


def test_every_value_is_played_with_every_other_as_often_as_wanted(write):
    sweep = load_sweep(write(matrix=MATRIX, replications=3))
    assert len(sweep.cells) == len({cell.cell for cell in sweep.cells}) == 12
    assert len({cell.seed for cell in sweep.cells}) == 12
    assert sweep.swept == ("policy.access_ttl", "attacks.0.stealth")
    scenario = sweep.scenario_of(sweep.cells[-1])
    assert (scenario.policy.access_ttl, scenario.attacks[0].stealth) == (300_000_000, 1)
    assert scenario.population.agents == 40
    assert scenario.seed == sweep.cells[-1].seed


def test_a_value_that_is_added_leaves_every_other_cell_as_it_was(write):
    few = load_sweep(write(matrix=MATRIX, replications=2))
    more = load_sweep(
        write(matrix={**MATRIX, "policy.access_ttl": ["30s", "1m", "2m", "300s"]}, replications=3)
    )
    assert by_values(few).items() <= by_values(more).items()


def test_the_same_value_written_in_another_way_is_the_same_point(write):
    one = load_sweep(write(matrix={"policy.access_ttl": "1m", "attacks.0.stealth": 1}))
    other = load_sweep(write(matrix={"attacks.0.stealth": 1.0, "policy.access_ttl": "60s"}))
    assert [cell.cell for cell in one.cells] == [cell.cell for cell in other.cells]
    assert len(load_sweep(write(matrix={"policy.access_ttl": ["1m", "60s"]})).cells) == 1


def test_names_and_seeds_are_pinned(write):
    (cell,) = load_sweep(write(matrix={"policy.access_ttl": "1m"})).cells
    assert (cell.cell, cell.seed) == ("bc7649271b-r0", 277_200_674_284_277_040_003_136_219_141_003_806_320)


def test_with_common_random_numbers_a_replication_has_one_seed(write):
    sweep = load_sweep(write(matrix=MATRIX, replications=2, common_random_numbers=True))
    seeds = {cell.replication: cell.seed for cell in sweep.cells}
    assert all(cell.seed == seeds[cell.replication] for cell in sweep.cells)
    assert seeds[0] != seeds[1]


def test_a_list_is_swept_by_a_list_of_lists_and_a_part_by_a_list_of_parts(write):
    loads = [
        {"executor": "constant-arrival-rate", "duration": "5m"},
        {"executor": "constant-arrival-rate", "rate": "1/s"},
    ]
    sweep = load_sweep(write(matrix={"policy.scopes.block": [[], ["*:prod"]], "workload": loads}))
    assert len(sweep.cells) == 4
    assert sweep.scenario_of(sweep.cells[-1]).policy.scopes.block == ("*:prod",)


def test_what_is_excluded_is_not_played(write):
    sweep = load_sweep(write(matrix=MATRIX, exclude=[{"policy.access_ttl": "1m", "attacks.0.stealth": 1}]))
    assert [(cell.values["policy.access_ttl"], cell.values["attacks.0.stealth"]) for cell in sweep.cells] == [
        ("1m", 0),
        ("5m", 0),
        ("5m", 1),
    ]


def test_an_excluded_combination_may_be_one_that_the_scenario_refuses(write):
    matrix = {"policy.access_ttl": ["1m", "2h"], "policy.grant_ttl": ["1h", "3h"]}
    assert "policy.grant_ttl" in faults_of(write(matrix=matrix))
    excluded = [{"policy.access_ttl": "2h", "policy.grant_ttl": "1h"}]
    assert len(load_sweep(write(matrix=matrix, exclude=excluded)).cells) == 3


SPACE = {"policy.access_ttl": ["1m", "1h"], "attacks.0.stealth": [0, 1], "population.agents": [10, 20]}


@pytest.mark.parametrize("method", ["lhs", "sobol"])
def test_drawn_points_lie_in_their_ranges_and_fill_them(write, method):
    sweep = load_sweep(
        write(sample={"method": method, "n": 16, "space": SPACE, "log": ["policy.access_ttl"]})
    )
    assert len(sweep.cells) == 16
    lifetimes = [parse_duration(cell.values["policy.access_ttl"]) for cell in sweep.cells]
    assert all(60_000_000 <= one <= 3_600_000_000 and one % 1_000_000 == 0 for one in lifetimes)
    # Logarithmic: half of them lie below the geometric mean.
    assert sum(one < 60_000_000 * 60**0.5 for one in lifetimes) == 8
    stealth = sorted(cell.values["attacks.0.stealth"] for cell in sweep.cells)
    assert [int(16 * one) for one in stealth] == list(range(16))
    assert all(isinstance(cell.values["population.agents"], int) for cell in sweep.cells)
    assert {cell.values["population.agents"] for cell in sweep.cells} <= set(range(10, 21))


def test_the_sample_is_played_with_each_value_of_the_matrix(write):
    sample = {"method": "sobol", "n": 4, "space": {"policy.access_ttl": ["1m", "1h"]}}
    sweep = load_sweep(write(matrix={"attacks.0.stealth": [0, 1]}, sample=sample, replications=2))
    assert len(sweep.cells) == 16
    drawn = [
        {c.values["policy.access_ttl"] for c in sweep.cells if c.values["attacks.0.stealth"] == s}
        for s in (0, 1)
    ]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 4


def test_twice_as_many_sobol_points_hold_those_that_there_were(write):
    def cells(count):
        sample = {"method": "sobol", "n": count, "space": {"attacks.0.stealth": [0, 1]}}
        return by_values(load_sweep(write(sample=sample)))

    assert cells(8).items() <= cells(16).items()


def test_every_fault_of_the_file_is_told_at_once(write):
    found = faults_of(
        write(
            replications=0,
            matrx={},
            matrix={"seed": [1, 2], "policy.access_ttl": []},
            exclude=[{"policy.grant_ttl": "1h"}],
            sample={
                "method": "sobol",
                "n": 6,
                "space": {"policy.registration_ttl": ["1m", 5], "attacks.0.stealth": [1, 0]},
                "log": ["policy.max_depth"],
            },
        )
    )
    assert found == {
        "replications": "must be at least 1, got 0",
        "matrx": "unknown key; did you mean 'matrix'?",
        "matrix.seed": "is not varied: each cell has a seed of its own; 'replications' says how many",
        "matrix.policy.access_ttl": "has no values",
        "exclude.0.policy.grant_ttl": "not in the matrix; did you mean 'policy.access_ttl'?",
        "sample.n": "a Sobol design has 1, 2, 4, 8, ... points, got 6",
        "sample.log.0": "not in the space; known here: attacks.0.stealth, policy.registration_ttl",
        "sample.space.policy.registration_ttl": "both ends must be durations, rates or numbers, got '1m' and 5",
        "sample.space.attacks.0.stealth": "must go from the lower to the higher end, got 1 to 0",
    }


def test_what_the_scenario_does_not_take_is_told_with_the_cell_that_it_breaks(write):
    matrix = {"policy.acess_ttl": ["1m", "5m"], "population.agents": [0, 10], "attacks.3.stealth": 1}
    found = faults_of(write(matrix=matrix))
    cell = "(where policy.acess_ttl=1m, population.agents=0, attacks.3.stealth=1 and"
    assert found == {
        "policy.acess_ttl": f"unknown key; did you mean 'access_ttl'? {cell} 3 more)",
        "population.agents": f"must be at least 1, got 0 {cell} 1 more)",
        "attacks.3.stealth": f"there is no entry 3: the list has 1 {cell} 3 more)",
    }


def test_the_scenario_may_be_a_file_and_its_faults_are_told_as_its_own(write, small, tmp_path):
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(small))
    from_file = load_sweep(write(scenario="scenario.yaml", matrix=MATRIX))
    assert from_file.cells == load_sweep(write(matrix=MATRIX)).cells
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump({**small, "seed": -1}))
    assert faults_of(write(scenario="scenario.yaml")) == {"seed": "must be at least 0, got -1"}
    without = {key: value for key, value in small.items() if key != "seed"}
    assert faults_of(write(scenario=without)) == {
        "seed": "required here: the seeds of all cells are made from it"
    }


def test_a_policy_may_be_swept_by_its_files(write, tmp_path):
    for name, ttl in (("short", "1m"), ("long", "9m")):
        (tmp_path / f"{name}.yaml").write_text(f"access_ttl: {ttl}\n")
    matrix = {"policy": [{"extends": "short.yaml"}, {"extends": "long.yaml", "max_depth": 3}]}
    sweep = load_sweep(write(matrix=matrix))
    policies = [sweep.scenario_of(cell).policy for cell in sweep.cells]
    assert [(one.access_ttl // 60_000_000, one.max_depth) for one in policies] == [(1, 8), (9, 3)]


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=6, unique=True),
    st.lists(st.floats(0, 1), min_size=1, max_size=6, unique=True),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cell_depends_on_its_values_alone(write, small, agents, stealths):
    whole = load_sweep(write(matrix={"population.agents": agents, "attacks.0.stealth": stealths}))
    assert len(whole.cells) == len(agents) * len(stealths)
    last = {"attacks.0.stealth": stealths[-1], "population.agents": agents[-1]}
    (alone,) = load_sweep(write(matrix=last)).cells
    assert alone == whole.cells[-1]
    assert whole.scenario_of(alone) == parse_scenario(
        {
            **small,
            "seed": alone.seed,
            "population": {"agents": agents[-1]},
            "attacks": [{**small["attacks"][0], "stealth": stealths[-1]}],
        }
    )
