"""``agentsim policy`` as a user meets it."""

import json
from collections.abc import Callable
from pathlib import Path

from agentsim.settings.policyfile import schema
from tests.outcomes import Outcome

DEFAULT = str(Path(__file__).parents[1] / "data" / "policies" / "default.yaml")


def test_a_good_policy_is_told_in_short(cli: Callable[..., Outcome]) -> None:
    status, out, _ = cli("policy", "check", DEFAULT)
    assert status == 0
    assert "orchestrator" in out
    assert "carve-out, 100000 units" in out
    status, out, _ = cli("policy", "check", DEFAULT, "--json")
    assert status == 0
    told = json.loads(out)
    assert told["policy"]["max_depth"] == 8
    assert len(told["digest"]) == 64


def test_a_bad_policy_ends_with_2_and_all_its_faults(tmp_path: Path, cli: Callable[..., Outcome]) -> None:
    (tmp_path / "bad.yaml").write_text("max_deepth: 3\nmax_fanout: many\n")
    status, _, err = cli("policy", "check", tmp_path / "bad.yaml")
    assert status == 2
    assert "max_deepth" in err
    assert "max_fanout" in err


def test_the_schema_is_json(cli: Callable[..., Outcome]) -> None:
    status, out, _ = cli("policy", "schema")
    assert status == 0
    assert json.loads(out) == schema()
