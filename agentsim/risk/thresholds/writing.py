"""Writing a file of thresholds: with comments, and all of it or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from agentsim.risk.thresholds.file import ThresholdFile
from agentsim.settings.yamlfile import format_yaml


def write_thresholds(file: ThresholdFile, path: Path) -> None:
    """Write a file of thresholds with comments, all of it or nothing; one that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(format_thresholds(file), encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def format_thresholds(file: ThresholdFile) -> str:
    """A file of thresholds as YAML with comments."""
    data = file.model_dump(mode="json", by_alias=True)
    # Dates as dates, so that YAML writes them without quotes.
    data |= {"made": file.made, "expires": file.expires, "chosen": file.chosen.arguments()}
    parts = [_HEAD]
    for comment, keys in _SECTIONS:
        lines = [f"# {line}\n" for line in comment.splitlines()]
        parts.append("".join([*lines, *(_entry(key, data[key]) for key in keys)]))
    return "\n".join(parts)


def _entry(key: str, value: Any) -> str:
    """One key with its value; a single value in a line of its own, not in braces."""
    if isinstance(value, dict | list):
        return format_yaml({key: value})
    return yaml.safe_dump({key: value}, default_flow_style=False, allow_unicode=True, width=108)


_HEAD = """\
# From which score on a grant, a delegation tree or an agent is an alert, and what is done about it.
# Made by 'agentsim tune'; 'agentsim tune --compare OLD NEW RUN' shows what a change gains and loses.
"""
_SECTIONS = (
    (
        "Not to be used after the day on which it expires: agents change, and thresholds do not notice.",
        ("schema", "made", "expires"),
    ),
    ("What gives the scores. Those of any other model mean something else.", ("detector", "model")),
    (
        "An alert is what scores at least this; null: never. Under roles, where a role differs from the others.",
        ("thresholds", "roles"),
    ),
    (
        "What is done about an alert, from which score on; the strongest that is reached. Mildest first:\n"
        "log, step_up (refuse until authorised anew), revoke_task, revoke_tree, disable_agent.",
        ("actions",),
    ),
    ("How the thresholds were chosen.", ("chosen",)),
    ("What they did on a run that they were not chosen on.", ("expected",)),
    ("The runs behind all that.", ("provenance",)),
)
