"""What a report may be given is checked before anything runs."""

import pytest

from agentsim.reporting import NOTEBOOKS, ReportError
from agentsim.reporting.notebooks import (
    check_parameters,
    declared,
    describe,
    find_notebook,
    list_notebooks,
    list_reports,
    parameter_lines,
)


def check(name, given):
    return check_parameters(describe(name), ["here"], given).model_dump(exclude={"run"})


def test_the_project_has_its_reports_wherever_it_is_asked_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"anomaly", "scale"} <= set(list_reports())
    assert find_notebook("scale").is_file()


def test_the_catalogue_names_the_notebooks_that_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sorted(NOTEBOOKS) == list_notebooks()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_declares_what_its_model_says(name):
    cell, model = declared(find_notebook(name)), NOTEBOOKS[name].parameters
    assert parameter_lines(cell) == parameter_lines(model)
    for field, told in cell.model_fields.items():
        assert told.description == model.model_fields[field].description != ""
        assert told.default == model.model_fields[field].default
    assert model()  # Defaults are within their limits.


@pytest.mark.parametrize("name", ["nothing", "../notebooks/scale", "scale.ipynb", ""])
def test_a_report_that_is_not_there_is_answered_with_those_that_are(name):
    with pytest.raises(ReportError, match=r"there are: anomaly, .*scale"):
        find_notebook(name)


def test_without_any_notebook_the_places_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("agentsim.reporting.notebooks._folders", lambda: [tmp_path])
    with pytest.raises(ReportError, match=str(tmp_path)):
        find_notebook("scale")


def test_text_becomes_what_the_notebook_declares(shelf):
    shelf("tiny")
    given = {"size": "7", "share": "0.25", "loud": "true", "word": "12"}
    assert check("tiny", given) == {"size": 7, "share": 0.25, "loud": True, "word": "12"}


def test_what_was_not_given_is_as_declared(shelf):
    shelf("tiny")
    assert check("tiny", {}) == {"size": 3, "share": 0.5, "loud": False, "word": "plain"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sizes": "7"}, "no parameter 'sizes'"),
        ({"size": "seven"}, "size='seven' is no int"),
        ({"size": "7.5"}, "size='7.5' is no int"),
        ({"share": "nan"}, "share='nan' is no float"),
        ({"loud": "perhaps"}, "loud='perhaps' is no bool"),
        ({"run": "elsewhere"}, "--run"),
    ],
)
def test_a_wrong_parameter_is_told_with_all_that_are_known(shelf, given, told):
    shelf("tiny")
    with pytest.raises(ReportError) as caught:
        check("tiny", given)
    message = str(caught.value)
    assert told in message
    assert "size: int = 3" in message
    assert "share: float = 0.5" in message
    assert "\n" not in message


def test_a_value_beyond_its_limits_is_told():
    with pytest.raises(ReportError, match="alert_budget='-1': input should be greater than 0"):
        check("anomaly", {"alert_budget": "-1"})


def test_all_mistakes_come_at_once(shelf):
    shelf("tiny")
    with pytest.raises(ReportError, match="no parameter 'one', no parameter 'two', 'run' is given by --run"):
        check("tiny", {"one": "1", "two": "2", "run": "x"})


def test_parameters_tell_their_help(shelf):
    found = declared(shelf("tiny")).model_fields
    assert found["size"].description == "how large"
    assert found["size"].default == 3
    assert found["loud"].default is False


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("size = 3", "'size' needs one of the types"),
        ("size: list = []", "'size' needs one of the types"),
        ("size: int = len('abc')", "'size' needs a plain value"),
    ],
)
def test_a_notebook_has_to_declare_plain_parameters(shelf, cell, told):
    with pytest.raises(ReportError, match=told):
        declared(shelf("tiny", parameters=cell))


def test_a_notebook_without_its_cell_of_parameters_is_refused(shelf):
    file = shelf("tiny")
    file.write_text(file.read_text().replace('"parameters"', '"other"'))
    with pytest.raises(ReportError, match="0 cells are tagged"):
        declared(file)


def test_a_file_that_is_no_notebook_is_told(shelf):
    file = shelf("tiny")
    file.write_text("{")
    with pytest.raises(ReportError, match="not a readable notebook"):
        describe("tiny")


@pytest.mark.parametrize(
    ("cell", "runs"),
    [('runs: list[str] = ["a", "b"]', "several"), ('run: str = "a"', "one"), ("size: int = 1", "none")],
)
def test_a_notebook_of_ones_own_says_by_its_parameters_what_it_is_about(shelf, cell, runs):
    shelf("tiny", parameters=cell)
    assert describe("tiny").runs == runs
