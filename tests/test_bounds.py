"""Files that others have written: too long, leading elsewhere, or nested without end; one line, status 2, nothing written."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentsim.audit.verifying import KeysError, load_keys
from agentsim.experiments.containment.folder import ContainmentError
from agentsim.experiments.containment.folder import Folder as ContainmentFolder
from agentsim.experiments.sweep.cells import Cell
from agentsim.experiments.sweep.folder import SweepError, SweepFolder
from agentsim.inputs import read_bounded
from agentsim.reporting.finished import Unreadable, find_reports
from agentsim.risk.modelcard import ModelError
from agentsim.risk.modelfile import load_fitted
from agentsim.run import Run, RunError
from agentsim.server import KeyFile, KeyFileError, SigningKey
from agentsim.server.keyring import Keys
from tests.outcomes import Outcome

ROOT = Path(__file__).parents[1]
MANIFEST: dict[str, Any] = {
    "kind": "simulation",
    "name": "x",
    "source": {},
    "policy": {},
    "reproduce": "",
    "created_at": "2026-01-01T00:00:00+00:00",
    "status": "complete",
}


@pytest.fixture
def refused(cli: Callable[..., Outcome]) -> Callable[..., str]:
    """What a command is refused with: one line, and nothing else."""

    def call(*words: object) -> str:
        status, out, err = cli(*words)
        assert (status, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
        return err

    return call


def test_a_file_is_read_to_its_limit_and_no_further(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x" * 100)
    assert len(read_bounded(file, 100)) == 100
    with pytest.raises(OSError, match="longer than 99 bytes"):
        read_bounded(file, 99)
    # What never ends is no longer than anything else.
    with pytest.raises(OSError, match="longer than 99 bytes"):
        read_bounded(Path("/dev/zero"), 99)
    with pytest.raises(FileNotFoundError):
        read_bounded(Path("\0"), 99)


@pytest.mark.parametrize(
    "name",
    [
        "tokens/../../secret/t0000-00000.parquet",
        "/etc/t0000-00000.parquet",
        "tokens/../manifest.json",
        "tokens/*.parquet",
        "tokens/t0000-00000.parquet\n",
        "../tokens/t0000-00000.parquet",
        "tokens/tx-y.parquet",
        "tokens/t\u0660\u0660\u0660\u0660-00000.parquet",
    ],
)
def test_a_manifest_names_nothing_outside_its_run(
    tmp_path: Path, refused: Callable[..., str], name: str
) -> None:
    entry = {"sha256": "0" * 64, "rows": 1, "bytes": 1}
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"files": {name: entry}}))
    with pytest.raises(RunError, match="not a Run's manifest: 'files'"):
        Run(tmp_path)
    assert "not a Run's manifest" in refused("inspect", tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"kind": ' + "9" * 5_000 + "}", "\x00", "{", "[]", '{"files": 5}']
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, refused: Callable[..., str], text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert "manifest" in refused("inspect", tmp_path)


def test_a_manifest_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.run.manifest._LARGEST", 1_000)
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"name": "x" * 1_000}))
    with pytest.raises(RunError, match="cannot be read: longer than 1000 bytes"):
        Run(tmp_path)


def test_what_is_noted_of_a_sweep_or_a_containment_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sweep", "containment"):
        monkeypatch.setattr(f"agentsim.experiments.{module}.folder._LARGEST", 1_000)
    name = "0123456789-r0"
    for file in ("sweep.json", f"{name}.json", "containment.json"):
        (tmp_path / file).write_text(json.dumps({"name": "x" * 1_000}))
    folder = SweepFolder(tmp_path)
    with pytest.raises(SweepError, match="longer than 1000 bytes"):
        folder.sweep()
    cell = Cell(cell=name, values={}, point=0, replication=0, seed=1, scenario="x")
    with pytest.raises(SweepError, match="longer than 1000 bytes"):
        folder.status(cell)
    with pytest.raises(ContainmentError, match="longer than 1000 bytes"):
        ContainmentFolder(tmp_path).plan()


def test_files_of_keys_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(SigningKey.generate()).as_json()
    file = tmp_path / "keys.json"
    file.write_bytes(keys)
    file.chmod(0o600)
    assert len(load_keys(file)) == 1
    assert KeyFile(file).keys.signing
    for place in ("audit.verifying", "server.keyfile"):
        monkeypatch.setattr(f"agentsim.{place}._LARGEST", len(keys) // 2)
    with pytest.raises(KeysError, match="larger than any file of keys"):
        load_keys(file)
    with pytest.raises(KeyFileError):
        KeyFile(file)


def test_a_sweep_plays_no_cell_outside_its_folder(tmp_path: Path) -> None:
    cell = {"cell": "../../elsewhere", "values": {}, "point": 0, "replication": 0, "seed": 1, "scenario": "x"}
    (tmp_path / "sweep.json").write_text(json.dumps({"name": "x", "scenario": {}, "cells": [cell]}))
    with pytest.raises(SweepError, match="cannot be read"):
        SweepFolder(tmp_path).sweep()


def test_a_model_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("1.npy", bytes(1_000_000))
    assert len(held.getvalue()) < 10_000
    monkeypatch.setattr("agentsim.risk.modelfile.MOST_UNPACKED", 900_000)
    with pytest.raises(ModelError, match="unpacks to more than"):
        load_fitted(held.getvalue())


def test_a_model_card_that_is_no_card_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    for text in ("[" * 100_000, "9" * 5_000, "{}", "\x00"):
        (tmp_path / "card.json").write_text(text)
        assert "card.json" in refused("model", "show", tmp_path)


def test_a_notebook_that_is_too_long_is_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.reporting.finished._LARGEST", 1_000)
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": ["x" * 1_000]}))
    reports, others = find_reports(tmp_path)
    assert reports == []
    assert [(each.name, "longer than" in each.why) for each in others if isinstance(each, Unreadable)] == [
        ("x.ipynb", True)
    ]


@pytest.mark.parametrize("name", ["../notebooks/scale", "/etc/passwd", "scale/../scale", "scale\0", "."])
def test_a_report_is_none_of_the_files_elsewhere(
    tmp_path: Path, refused: Callable[..., str], name: str
) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    assert "no report" in refused("report", name, "--run", tmp_path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_of_each_kind_that_are_too_long_are_refused(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentsim.settings.yamlfile.LARGEST", 1_000)
    file, out = tmp_path / "long.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump({"name": "x" * 1_000}))
    for words in (("simulate", file, "--out", out), ("policy", "check", file), ("sweep", file, "--out", out)):
        assert "longer than 1000 bytes" in refused(*words)
    assert not out.exists()


def test_a_run_is_called_in_a_file_name_by_letters_alone() -> None:
    from agentsim.reporting.report import _file_name

    for name in ("../../etc/passwd", "/", "..", "a\0b", "<script>", "x\n", ".hidden", "-rf"):
        made = _file_name(name)
        assert not made.startswith((".", "-"))
        assert not {"/", "\0", "\n", "<"} & set(made)
