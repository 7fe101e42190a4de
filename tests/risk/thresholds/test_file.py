import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.risk import ThresholdError, ThresholdFile, load_thresholds
from agentsim.risk.thresholds import ACTIONS, KINDS, read_thresholds, write_thresholds
from agentsim.settings.faults import SettingsError

DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
# What stands in one line; YAML has no words for lone surrogates.
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SCORE = st.floats(-1e6, 1e6)
DATES = st.tuples(st.dates(), st.dates()).map(sorted)
WAYS = st.one_of(
    st.builds(lambda score: {"by": "fixed", "score": score}, SCORE),
    st.builds(lambda n: {"by": "budget", "alerts": f"{n}/hour"}, st.integers(1, 9999)),
    st.builds(
        lambda a, m: {"by": "budget", "analysts": a, "minutes_per_alert": m},
        st.floats(0.5, 9),
        st.floats(1, 60),
    ),
    st.builds(lambda share: {"by": "fdr", "share": share, "expected": 7}, st.floats(0.01, 0.5)),
    st.builds(
        lambda floors: {"by": "recall", "floors": floors},
        st.dictionaries(WORDS, st.floats(0.1, 1), min_size=1),
    ),
    st.builds(
        lambda kinds: {
            "by": "cost",
            "costs": {"missed": kinds, "missed_otherwise": 3.0, "false_alarm": 0.25},
        },
        st.dictionaries(WORDS, st.floats(0, 1e6), max_size=3),
    ),
)


@st.composite
def files(draw):
    made, expires = draw(DATES)
    kinds = st.dictionaries(st.sampled_from(KINDS), st.none() | SCORE, min_size=1)
    values = {"thresholds": draw(kinds), "roles": draw(st.dictionaries(WORDS, kinds, max_size=2))}
    cuts = [
        v
        for each in (values["thresholds"], *values["roles"].values())
        for v in each.values()
        if v is not None
    ]
    above = st.floats(0, 1e6).map(lambda more: min(cuts) + more)
    run = st.fixed_dictionaries(
        {
            "used": st.sampled_from(["learned", "calibrated", "chosen", "reported"]),
            "scenario": WORDS,
            "seed": st.none() | st.integers(0, 2**64),
            "digest": DIGEST,
        }
    )
    return ThresholdFile.model_validate(
        {
            "schema": 1,
            "made": made,
            "expires": expires,
            "detector": draw(WORDS),
            "model": draw(st.none() | st.fixed_dictionaries({"file": WORDS, "sha256": DIGEST})),
            **values,
            "actions": draw(st.dictionaries(st.sampled_from(ACTIONS), above)) if cuts else {},
            "chosen": draw(WAYS),
            "expected": {
                "alerts_per_day": draw(st.none() | NUMBER),
                "interval": draw(st.none() | st.tuples(NUMBER, NUMBER)),
                "precision": draw(st.none() | NUMBER),
                "recall": draw(st.dictionaries(WORDS, NUMBER, max_size=3)),
            },
            "provenance": {"agentsim": "1", "runs": tuple(draw(st.lists(run, max_size=3)))},
        }
    )


@given(file=files())
@settings(max_examples=60, deadline=None)
def test_a_file_is_read_as_it_was_written(tmp_path_factory, file):
    path = tmp_path_factory.mktemp("file") / "thresholds.yaml"
    write_thresholds(file, path)
    assert read_thresholds(path) == file
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def written(tmp_path, **changed):
    base = {
        "schema": 1,
        "made": datetime.date(2026, 1, 1),
        "expires": datetime.date(2026, 4, 1),
        "detector": "combined",
        "model": {"file": "model", "sha256": "ab" * 32},
        "thresholds": {"grant": 3.0, "tree": 4.0, "agent": None},
        "roles": {"planner": {"grant": 5.0}},
        "actions": {"log": 3.0, "step_up": 4.5, "revoke_tree": 6.0},
        "chosen": {"by": "budget", "alerts": "50/day"},
        "expected": {"alerts_per_day": 48.2},
        "provenance": {"agentsim": "1", "runs": ()},
    }
    path = tmp_path / "thresholds.yaml"
    write_thresholds(ThresholdFile.model_validate(base | changed), path)
    return path


def test_it_holds_on_its_last_day_and_is_refused_on_the_next(tmp_path):
    path = written(tmp_path)
    assert load_thresholds(path, datetime.date(2026, 4, 1)).detector == "combined"
    with pytest.raises(ThresholdError, match=r"thresholds\.yaml: expired on 2026-04-01; .*agentsim tune"):
        load_thresholds(path, datetime.date(2026, 4, 2))


def test_thresholds_are_those_of_the_role_where_it_has_its_own(tmp_path):
    cut = read_thresholds(written(tmp_path)).cut
    assert cut.at("grant", "planner") == 5
    assert cut.at("grant", "reader") == 3
    assert cut.at("tree", "planner") == 4
    assert cut.at("agent", "reader") == float("inf")


def test_what_is_done_is_the_strongest_that_the_score_reaches(tmp_path):
    file = read_thresholds(written(tmp_path))
    assert [file.action(score) for score in (2, 3, 4.5, 5, 6, 99)] == [
        None,
        "log",
        "step_up",
        "step_up",
        "revoke_tree",
        "revoke_tree",
    ]


def test_it_is_never_called_what_the_organisation_allows(tmp_path):
    assert "policy" not in written(tmp_path).read_text()


def test_all_faults_are_told_at_once_each_with_its_path(tmp_path):
    path = written(tmp_path)
    text = path.read_text()
    for old, new in (
        ("grant: 3.0", "grant: high"),
        ("step_up: 4.5", "step_up: 1.0, revoke: 2"),
        ("50/day", "fifty"),
        ("expires: 2026-04-01", "expires: 2025-04-01"),
        ("detector: combined", "detectors: combined"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_thresholds(path)
    assert {fault.path for fault in refused.value.faults} >= {
        "thresholds.grant",
        "actions.revoke",
        "chosen.alerts",
        "detector",
        "detectors",
        "expires",
    }


def test_an_action_that_begins_below_every_alert_is_a_fault(tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("step_up: 4.5", "step_up: 1.0"))
    with pytest.raises(SettingsError, match=r"actions\.step_up: begins at 1, but no alert is below 3"):
        read_thresholds(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "not a file of thresholds"),
        ("access_ttl: 5m\n", "not a file of thresholds"),
        ("schema: 2\nthresholds: {}\n", "written in format 2"),
        ("thresholds: {grant: 1}\nthresholds: {grant: 2}\n", "given twice"),
    ],
)
def test_another_file_is_told_from_one_of_thresholds(tmp_path, text, message):
    path = tmp_path / "thresholds.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_thresholds(path)


@pytest.mark.parametrize("breaks", ["\n", "\x85", "\u2028", "\x00"])
def test_names_stand_in_one_line(tmp_path, breaks):
    with pytest.raises(ValueError, match="detector"):
        written(tmp_path, detector=f"com{breaks}bined")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        load_thresholds(tmp_path / "none.yaml")
