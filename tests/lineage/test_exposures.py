"""What resource servers let through after a mark, and what is found where a Run says more than can be true."""

import shutil

import pytest

from agentsim.lineage import check
from agentsim.run import Run
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    scenario = parse_scenario(
        {
            "schema": 1,
            "name": "exposed",
            "seed": 5,
            "population": {"agents": 120},
            "workload": {"executor": "constant-arrival-rate", "duration": "5m"},
            "roles": {"orchestrator": {"cancelled": 0.5}},
            "resource_servers": {"verification": "offline"},
        }
    )
    return simulate(scenario, tmp_path_factory.mktemp("runs") / "exposed")


def set_first(**values):
    def change(frame):
        for column, value in values.items():
            frame.at[0, column] = value

    return change


#: What is changed in the first row, and the words that tell it.
TAMPERINGS = {
    "verified online": ({"verification": "online"}, "although each call was verified online"),
    "a mark that nobody made": ({"revocation_id": 7}, "the mark is not in the Run"),
    "more tokens than calls": ({"tokens": 10**6}, "contradict each other"),
    "a last call before the first": ({"last_us": -1}, "contradict each other"),
    "a token that lives too long": ({"last_us": 300_000_000}, "no token lives that long"),
}


def test_what_offline_servers_let_through_breaks_no_invariant(exposed):
    assert len(exposed.frame("exposures")) > 0
    assert check(exposed) == []


@pytest.mark.parametrize("name", TAMPERINGS)
def test_an_exposure_that_cannot_be_is_found(name, exposed, tmp_path, tamper):
    values, words = TAMPERINGS[name]
    shutil.copytree(exposed.path, tmp_path / "copy")
    found = check(tamper(Run(tmp_path / "copy"), "exposures", set_first(**values)))
    assert {violation.rule for violation in found} == {"exposure"}
    assert words in str(found[0])
