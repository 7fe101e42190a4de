"""What recorded agents did, as tasks and calls of the roles that are to be fitted, some of them held back."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agentsim.simulation.calibration.kinds import FEWEST_TASKS, name_kinds
from agentsim.simulation.trace_format import TraceError
from agentsim.simulation.traces import Traces

#: Share of the runs that are held back to judge by.
HELD = 0.25
#: With fewer runs there is nothing to hold back.
_FEWEST_RUNS = 4
_LONGEST_TOOL = 64
#: Stands for the rarest tools where there are more than a scenario may have.
OTHER = "other"


@dataclass(frozen=True)
class Observed:
    """Tasks and calls, each row numbered from 0; ``held`` marks those that nothing may be fitted to.

    tasks : ``run``, ``suite``, ``actor`` (who made most of its calls), ``kind`` (the role that it is of), ``depth``,
        ``parent`` (row of tasks, -1 for roots), ``children``, ``calls``, ``held``.
    calls : ``task``, ``kind``, ``tool``, ``before`` (the tool called before it in its task, None for the first),
        ``again`` (a failed call repeated: same tool, same arguments), ``wait`` (microseconds since the call before
        it, NaN for the first or without a clock), ``error``, ``n_args``, ``arg_chars``, ``result_chars``, ``held``.
    notes : what had to be left out or put together, in plain words.
    """

    tasks: pd.DataFrame
    calls: pd.DataFrame
    timed: bool
    notes: tuple[str, ...]

    @property
    def delegates(self) -> bool:
        """Whether any task was delegated by another."""
        return bool((self.tasks["parent"] >= 0).any())

    def part(self, *, held: bool) -> Observed:
        """The tasks and calls that were held back, or the others; rows keep their numbers."""
        tasks, calls = self.tasks, self.calls
        return replace(self, tasks=tasks[tasks["held"] == held], calls=calls[calls["held"] == held])


def observe(path: Path, traces: Traces, most_tools: int) -> Observed:
    """Sort out what the traces hold.

    Parameters
    ----------
    path : named in errors.
    most_tools : different tools that may be kept; rarer ones are put together.

    Raises
    ------
    TraceError
        If there are too few runs with calls.
    """
    notes: list[str] = []
    tasks = _tasks(traces)
    tasks = _without(
        tasks, tasks["attacked"], "tasks of {n} runs whose attack or unsafe request succeeded", notes
    )
    tasks = _without(tasks, tasks["calls"] == 0, "{t} tasks without a call", notes)
    runs = tasks["run"].nunique()
    if runs < _FEWEST_RUNS:
        raise TraceError(
            path, [f"{runs} runs with calls are left; at least {_FEWEST_RUNS} are needed to fit and to judge"]
        )
    tasks["held"] = _held_back(tasks)
    tasks["kind"] = name_kinds(tasks, notes)
    for kind, count in tasks.loc[~tasks["held"], "kind"].value_counts().sort_index().items():
        if count < FEWEST_TASKS:
            notes.append(f"{kind} is fitted to {count} tasks only: its figures say little.")
    place = pd.Series(np.arange(len(tasks)), index=tasks.index)
    tasks["parent"] = tasks["parent"].map(place).fillna(-1).astype("int64")
    calls = traces.calls[traces.calls["grant"].isin(tasks.index)].copy()
    calls["task"] = calls["grant"].map(place).astype("int64")
    tasks = tasks.reset_index(drop=True)
    tasks["children"] = np.bincount(tasks["parent"][tasks["parent"] >= 0], minlength=len(tasks))
    return Observed(
        tasks, _calls(calls, tasks, traces.timing, most_tools, notes), traces.timing, tuple(notes)
    )


def _tasks(traces: Traces) -> pd.DataFrame:
    """One row per grant of the traces, numbered as they are."""
    grants, calls = traces.grants, traces.calls
    root, depth = _roots(grants["parent"].to_numpy())
    answers = traces.answers
    succeeded = (answers["label"] == 1) & answers["attack_attempted"].fillna(value=False).astype(bool)
    made = calls.value_counts(["grant", "caller"]).reset_index()
    made = made.sort_values(["grant", "count", "caller"], ascending=[True, False, True])
    actors = made.drop_duplicates("grant").set_index("grant")["caller"]
    agent = grants["agent"].to_numpy()
    tasks = pd.DataFrame(
        {
            "run": grants["task_id"].to_numpy()[root],
            "suite": traces.agents["suite"].to_numpy()[agent],
            "actor": traces.agents["agent"].to_numpy()[agent],
            "depth": depth,
            "parent": grants["parent"].to_numpy(),
            "calls": np.bincount(calls["grant"], minlength=len(grants)),
        }
    )
    tasks["actor"] = actors.reindex(tasks.index).fillna(tasks["actor"])
    tasks["attacked"] = succeeded.to_numpy(bool)
    tasks["attacked"] = tasks.groupby("run")["attacked"].transform("any")
    return tasks


def _roots(parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root and depth of each grant; parents stand before their children."""
    root, depth = np.arange(len(parent)), np.zeros(len(parent), np.int64)
    for row in np.flatnonzero(parent >= 0):
        root[row], depth[row] = root[parent[row]], depth[parent[row]] + 1
    return root, depth


def _without(tasks: pd.DataFrame, out: pd.Series[bool], what: str, notes: list[str]) -> pd.DataFrame:
    if out.any():
        notes.append(f"Left out: {what.format(n=tasks.loc[out, 'run'].nunique(), t=int(out.sum()))}.")
    return tasks[~out]


def _held_back(tasks: pd.DataFrame) -> pd.Series[bool]:
    """A quarter of each suite's runs, by the hash of their names: the same whatever else is in the file."""
    runs = tasks[["suite", "run"]].drop_duplicates()
    runs["hash"] = [hashlib.sha256(name.encode()).hexdigest() for name in runs["run"]]
    rank = runs.groupby("suite")["hash"].rank(method="first")
    wanted = (runs.groupby("suite")["hash"].transform("size") * HELD).round()
    return tasks["run"].isin(set(runs.loc[rank <= wanted, "run"]))


def _calls(
    calls: pd.DataFrame, tasks: pd.DataFrame, timed: bool, most_tools: int, notes: list[str]
) -> pd.DataFrame:
    calls = calls.sort_values("task", kind="stable", ignore_index=True)
    calls["kind"] = tasks["kind"].to_numpy()[calls["task"]]
    calls["held"] = tasks["held"].to_numpy()[calls["task"]]
    calls["tool"] = _few_tools(calls, most_tools, notes)
    grouped = calls.groupby("task", sort=False)
    for name in ("tool", "error", "args_digest", "time"):
        calls[f"last_{name}"] = grouped[name].shift()
    calls["error"] = calls["error"].astype(bool)
    calls["before"] = calls["last_tool"].astype(object).where(calls["last_tool"].notna(), None)
    failed = calls["last_error"].fillna(value=False).astype(bool)
    same = (calls["tool"] == calls["last_tool"]) & (calls["args_digest"] == calls["last_args_digest"])
    calls["failed"] = failed
    calls["again"] = failed & same.fillna(value=False).astype(bool)
    calls["wait"] = (calls["time"] - calls["last_time"]) if timed else np.nan
    for name in ("n_args", "arg_chars", "result_chars"):
        calls[name] = calls[name].astype("float64")
    columns = ["task", "kind", "tool", "before", "failed", "again", "wait", "error"]
    return calls[[*columns, "n_args", "arg_chars", "result_chars", "held"]]


def _few_tools(calls: pd.DataFrame, most: int, notes: list[str]) -> pd.Series[Any]:
    """Tools in the words of a scenario; where there are too many, the rarest of the fitted part are one."""
    tools = calls["tool"].map({name: _tool(name) for name in calls["tool"].unique()})
    counts = (
        tools[~calls["held"]]
        .value_counts(sort=False)
        .sort_index()
        .sort_values(ascending=False, kind="stable")
    )
    if tools.nunique() <= most:
        return tools
    kept = set(counts.index[: most - 1])
    rare = ~tools.isin(kept)
    notes.append(
        f"{tools[rare].nunique()} of {tools.nunique()} tools, with {rare.mean():.1%} of the calls, are put together"
        f" as {OTHER!r}: a scenario may have {most}."
    )
    return tools.where(~rare, OTHER)


def _tool(name: str) -> str:
    return re.sub(r"^[^A-Za-z0-9]+", "", name)[:_LONGEST_TOOL] or "unnamed"
