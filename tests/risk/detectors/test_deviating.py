import numpy as np
import pytest

from agentsim.risk import Counts, Deviating, DeviationForest, gather
from agentsim.risk.detectors import COUNTS


def agency(world, *, clerks=150, couriers=40):
    """Clerks read and send a few times; couriers do nothing but send, often; nobody is ever refused."""
    random = np.random.default_rng(4)
    for _ in range(clerks):
        grant = world.grant("clerk")
        for _ in range(random.integers(2, 5)):
            world.verify(grant, "read")
        world.verify(grant, "send")
    for _ in range(couriers):
        grant = world.grant("courier")
        for _ in range(random.integers(8, 14)):
            world.verify(grant, "send")
    return world


@pytest.fixture(scope="module")
def usual(new_world, tmp_path_factory):
    return gather(agency(new_world()).write(tmp_path_factory.mktemp("agency") / "run"))


def scored(detector, world, path):
    evidence = gather(world.write(path))
    return dict(zip(evidence.features.index, detector.score(evidence), strict=True))


@pytest.mark.parametrize(
    "detector", [Deviating(wanted=COUNTS, two_sided=True), DeviationForest(0)], ids=lambda each: each.name
)
def test_what_one_role_does_all_day_is_suspicious_of_another(detector, usual, new_world, tmp_path):
    world = new_world()
    days = {"courier": ["send"] * 10, "clerk": ["read"] * 3 + ["send"], "busy": ["send"] * 10}
    grants = {}
    for name, tools in days.items():
        grants[name] = world.grant("courier" if name == "courier" else "clerk")
        for tool in tools:
            world.verify(grants[name], tool)
    score = scored(detector.fit(usual), world, tmp_path / "run")
    assert score[grants["busy"]] > max(score[grants["courier"]], score[grants["clerk"]]) * 1.05


def test_a_deviation_names_its_feature(usual, new_world, tmp_path):
    detector = Deviating(wanted=COUNTS, two_sided=True).fit(usual)
    world = new_world()
    refused = world.grant("clerk")
    for tool in ("read", "read", "read", "send"):
        world.verify(refused, tool)
    world.verify(refused, "pay", reason="tool_not_granted")
    told = detector.deviations(gather(world.write(tmp_path / "run")))
    furthest = [detector.encoder_.names_[place] for place in np.argsort(-told.surprise[0])[:2]]
    assert set(furthest) == {"refused_not_granted", "refused_share"}


@pytest.mark.parametrize(
    "detector",
    [Deviating(wanted=COUNTS, two_sided=True), DeviationForest(0), Counts(0)],
    ids=lambda each: each.name,
)
def test_where_times_mean_nothing_the_rest_is_scored(detector, usual, new_world, tmp_path):
    detector.fit(usual)
    timed, timeless = (
        gather(agency(new_world(), clerks=20, couriers=5).write(tmp_path / f"{timing}", timing=timing))
        for timing in (True, False)
    )
    assert "active_s" in timed.features
    assert "active_s" not in timeless.features
    assert np.isfinite(detector.score(timeless)).all()


@pytest.mark.parametrize(
    "detector", [Deviating(wanted=COUNTS, two_sided=True), DeviationForest(0)], ids=lambda each: each.name
)
def test_a_role_that_nobody_had_is_compared_with_everybody(detector, usual, new_world, tmp_path):
    detector.fit(usual)
    scores = []
    for role in ("auditor", "gardener"):
        world = new_world()
        world.verify(world.grant(role), "read")
        scores.append(detector.score(gather(world.write(tmp_path / role))).tolist())
    assert scores[0] == scores[1]
