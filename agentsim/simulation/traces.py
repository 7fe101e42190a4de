"""Real agent traces in a long format, one row per tool call, made ready to be replayed. Spans become such rows first.

Columns: ``run_id``, ``agent``, ``suite``, ``task_id``, ``parent_task_id``, ``step``, ``t`` (seconds since the run began,
null without a clock), ``tool``, ``args_digest``, ``n_args``, ``arg_chars``, ``result_chars``, ``error``; and the answers
``label``, ``label_detail``, ``attack_attempted``, ``utility``, which are kept apart from the first moment on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agentsim.simulation.otlp import is_otlp, read_spans
from agentsim.simulation.trace_format import NO_CALL, read_rows

_UNFIT = re.compile(r"[^\w.\-]+", re.ASCII)
#: Longest name that is kept of a task, an agent or a run, in characters.
_LONGEST = 200
#: Depth of the deepest grant of a replay.
DEEPEST = 64


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
    source : what the file says of itself; nothing where it is a table.
    """

    agents: pd.DataFrame
    catalogue: dict[str, tuple[str, ...]]
    grants: pd.DataFrame
    calls: pd.DataFrame
    answers: pd.DataFrame
    timing: bool
    source: dict[str, Any]


def read_traces(path: Path | str) -> Traces:
    """Read and check traces: a table in Parquet, or OpenTelemetry spans in OTLP's JSON encoding.

    Raises
    ------
    TraceError
        With everything that is wrong: see :func:`agentsim.simulation.trace_format.read_rows` and
        :func:`agentsim.simulation.otlp.read_spans`.
    """
    rows, source = read_spans(Path(path)) if is_otlp(Path(path)) else (read_rows(Path(path)), {})
    rows["suite"] = rows["suite"].map({name: _canonical_suite(name) for name in rows["suite"].unique()})
    called = rows["tool"] != NO_CALL
    timing = bool(rows.loc[called, "t"].notna().all())
    # The clock of the replay: runs begin a second apart; without a clock of its own a run calls once a second.
    run = rows.groupby("run_id", sort=True).ngroup()
    offset = rows["t"].fillna(0.0) if timing else rows.groupby("run_id").cumcount() + 1.0
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
    calls = rows[called].sort_values(["time", "grant", "step"], kind="stable", ignore_index=True)
    calls["tool"] = calls["tool"].map({name: canonical_tool(name) for name in calls["tool"].unique()})
    return Traces(
        agents=agents.assign(agent=agents["agent"].str.slice(0, _LONGEST)),
        catalogue=_catalogue(calls, agents),
        grants=grants[["agent", "parent", "task_id", "description", "issued"]],
        calls=calls[
            ["grant", "time", "tool", "agent", "args_digest", "n_args", "arg_chars", "result_chars", "error"]
        ].rename(columns={"agent": "caller"}),
        answers=_answers(rows, len(grants)),
        timing=timing,
        source=source,
    )


def canonical_tool(name: str) -> str:
    """A tool's name in the grammar of scopes: ``Bash:git`` becomes ``Bash.git``, ``<malformed>`` ``malformed``."""
    return _UNFIT.sub(".", name).strip(".")[:_LONGEST] or "unnamed"


def _canonical_suite(name: str) -> str:
    parts = (_UNFIT.sub("-", part).strip(".") for part in name.split("/"))
    return "/".join(part for part in parts if part)[:_LONGEST] or "unnamed"


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
    depth = _depths(parent)
    issued = _issue_before_children(parent, depth, first["time"].to_numpy() - 500_000)
    alone = depth == 0
    run, task = first["run_id"].str.slice(0, _LONGEST), first["task_id"].str.slice(0, _LONGEST)
    return pd.DataFrame(
        {
            "agent": _positions(agents, first[["agent", "suite"]]),
            "parent": np.where(alone, -1, parent),
            "task_id": np.where(alone, run, run + "/" + task),
            "description": task,
            "issued": issued,
            "depth": depth,
        }
    )


def _depths(parent: np.ndarray) -> np.ndarray:
    """Depth of each grant, 0 for those that stand alone.

    Tasks that delegate to each other in a circle, and those below them, stand alone; so does what is deeper than
    the server lets grants be, and begins a tree of its own.
    """
    depth = np.where(parent < 0, 0, -1)
    while True:
        known = np.flatnonzero((depth < 0) & (depth[parent] >= 0))
        if not len(known):
            return np.maximum(depth, 0)
        depth[known] = (depth[parent[known]] + 1) % (DEEPEST + 1)


def _issue_before_children(parent: np.ndarray, depth: np.ndarray, issued: np.ndarray) -> np.ndarray:
    """Times of issue, brought forward where a child was at work before its parent."""
    issued = issued.copy()
    for level in range(int(depth.max()), 0, -1):
        below = depth == level
        np.minimum.at(issued, parent[below], issued[below] - 1_000)
    return issued


def _catalogue(calls: pd.DataFrame, agents: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The tools of each suite, whoever called them. A grant must name one, also where none was ever called."""
    tools: dict[str, set[str]] = {suite: set() for suite in agents["suite"]}
    for suite, tool in calls[["suite", "tool"]].drop_duplicates().itertuples(index=False):
        tools[suite].add(tool)
    return {suite: tuple(sorted(names)) or ("none",) for suite, names in tools.items()}


def _answers(rows: pd.DataFrame, grants: int) -> pd.DataFrame:
    grouped = rows.groupby("grant", sort=True)
    answers = grouped[["label", "attack_attempted", "utility"]].first()
    details = (
        rows[["grant", "label_detail"]].dropna().drop_duplicates().sort_values(["grant", "label_detail"])
    )
    answers["label_detail"] = details.groupby("grant")["label_detail"].agg("; ".join)
    return answers.reindex(range(grants))
