"""One role from the calls of its recorded tasks, by the simulator's own model of a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom

from agentsim.settings.durations import format_duration
from agentsim.simulation.role import Role

#: Quartiles of a normal distribution lie this many standard deviations apart.
_QUARTILES = 1.349
#: Traces hold one time per call, so what a call itself takes is not known: this much of the usual time between two
#: calls, and no more than a role's default.
_CALL_PART = 0.1
_SHORTEST_US, _LONGEST_US = 1_000, 86_400_000_000
#: What a role's fields allow.
_MOST_STEPS, _MOST_SPREAD, _MOST_DISPERSION, _MOST_ARGUMENTS = 1000.0, 5.0, 100.0, 255
_LEAST_DISPERSION = 1e-4
#: Weights and means are written with so many digits.
_DIGITS = 4


def fit_role(
    kind: str, resource: str, tasks: pd.DataFrame, calls: pd.DataFrame, children: Mapping[str, int]
) -> dict[str, Any]:
    """The fields of a role, as a scenario writes them.

    Parameters
    ----------
    resource : what its tools work on: traces do not say, the suite stands for it.
    tasks, calls : those of :class:`~agentsim.simulation.calibration.observed.Observed` that are of this kind and may be
        fitted to; one task at least.
    children : how many children of each kind the tasks delegated to.
    """
    per_task = tasks["calls"].to_numpy()
    tools = calls["tool"].unique()
    role = {
        "summary": f"as recorded in {len(tasks):,} tasks with {len(calls):,} calls",
        "tools": {tool: [resource] for tool in sorted(tools)},
        **_walk(calls),
        "tasks": [{"text": f"{kind} {{n}}"}],
        "steps": min(_short(per_task.mean()), _MOST_STEPS),
        "dispersion": _short(_dispersion(per_task - 1)),
        **_times(calls["wait"].dropna().to_numpy(float)),
        "errors": _short(calls["error"].mean()),
        **_retries(calls),
        **_sizes(calls),
    }
    if children:
        fanout = sum(children.values()) / len(tasks)
        role |= {"fanout": _short(fanout), "child_roles": dict(children)}
    return role


def leave_one_out(rows: pd.Series[int], options: int) -> float:
    """The share of draws to leave to chance, so that what was never seen stays possible.

    Deleted estimation: the share that makes each draw most likely by all others of its row.

    Parameters
    ----------
    rows : counts, by row and what was drawn in it (a two-level index).
    options : how many there are to draw from.
    """
    if options == 1:
        return 0.0
    counts = rows.to_numpy(float)
    totals = rows.groupby(level=0).transform("sum").to_numpy(float)
    others = np.divide(counts - 1, totals - 1, out=np.zeros_like(counts), where=totals > 1)

    def unlikely(share: float) -> float:
        return -float(counts @ np.log((1 - share) * others + share / options))

    return float(minimize_scalar(unlikely, bounds=(1e-4, 1.0), method="bounded").x)


def transitions(calls: pd.DataFrame) -> pd.Series[int]:
    """How often each tool came first (row empty), or after each other one where that was not a repetition."""
    moved = calls[~calls["again"]]
    return moved.groupby([moved["before"].fillna(""), moved["tool"]]).size()


def _walk(calls: pd.DataFrame) -> dict[str, Any]:
    counts = transitions(calls)
    rows = {str(row): _weights(part.droplevel(0)) for row, part in counts.groupby(level=0)}
    start = rows.pop("")
    return {
        "start": start,
        "chain": rows,
        "slips": _short(leave_one_out(counts, calls["tool"].nunique())),
    }


def _weights(counts: pd.Series[int]) -> dict[str, int]:
    ordered = counts.sort_values(ascending=False, kind="stable")
    return {str(name): int(count) for name, count in ordered.items()}


def _dispersion(further: npt.NDArray[np.int64]) -> float:
    """By likelihood, given the mean: a gamma-mixed Poisson number is a negative binomial one."""
    mean = further.mean()
    # Nothing that varies less than a Poisson number has a dispersion.
    if further.var() <= mean:
        return 0.0

    def unlikely(logarithm: float) -> float:
        shape = np.exp(-logarithm)
        return -float(nbinom.logpmf(further, shape, shape / (shape + mean)).sum())

    bounds = (np.log(_LEAST_DISPERSION), np.log(_MOST_DISPERSION))
    return float(np.exp(minimize_scalar(unlikely, bounds=bounds, method="bounded").x))


def _times(waits: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Time between calls by its quartiles, as its longest are beyond any usual distribution."""
    if not len(waits):
        return {}
    low, middle, high = np.quantile(np.maximum(waits, _SHORTEST_US), [0.25, 0.5, 0.75])
    spread = min(float(np.log(high / low)) / _QUARTILES, _MOST_SPREAD)
    call = min(middle * _CALL_PART, float(Role.model_fields["call"].default))
    # The mean of a log-normal is its median times exp(spread^2 / 2).
    gap = min(float((middle - call) * np.exp(spread**2 / 2)), _LONGEST_US)
    return {
        "gap": _duration(gap),
        "gap_spread": _short(spread),
        "call": _duration(call),
    }


def _retries(calls: pd.DataFrame) -> dict[str, Any]:
    failed = calls["failed"].sum()
    return {"retries": _short(calls["again"].sum() / failed)} if failed else {}


def _sizes(calls: pd.DataFrame) -> dict[str, Any]:
    """Mean and spread per tool by the moments of the logarithms, and a spread for what has no own."""
    sizes: dict[str, dict[str, Any]] = {}
    for tool, number in calls["n_args"].dropna().groupby(calls["tool"]).median().items():
        sizes.setdefault(str(tool), {})["arguments"] = int(min(round(number), _MOST_ARGUMENTS))
    succeeded, failed = calls[~calls["error"]], calls[calls["error"]]
    rests = [
        _fit_sizes(sizes, calls["tool"], calls["arg_chars"].dropna(), "argument"),
        _fit_sizes(sizes, succeeded["tool"], succeeded["result_chars"].dropna(), "result"),
    ]
    found: dict[str, Any] = {"sizes": dict(sorted(sizes.items()))} if sizes else {}
    failures = _logs(failed["result_chars"].dropna())
    # Failures have no spread but the role's; where there are too few of them, it is that of everything else.
    rest = failures - failures.mean() if len(failures) > 1 else np.concatenate(rests)
    if len(rest):
        found["size_spread"] = _short(_spread_of(rest))
    if len(failures):
        found["failure_chars"] = _short(np.exp(failures.mean() + _spread_of(rest) ** 2 / 2))
    return found


def _fit_sizes(
    sizes: dict[str, dict[str, Any]], tools: pd.Series[str], characters: pd.Series[float], what: str
) -> npt.NDArray[np.float64]:
    """Put in each tool's mean and spread; return what the logarithms differ from their tool's mean."""
    rests = [np.zeros(0)]
    for tool, values in characters.groupby(tools.loc[characters.index]):
        logs = _logs(values)
        spread = _spread_of(logs - logs.mean())
        mean = np.exp(logs.mean() + spread**2 / 2) if values.any() else 0.0
        entry = {f"{what}_chars": _short(mean)}
        if len(logs) > 1:
            entry[f"{what}_spread"] = _short(spread)
            rests.append(logs - logs.mean())
        sizes.setdefault(str(tool), {}).update(entry)
    return np.concatenate(rests)


def _logs(characters: pd.Series[float]) -> npt.NDArray[np.float64]:
    """Logarithms of sizes; nothing counts as one character."""
    return np.log(np.maximum(characters.to_numpy(float), 1.0))


def _spread_of(rest: npt.NDArray[np.float64]) -> float:
    return min(float(np.sqrt((rest**2).mean())), _MOST_SPREAD) if len(rest) else 0.0


def _duration(microseconds: float) -> str:
    return format_duration(max(1, round(microseconds / 1_000)) * 1_000)


def _short(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
