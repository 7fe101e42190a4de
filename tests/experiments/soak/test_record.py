"""A soak on disk: whole or not there, and what is wrong with it is one line."""

import json

import pandas as pd
import pytest

from agentsim.experiments.soak import Soak, SoakError, Tally
from agentsim.experiments.soak import record as records
from agentsim.experiments.soak.record import write

SOUND = Tally(part="kills", name="kill -9", tried=3, operations=70)
UNSOUND = Tally(part="load", name="revoked tokens", tried=9, operations=9, let_in=1, notes=["accepted: x"])


def test_what_was_counted_comes_back(make_soak):
    made = Soak(make_soak(SOUND, UNSOUND).path)
    assert made.manifest.tallies == [SOUND, UNSOUND]
    assert not made.manifest.sound
    assert list(made.load["second"]) == list(range(900))
    assert sorted(file.name for file in made.path.iterdir()) == ["load.parquet", "soak.json"]


def test_another_soak_takes_its_place_with_all_that_belongs_to_it(make_soak):
    first = make_soak(UNSOUND)
    again = write(first.path, first.manifest.model_copy(update={"tallies": [SOUND]}), None)
    assert again.manifest.sound
    assert again.load.empty
    assert [file.name for file in first.path.iterdir()] == ["soak.json"]


def test_a_directory_of_something_else_is_left_alone(make_soak, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(SoakError, match="not empty and no soak"):
        make_soak(SOUND, name="other")
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"format": 2}', "format"),
        ("{}", "seed"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_damaged_record_is_told_in_one_line(tmp_path, text, told):
    (tmp_path / "soak.json").write_text(text)
    with pytest.raises(SoakError, match=told) as caught:
        Soak(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_soak_says_what_makes_one(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SoakError, match=r"no soak here .* 'agentsim soak'"):
            Soak(place)


def test_never_more_is_read_than_a_soak_can_hold(make_soak, monkeypatch):
    made = make_soak(SOUND)
    monkeypatch.setattr(records, "_LARGEST_LOAD", 100)
    with pytest.raises(SoakError, match="longer than"):
        _ = Soak(made.path).load
    monkeypatch.setattr(records, "_LARGEST", 100)
    with pytest.raises(SoakError, match="longer than"):
        Soak(made.path)


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def other_columns(file):
    pd.DataFrame({"a": [1]}).to_parquet(file)


@pytest.mark.parametrize("damage", [flip, other_columns, lambda file: file.unlink()])
def test_a_table_that_is_not_the_one_that_was_written_is_told_with_what_makes_it_again(make_soak, damage):
    made = make_soak(SOUND)
    damage(made.path / "load.parquet")
    with pytest.raises(SoakError, match=r"load\.parquet: .*make it again: agentsim soak") as caught:
        _ = Soak(made.path).load
    assert "\n" not in str(caught.value)


def test_columns_that_are_missing_are_told_even_where_the_record_knows_of_them(make_soak):
    made = make_soak(SOUND)
    other_columns(made.path / "load.parquet")
    told = json.loads((made.path / "soak.json").read_text())
    told["load"] = records.sha256(made.path / "load.parquet")
    (made.path / "soak.json").write_text(json.dumps(told))
    with pytest.raises(SoakError, match="columns are missing"):
        _ = Soak(made.path).load
