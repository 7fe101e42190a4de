"""A manifest is what was written, or is not read."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.run import Run, RunError


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_character_of_a_manifest_can_be_another(made, data):
    file = made.path / "manifest.json"
    whole = file.read_text()
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != whole[place]))
    try:
        file.write_text(whole[:place] + other + whole[place + 1 :])
        with pytest.raises(RunError, match=r"manifest\.json"):
            Run(made.path)
    finally:
        file.write_text(whole)
    assert Run(made.path).manifest == made.manifest


def test_a_manifest_that_was_edited_is_told_with_what_makes_it_again(made):
    file = made.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seed": 4}))
    with pytest.raises(RunError, match=f"not what was written; make it again: {made.manifest.reproduce}"):
        Run(made.path)


def test_what_makes_a_run_again_fakes_no_line(made, rewrite_manifest):
    command = "agentsim simulate x.yaml\nagentsim: all is well"
    rewrite_manifest(made, reproduce=command)
    made.files("audit")[0].unlink()
    with pytest.raises(
        RunError, match=r"make it again: agentsim simulate x\.yaml agentsim: all is well"
    ) as damaged:
        Run(made.path).require_whole()
    file = made.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sha256": "other"}))
    with pytest.raises(RunError, match="not what was written") as edited:
        Run(made.path)
    assert "\n" not in f"{damaged.value}{edited.value}"


def test_a_digest_that_is_no_text_is_refused(made, rewrite_manifest):
    name = made.files("audit")[0].relative_to(made.path).as_posix()
    entry = {"sha256": "\ud800", "rows": 1, "bytes": 1}
    rewrite_manifest(made, files={name: entry})
    with pytest.raises(RunError, match="sha256"):
        Run(made.path)


def test_a_manifest_from_before_there_were_digests_is_read(made, rewrite_manifest):
    rewrite_manifest(made, name="older")
    assert Run(made.path).name == "older"


@pytest.fixture
def made(make_run, tmp_path):
    return make_run(tmp_path / "run")
