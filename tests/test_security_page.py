"""``SECURITY.md``: each defence that it tells has its tests, and each bound is that of the code."""

import ast
import re
from pathlib import Path

import pytest

from agentsim.audit import verifying
from agentsim.experiments.containment import folder as containments
from agentsim.experiments.sweep import folder as sweeps
from agentsim.reporting import finished
from agentsim.risk import model, modelcard, modelfile
from agentsim.run import manifest
from agentsim.server import assertions, keyfile, tokens
from agentsim.server.http import bodies, heads
from agentsim.settings import yamlfile
from agentsim.simulation import trace_format
from agentsim.simulation.otlp import reading

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_every_defence_names_its_tests() -> None:
    table = PAGE.partition("## What is defended")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20
    assert [row for row in rows if "::" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_named_test_is_there(file: str, name: str) -> None:
    source = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in source.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z]+/[\w/]*(?:\.py)?)`", PAGE))))
def test_each_named_module_is_there(path: str) -> None:
    assert (ROOT / "agentsim" / path).exists()


def test_the_bounds_are_those_of_the_code() -> None:
    mebi, gibi = 1 << 20, 1 << 30
    assert (tokens.LONGEST_TOKEN, assertions.LONGEST_ASSERTION) == (16_384, 8_192)
    assert heads.LONGEST_HEAD == 64 * 1024
    assert (bodies.LONGEST_FORM, bodies.LONGEST_JSON, bodies.MOST_PARAMETERS) == (128 * 1024, 8 * mebi, 200)
    assert (keyfile._LARGEST, verifying._LARGEST) == (mebi, mebi)
    assert (yamlfile.LARGEST, yamlfile.MOST_VALUES, yamlfile.DEEPEST) == (2 * mebi, 500_000, 100)
    assert (trace_format.MOST_ROWS, trace_format.MOST_TEXT) == (20_000_000, 4 * gibi)
    assert (reading.LONGEST_LINE, reading.LONGEST_FILE) == (256 * mebi, 16 * gibi)
    assert manifest._LARGEST == sweeps._LARGEST == containments._LARGEST == 64 * mebi
    assert finished._LARGEST == 256 * mebi
    assert (modelcard._LARGEST, model._LARGEST, modelfile.MOST_UNPACKED) == (16 * mebi, 512 * mebi, 2 * gibi)
