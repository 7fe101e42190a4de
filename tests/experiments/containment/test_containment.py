"""Thresholds compared by what they stop and what they cost: the same scenario, the same seed, other answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest

from agentsim.experiments.containment import ContainmentError, contain, plan, results
from agentsim.reporting.anomaly.containment import containment_curve
from agentsim.reporting.figures import Note
from agentsim.run import Run
from agentsim.server import Assessment
from agentsim.simulation.scenario import Scenario, parse_scenario

pytestmark = pytest.mark.usefixtures("found_by_workers")


@dataclass(frozen=True)
class Hosts:
    """Finds uses from outside the organisation very strange, and one honest task in twenty a little."""

    above: float = 9.0
    action: Any = "step_up"

    @property
    def digest(self) -> str:
        return f"{self.above} {self.action}"

    def threshold(self, honest: Run) -> float:
        assert honest.manifest.seed != scenario().seed
        return 3.0

    def watch(self, threshold: float, action: Any) -> "Hosts":
        return Hosts(threshold, action)

    def for_tenant(self, tenant: int) -> tuple[Any, None]:
        return self, None

    def assess(self, use: Any, state: Any) -> Assessment:
        host = (use.event.source_ip or "") if use.event else ""
        score = (
            4.0 if host.startswith("203.0.113.") else 2.0 if crc32(use.task_id.encode()) % 20 == 0 else 0.0
        )
        if score < self.above:
            return Assessment(True, "normal", "low", score)
        return Assessment(False, "unusual", "high", score, ("its host",), self.action)


def learns(reference: Run) -> Hosts:
    return Hosts()


def scenario(**parts: Any) -> Scenario:
    return parse_scenario(
        {
            "schema": 1,
            "name": "small",
            "seed": 5,
            "population": {"agents": 150},
            "workload": {"executor": "constant-arrival-rate", "duration": "15m"},
            "attacks": [{"kind": "token_theft", "prevalence": 0.2, "stealth": 0}],
            **parts,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("containment") / "compared"
    contain(plan(scenario(), points=3, action="step_up"), path, learns=learns, jobs=1)
    return path


@pytest.fixture(scope="module")
def compared(folder: Path) -> pd.DataFrame:
    """No threshold, one that honest tasks meet, one that attackers meet alone, and one that nobody meets."""
    return results(folder)


def test_thresholds_lie_between_one_in_ten_and_one_in_a_hundred_thousand_and_hold_the_default() -> None:
    assert plan(scenario(), points=3).thresholds(3.4) == (1.0, 3.4, 5.0)
    assert plan(scenario(), points=3).thresholds(6.1) == (1.0, 3.0, 6.1)
    assert len(set(plan(scenario(), points=12).thresholds(3.4))) == 12


def test_a_good_threshold_stops_attackers_and_nobody_else(compared: pd.DataFrame) -> None:
    none, low, good, high = compared.to_dict("records")
    assert np.isnan(none["threshold"])
    assert compared["is_default"].tolist() == [False, False, True, False]
    assert none["attacks"] > 3
    assert none["honoured"] > 20
    assert (none["honest_killed"], none["alerts"], none["contained"]) == (0, 0, 0)
    # A thief's first use is from outside, and is refused before it is honoured.
    assert good["honoured"] < 0.2 * none["honoured"]
    assert good["contained"] == good["attacks"]
    assert good["contained_after_s"] == 0
    assert good["grants_reached"] < none["grants_reached"]
    # About one in twenty is killed where honest tasks are found strange, too, and those that hang upon them.
    assert 0.01 < low["honest_killed_share"] < 0.2
    assert 0 < low["honest_calls_lost"] < 0.2
    assert low["alerts_per_day"] > good["alerts_per_day"] > 0
    # Nobody reaches the highest: all is as when nobody acts.
    assert high["digest"] == none["digest"]
    assert (high["honoured_share"], high["honest_killed"]) == (1.0, 0)


def test_of_the_good_threshold_only_what_hangs_on_the_attacked_is_killed(compared: pd.DataFrame) -> None:
    good = compared[compared["is_default"]].iloc[0]
    assert good["honest_killed"] <= good["attacks"] * 3


def test_the_same_call_again_plays_nothing(folder: Path, compared: pd.DataFrame) -> None:
    made = {path: path.stat().st_mtime_ns for path in folder.glob("*/audit/*.parquet")}
    again = contain(plan(scenario(), points=3, action="step_up"), folder, learns=learns, jobs=1)
    pd.testing.assert_frame_equal(again, compared)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/audit/*.parquet")} == made


def test_each_run_says_under_which_thresholds_it_was_played(folder: Path) -> None:
    runs = {path.name: Run(path).manifest for path in folder.iterdir() if path.is_dir()}
    assert {name: manifest.thresholds for name, manifest in runs.items()} == {
        "reference": None,
        "calibration": None,
        "none": None,
        "1.00": "1.0 step_up",
        "3.00": "3.0 step_up",
        "5.00": "5.0 step_up",
    }
    assert runs["none"].seed == runs["3.00"].seed
    assert len({runs[name].seed for name in ("reference", "calibration", "none")}) == 3


def test_results_are_there_for_programs(folder: Path, compared: pd.DataFrame) -> None:
    told = pd.read_csv(folder / "results.csv")
    assert told["honoured"].tolist() == compared["honoured"].tolist()


def test_the_curve_marks_the_default_and_tells_its_numbers(compared: pd.DataFrame) -> None:
    picture = containment_curve(compared)
    assert not isinstance(picture, Note)
    assert picture.finding.startswith("The default threshold (3) stops ")
    assert picture.table["Threshold"].tolist() == ["none", "1.00", "3.00", "5.00"]
    assert "5.00: 100 % honoured, 0 honest tasks killed" in picture.alt
    (axes,) = picture.figure.axes
    assert axes.get_xscale() == "log"
    assert {text.get_text() for text in axes.texts} >= {"1.00", "3.00, the default"}
    nothing = compared.assign(honoured=0)
    assert isinstance(containment_curve(nothing), Note)


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    peaceful = plan(scenario(attacks=[]), points=2)
    with pytest.raises(ContainmentError, match="nobody attacks"):
        contain(peaceful, tmp_path / "peaceful", learns=learns)
    with pytest.raises(ContainmentError, match="no comparison here"):
        results(tmp_path)
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ContainmentError, match="choose another"):
        contain(plan(scenario(), points=2), tmp_path, learns=learns)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "containment.json").write_text("{}")
    with pytest.raises(ContainmentError, match="cannot be read"):
        results(broken)
