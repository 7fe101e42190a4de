"""``agentsim policy`` as a user meets it."""

import json
from pathlib import Path

import pytest

from agentsim.cli import main
from agentsim.settings.policyfile import schema

DEFAULT = str(Path(__file__).parents[1] / "data" / "policies" / "default.yaml")


def test_a_good_policy_is_told_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["policy", "check", DEFAULT])
    out = capsys.readouterr().out
    assert "orchestrator" in out
    assert "carve-out, 100000 units" in out
    with pytest.raises(SystemExit, match="0"):
        main(["policy", "check", DEFAULT, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["policy"]["max_depth"] == 8
    assert len(told["digest"]) == 64


def test_a_bad_policy_ends_with_2_and_all_its_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("max_deepth: 3\nmax_fanout: many\n")
    with pytest.raises(SystemExit, match="2"):
        main(["policy", "check", str(tmp_path / "bad.yaml")])
    err = capsys.readouterr().err
    assert "max_deepth" in err
    assert "max_fanout" in err


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["policy", "schema"])
    assert json.loads(capsys.readouterr().out) == schema()
