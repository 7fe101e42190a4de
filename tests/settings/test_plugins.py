"""Classes named in a file of settings."""

from pathlib import Path

import pytest

from agentsim.settings.plugins import installed, load_class


def test_a_class_is_found_by_its_place() -> None:
    assert load_class("pathlib:PurePosixPath", "agentsim.none", object).__name__ == "PurePosixPath"


def test_an_entry_point_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "guest.py").write_text("class Guest(dict):\n    pass\n")
    folder = tmp_path / "guest-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[agentsim.things]\nvisitor = guest:Guest\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("agentsim.things") == ("visitor",)
    assert load_class("visitor", "agentsim.things", dict).__name__ == "Guest"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("no.such.module:Thing", "cannot be imported: No module named 'no'"),
        ("pathlib:Nothing", "cannot be imported"),
        ("pathlib:Path", "is not derived from builtins:dict"),
        ("math:pi", "is not derived from"),
        ("unknown", "no entry point 'unknown' in the group 'agentsim.none'"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(name: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        load_class(name, "agentsim.none", dict)
