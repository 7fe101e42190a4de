"""A Run is handed on to others: no secret and no token of its agents is in any of its files."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from agentsim.server.credentials import SeededSecrets
from agentsim.server.keys import SigningKey
from agentsim.server.tokens import TokenCodec
from agentsim.simulation import Scenario, simulate

SCENARIO = {
    "schema": 1,
    "name": "small",
    "seed": 7,
    "population": {"agents": 60},
    "workload": {"executor": "constant-arrival-rate", "duration": "5m"},
    "window": "10s",
    "attacks": [{"kind": "refresh_replay", "prevalence": 0.2}, {"kind": "token_theft", "prevalence": 0.2}],
}


def told(folder: Path) -> str:
    """All that the files of a Run hold, as text."""
    texts = []
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            texts += [str(value) for column in table.columns for value in column.to_pylist()]
            texts.append(str(table.schema.metadata))
        else:
            texts.append(file.read_text(encoding="utf-8"))
    return "\n".join(texts)


def test_no_secret_is_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted: set[str] = set()

    def recorded(kind: type, name: str, part: Any) -> None:
        original = getattr(kind, name)

        def call(self: Any, *words: Any) -> Any:
            made = original(self, *words)
            planted.add(part(made))
            return made

        monkeypatch.setattr(kind, name, call)

    recorded(SeededSecrets, "new", str)
    recorded(TokenCodec, "encode", lambda token: token.rpartition(".")[2])
    keys: list[SigningKey] = []
    original = SigningKey.from_seed.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        SigningKey, "from_seed", classmethod(lambda cls, seed: keys.append(original(cls, seed)) or keys[-1])
    )
    run = simulate(Scenario.model_validate(SCENARIO), tmp_path / "run")
    planted |= {str(key.private_jwk()["d"]) for key in keys}
    held = told(run.path)
    assert len(planted) > 100
    assert keys
    assert run.name in held
    assert [secret for secret in planted if secret in held] == []
