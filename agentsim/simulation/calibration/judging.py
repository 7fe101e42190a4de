"""How well fitted roles describe tasks that they were not fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ks_2samp

from agentsim.simulation.calibration.fitting import leave_one_out, transitions
from agentsim.simulation.role import Role

_Floats = npt.NDArray[np.float64]
_Shares: TypeAlias = "pd.Series[Any]"


@dataclass(frozen=True)
class Distance:
    """How far apart two distributions are, from 0 (alike) to 1 (nothing in common).

    ``measure`` is ``KS`` (Kolmogorov-Smirnov, two samples) or ``TV`` (total variation, of shares). ``simulated`` is the
    distance of what was simulated from what was held back, ``recorded`` that of what was fitted to from what was held
    back: a fit can hardly be nearer than that. ``p`` is that of the KS test of ``simulated``; for numbers with ties, such as
    counts, it is too high, and as calls of one task are not independent, for calls it is too low. ``means`` are of what was held back and of what was simulated.
    """

    what: str
    measure: str
    simulated: float
    recorded: float
    p: float | None = None
    means: tuple[float, float] | None = None


@dataclass(frozen=True)
class Judgement:
    """One role, judged by the tasks that were held back.

    ``bits`` : mean bits per call (negative log-likelihood to the base 2) of the first calls and of those that are no
    repetitions, under the role's ``chain``, under its tools' shares alone (``shares``), and where all tools are alike
    (``uniform``). Two to their power is the perplexity. Empty where nothing was held back that could be judged.
    ``unknown`` : held-back calls of tools that no fitted task of the role called; they are in no figure of ``bits``.
    """

    role: str
    tasks: int
    calls: int
    held_tasks: int
    held_calls: int
    bits: dict[str, float]
    unknown: int
    distances: tuple[Distance, ...]


def judge(
    name: str,
    role: Role,
    fitted: tuple[pd.DataFrame, pd.DataFrame],
    held: tuple[pd.DataFrame, pd.DataFrame],
    played: tuple[pd.DataFrame, pd.DataFrame],
) -> Judgement:
    """Judge one role by its tasks and calls: those that it was fitted to, those held back, and simulated ones."""
    calls = held[1]
    known = calls["tool"].isin(role.tools)
    judged = len(held[0]) > 0
    return Judgement(
        role=name,
        tasks=len(fitted[0]),
        calls=len(fitted[1]),
        held_tasks=len(held[0]),
        held_calls=len(calls),
        bits=_bits(role, fitted[1], calls[known & ~calls["again"]]) if judged else {},
        unknown=int((~known).sum()),
        distances=tuple(_distances(fitted, held, played)) if judged else (),
    )


def _bits(role: Role, fitted: pd.DataFrame, held: pd.DataFrame) -> dict[str, float]:
    tools = list(role.tools)
    shares = fitted["tool"].value_counts()
    by_share = _mixed(shares, tools, leave_one_out(pd.concat({"": shares}), len(tools)))
    start = _mixed(pd.Series(role.start), tools, role.slips)
    rows = {before: _mixed(pd.Series(row), tools, role.slips) for before, row in role.chain.items()}
    counts = transitions(held)
    if counts.empty:
        return {}
    places = [(str(before), tools.index(str(tool))) for before, tool in counts.index]
    weights = counts.to_numpy()
    return {
        "chain": _mean_bits(np.array([rows.get(before, start)[place] for before, place in places]), weights),
        "shares": _mean_bits(np.array([by_share[place] for _, place in places]), weights),
        "uniform": float(np.log2(len(tools))),
    }


def _mixed(weights: pd.Series[Any], tools: list[str], chance: float) -> _Floats:
    """Probabilities of the tools: by weight, but for a share that is left to chance."""
    shares = weights.reindex(tools).fillna(0.0).to_numpy(float)
    mixed: _Floats = (1 - chance) * shares / shares.sum() + chance / len(tools)
    return mixed


def _mean_bits(likely: _Floats, weights: npt.NDArray[np.integer[Any]]) -> float:
    # Not minus, so that certainty is 0.0 and not -0.0.
    return float(weights @ np.log2(1 / likely) / weights.sum())


def _distances(
    fitted: tuple[pd.DataFrame, pd.DataFrame],
    held: tuple[pd.DataFrame, pd.DataFrame],
    played: tuple[pd.DataFrame, pd.DataFrame],
) -> list[Distance]:
    parts = (fitted, held, played)
    found = [_samples("calls of a task", *(tasks["calls"] for tasks, _ in parts))]
    if held[0]["children"].any() or fitted[0]["children"].any():
        found.append(_samples("children of a task", *(tasks["children"] for tasks, _ in parts)))
    for what, column in (
        ("seconds between calls", "wait"),
        ("characters of arguments", "arg_chars"),
        ("characters of results", "result_chars"),
    ):
        samples = [calls[column].dropna() / (1e6 if column == "wait" else 1) for _, calls in parts]
        if all(len(sample) for sample in samples):
            found.append(_samples(what, *samples))
    for what, share in (("tools", _tools), ("tool after tool", _pairs), ("failed calls", _failures)):
        found.append(_shares(what, share, *(calls for _, calls in parts)))
    return found


def _samples(what: str, fitted: pd.Series[Any], held: pd.Series[Any], played: pd.Series[Any]) -> Distance:
    values = [np.asarray(sample, float) for sample in (fitted, held, played)]
    test = ks_2samp(values[1], values[2], method="asymp")
    return Distance(
        what,
        "KS",
        simulated=float(test.statistic),
        recorded=float(ks_2samp(values[1], values[0], method="asymp").statistic),
        p=float(test.pvalue),
        means=(float(values[1].mean()), float(values[2].mean())),
    )


def _shares(
    what: str,
    share: Callable[[pd.DataFrame], _Shares],
    fitted: pd.DataFrame,
    held: pd.DataFrame,
    played: pd.DataFrame,
) -> Distance:
    ours = share(held)
    return Distance(what, "TV", simulated=_apart(ours, share(played)), recorded=_apart(ours, share(fitted)))


def _apart(first: _Shares, second: _Shares) -> float:
    return float(first.subtract(second, fill_value=0).abs().sum() / 2)


def _tools(calls: pd.DataFrame) -> _Shares:
    return calls["tool"].value_counts(normalize=True)


def _pairs(calls: pd.DataFrame) -> _Shares:
    later = calls[calls["before"].notna()]
    return later.groupby(["before", "tool"]).size() / max(len(later), 1)


def _failures(calls: pd.DataFrame) -> _Shares:
    return calls["error"].value_counts(normalize=True)
