"""Real agent traces in a long format, one row per tool call, made ready to be replayed.

Columns: ``run_id``, ``agent``, ``suite``, ``task_id``, ``parent_task_id``, ``step``, ``t`` (seconds since the run began,
null without a clock), ``tool``, ``args_digest``, ``n_args``, ``arg_chars``, ``result_chars``, ``error``; and the answers
``label``, ``label_detail``, ``attack_attempted``, ``utility``, which are kept apart from the first moment on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agentsim.errors import UserError

_TEXTS = ("run_id", "agent", "suite", "task_id", "parent_task_id", "tool", "args_digest", "label_detail")
_NUMBERS = ("step", "t", "n_args", "arg_chars", "result_chars", "label")
_FLAGS = ("error", "attack_attempted", "utility")
_NEVER_NULL = ("run_id", "agent", "suite", "task_id", "tool", "step")
#: The row of a run that called no tool.
NO_CALL = "<no_tool_call>"
_UNFIT = re.compile(r"[^\w.\-]+", re.ASCII)
#: Longest name that is kept of a task, an agent or a run, in characters.
_LONGEST = 200


class TraceError(UserError):
    """A trace file cannot be used; the message lists everything that is wrong with it."""


@dataclass(frozen=True)
class Traces:
    """Traces as agents, grants, calls and answers, each row numbered from 0.

    agents : ``agent``, ``suite`` – one row per pair.
    catalogue : canonical tool names per suite.
    grants : ``agent`` (row of agents), ``parent`` (row of grants, -1 for roots), ``task_id``, ``description``,
        ``issued`` (microseconds from the beginning), parents before children.
    calls : ``grant`` (row of grants), ``time`` (microseconds from the beginning), ``tool``, ``caller``, ``args_digest``,
        ``n_args``, ``arg_chars``, ``result_chars``, ``error``; in order of time.
    answers : ``label``, ``label_detail``, ``attack_attempted``, ``utility`` – one row per grant.
    timing : whether every call has a time of its own.
    """

    agents: pd.DataFrame
    catalogue: dict[str, tuple[str, ...]]
    grants: pd.DataFrame
    calls: pd.DataFrame
    answers: pd.DataFrame
    timing: bool


def read_traces(path: Path | str) -> Traces:
    """Read and check a trace table in Parquet.

    Raises
    ------
    TraceError
        If the file is missing, is not Parquet, or lacks columns, types or values: all at once.
    """
    rows = _read(Path(path))
    timing = bool(rows["t"].notna().all())
    rows = rows.sort_values(["run_id", "step"], kind="stable", ignore_index=True)
    # The clock of the replay: runs begin a second apart; without a clock of its own a run calls once a second.
    run = rows.groupby("run_id", sort=True).ngroup()
    offset = rows["t"].astype(float) if timing else rows.groupby("run_id").cumcount() + 1.0
    offset = offset.groupby(run).cummax()
    rows["time"] = ((run + 1 + offset) * 1e6).round().astype("int64")
    grant_keys = rows[["run_id", "task_id"]].drop_duplicates(ignore_index=True)
    agents = rows[["agent", "suite"]].drop_duplicates().sort_values(["agent", "suite"], ignore_index=True)
    rows["grant"] = _positions(grant_keys, rows[["run_id", "task_id"]])
    grants = _grants(rows, agents)
    order = np.argsort(grants["depth"].to_numpy(), kind="stable")
    position = np.argsort(order)
    grants = grants.iloc[order].reset_index(drop=True)
    grants["parent"] = np.where(grants["parent"] < 0, -1, position[grants["parent"]])
    rows["grant"] = position[rows["grant"]]
    called = rows[rows["tool"] != NO_CALL]
    calls = called.sort_values(["time", "grant", "step"], kind="stable", ignore_index=True)
    calls["tool"] = calls["tool"].map({name: canonical_tool(name) for name in calls["tool"].unique()})
    return Traces(
        agents=agents,
        catalogue=_catalogue(calls, agents),
        grants=grants[["agent", "parent", "task_id", "description", "issued"]],
        calls=calls[
            ["grant", "time", "tool", "agent", "args_digest", "n_args", "arg_chars", "result_chars", "error"]
        ].rename(columns={"agent": "caller"}),
        answers=_answers(rows, len(grants)),
        timing=timing,
    )


def canonical_tool(name: str) -> str:
    """A tool's name in the grammar of scopes: ``Bash:git`` becomes ``Bash.git``, ``<malformed>`` ``malformed``."""
    return _UNFIT.sub(".", name).strip(".")[:_LONGEST] or "unnamed"


def _canonical_suite(name: str) -> str:
    parts = (_UNFIT.sub("-", part).strip(".") for part in name.split("/"))
    return "/".join(part for part in parts if part)[:_LONGEST] or "unnamed"


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file") from None
    except (OSError, pa.ArrowInvalid) as exc:
        raise TraceError(f"{path}: cannot be read as Parquet: {exc}") from None
    faults = _faults(table)
    if faults:
        raise TraceError(f"{path}: not a trace table\n" + "\n".join(f"  {fault}" for fault in faults))
    rows: pd.DataFrame = table.select([*_TEXTS, *_NUMBERS, *_FLAGS]).to_pandas()
    for name in ("n_args", "arg_chars", "result_chars"):
        rows[name] = rows[name].astype("Int64")
    for name in _TEXTS:
        rows[name] = rows[name].astype("object").where(rows[name].notna(), None)
    rows["suite"] = rows["suite"].map({name: _canonical_suite(name) for name in rows["suite"].unique()})
    return rows


def _faults(table: pa.Table) -> list[str]:
    """Everything that is wrong with the columns."""
    faults = [
        f"column {name} is missing"
        for name in (*_TEXTS, *_NUMBERS, *_FLAGS)
        if name not in table.column_names
    ]
    checks = [
        (_TEXTS, _is_text, "text"),
        (_NUMBERS, _is_number, "a number"),
        (_FLAGS, pa.types.is_boolean, "a boolean"),
    ]
    for names, fits, words in checks:
        for name in names:
            kind = table.schema.field(name).type if name in table.column_names else None
            if kind is not None and not fits(kind) and not pa.types.is_null(kind):
                faults.append(f"column {name} must be {words}, is {kind}")
    faults.extend(
        f"column {name} has {table[name].null_count} empty values"
        for name in _NEVER_NULL
        if name in table.column_names and table[name].null_count
    )
    if table.num_rows == 0:
        faults.append("there are no rows")
    return faults


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _positions(keys: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    """The row of ``keys`` that each row of ``wanted`` equals; -1 for none."""
    index = pd.MultiIndex.from_frame(keys)
    return np.asarray(index.get_indexer(pd.MultiIndex.from_frame(wanted)))


def _grants(rows: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
    """One grant per run and task, held by whoever acts on it first."""
    first = rows.drop_duplicates("grant").sort_values("grant").reset_index(drop=True)
    parents = first[["run_id", "parent_task_id"]].set_axis(["run_id", "task_id"], axis=1)
    parent = _positions(first[["run_id", "task_id"]], parents)
    parent = np.where(parent == np.arange(len(first)), -1, parent)
    depth, issued = _depth_and_issue(parent, first["time"].to_numpy() - 500_000)
    alone = np.asarray(depth == 0)
    task = first["task_id"].str.slice(0, _LONGEST)
    return pd.DataFrame(
        {
            "agent": _positions(agents, first[["agent", "suite"]]),
            "parent": np.where(alone, -1, parent),
            "task_id": np.where(alone, first["run_id"], first["run_id"] + "/" + task),
            "description": task,
            "issued": issued,
            "depth": depth,
        }
    )


def _depth_and_issue(parent: np.ndarray, issued: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth of each grant, and a time of issue that is not before its parent's. A cycle becomes roots."""
    depth = np.zeros(len(parent), np.int64)
    above = parent.copy()
    while (above >= 0).any() and depth.max() <= len(parent):
        depth += above >= 0
        above = np.where(above >= 0, parent[above], -1)
        if depth.max() > 64:
            return np.zeros_like(depth), issued
    issued = issued.copy()
    for level in range(int(depth.max()), 0, -1):
        below = depth == level
        np.minimum.at(issued, parent[below], issued[below] - 1_000)
    return depth, issued


def _catalogue(calls: pd.DataFrame, agents: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The tools of each suite, whoever called them."""
    tools: dict[str, set[str]] = {suite: set() for suite in agents["suite"]}
    for suite, tool in calls[["suite", "tool"]].drop_duplicates().itertuples(index=False):
        tools[suite].add(tool)
    return {suite: tuple(sorted(names)) for suite, names in tools.items()}


def _answers(rows: pd.DataFrame, grants: int) -> pd.DataFrame:
    grouped = rows.groupby("grant", sort=True)
    answers = grouped[["label", "attack_attempted", "utility"]].first()
    details = (
        rows[["grant", "label_detail"]].dropna().drop_duplicates().sort_values(["grant", "label_detail"])
    )
    answers["label_detail"] = details.groupby("grant")["label_detail"].agg("; ".join)
    return answers.reindex(range(grants))
