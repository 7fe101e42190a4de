"""Files that people write: whatever is in them, a value or one error in words comes back."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentsim.errors import UserError
from agentsim.risk.suppressions import load_suppressions
from agentsim.risk.thresholds.reading import read_thresholds
from agentsim.settings import yamlfile
from agentsim.settings.policyfile import load_policy
from agentsim.settings.yamlfile import parse_yaml, read_yaml
from agentsim.simulation import load_scenario

ROOT = Path(__file__).parents[2]
THRESHOLDS = {
    "schema": 1,
    "made": date(2026, 1, 1),
    "expires": date(2026, 3, 1),
    "detector": "combined",
    "model": {"file": "model", "sha256": "0" * 64},
    "thresholds": {"grant": 2.5, "tree": None},
    "roles": {"reviewer": {"grant": 3.0}},
    "actions": {"log": 2.5, "revoke_task": 4.0},
    "chosen": {"by": "fixed", "score": 2.5},
    "expected": {"alerts_per_day": 3.0, "interval": [1.0, 5.0], "recall": {"theft": 0.5}},
    "provenance": {"agentsim": "1", "runs": [{"used": "chosen", "scenario": "demo", "digest": "0" * 64}]},
}
SUPPRESSIONS = {
    "suppressions": [
        {
            "match": {"kind": "grant", "role": "ci_*", "tenant": 0, "entity": 5, "about": "resources"},
            "reason": "nightly",
            "owner": "platform",
            "expires": "2026-06-30",
        }
    ]
}


def sound(name: str) -> Any:
    return yaml.safe_load((ROOT / "data" / name).read_text(encoding="utf-8"))


def scenario(name: str) -> Any:
    held = sound(f"scenarios/{name}.yaml")
    # Its own alone: the file that it extends is not beside it here.
    held.get("policy", {}).pop("extends", None)
    return held


SCENARIOS = [scenario(name) for name in ("demo", "attacks", "organisation")]
READERS: dict[str, tuple[Callable[[Path], Any], list[Any]]] = {
    "scenario": (load_scenario, SCENARIOS),
    "policy": (load_policy, [sound("policies/default.yaml")]),
    "thresholds": (read_thresholds, [THRESHOLDS]),
    "suppressions": (load_suppressions, [SUPPRESSIONS]),
}
#: Texts that once were answered with something else than an error in words, or took all memory.
CORPUS = sorted((Path(__file__).parent / "corpus" / "yaml").glob("*"))


def read(reader: Callable[[Path], Any], file: Path) -> Any:
    """A value, or None where it was refused in words."""
    try:
        return reader(file)
    except UserError as exc:
        told = str(exc)
    # A line for each fault, and none of it as long as what was wrong.
    assert ": " in told
    assert all(len(line) < 3_000 for line in told.splitlines())
    return None


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzing") / "settings.yaml"


@pytest.mark.parametrize("kind", READERS)
def test_what_is_spoilt_is_spoilt_on_a_sound_base(file: Path, kind: str) -> None:
    reader, bases = READERS[kind]
    for base in bases:
        file.write_text(yaml.safe_dump(base), encoding="utf-8")
        assert read(reader, file) is not None


@pytest.mark.parametrize("kind", READERS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_one_spoilt_value_is_a_fault_or_fine(
    file: Path, spoilt_once: Callable[[Any], st.SearchStrategy[Any]], kind: str, data: st.DataObject
) -> None:
    reader, bases = READERS[kind]
    spoilt = data.draw(spoilt_once(data.draw(st.sampled_from(bases))))
    file.write_text(yaml.safe_dump(spoilt), encoding="utf-8")
    made = read(reader, file)
    if kind == "scenario" and made is not None:
        # What is accepted can be told again, and means the same.
        assert made.resolved() == type(made).model_validate(made.resolved()).resolved()


@settings(deadline=None)
@given(text=st.text() | st.text(alphabet="[]{}:,-? &*!|>'\"#%@`\n\tab01.~<=", max_size=60))
@example(text="&a [*a]")
@example(text="!!bool maybe")
@example(text="!!timestamp x")
@example(text='!!int ""')
@example(text="!!float ''")
@example(text="1:" * 3_000 + "1")
@example(text="0x" + "f" * 5_000)
@example(text="9" * 5_000)
@example(text="[" * 3_000)
@example(text="- " * 3_000)
@example(text="2026-01-01T00:00:00+99:99")
@example(text="{=: 1, <<: 5}")
@example(text="? !!set {a}\n: 1")
@example(text="!!python/object/apply:os.system [id]")
def test_any_text_is_yaml_or_not(text: str) -> None:
    try:
        parse_yaml(text, "text")
    except UserError as exc:
        told = str(exc)
    else:
        told = "text: "
    assert told.startswith("text: ")


@settings(deadline=None, max_examples=50)
@given(held=st.binary(max_size=200))
@example(held=b"\xff\xfe")
@example(held=b"a: \x00")
@example(held=b'policy: {extends: "\\0"}')
def test_any_bytes_are_settings_or_not(file: Path, held: bytes) -> None:
    file.write_bytes(held)
    for reader, _ in READERS.values():
        read(reader, file)


@pytest.mark.parametrize("bomb", CORPUS, ids=lambda path: path.name)
def test_bombs_are_refused_before_they_are_unpacked(bomb: Path) -> None:
    for reader, _ in READERS.values():
        assert read(reader, bomb) is None


def test_a_file_is_read_up_to_its_limit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "LARGEST", 100)
    file.write_text(f"a: {'x' * 97}", encoding="utf-8")
    assert len(file.read_bytes()) == 100
    assert read_yaml(file) == {"a": "x" * 97}
    file.write_text(f"a: {'x' * 98}", encoding="utf-8")
    with pytest.raises(UserError, match="longer than 100 bytes"):
        read_yaml(file)
