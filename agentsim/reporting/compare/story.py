"""What the ``compare`` report says in words: verdict, numbers, tables, method and limits."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from agentsim.reporting import words
from agentsim.reporting.compare.comparison import Comparison
from agentsim.reporting.compare.noise import RATE
from agentsim.reporting.figures import Note, Table
from agentsim.reporting.summary import Number

_HONOURED = "honoured by the token server after the end"


def verdict(comparison: Comparison) -> str:
    """The report in one sentence."""
    late = int(_values(comparison, _HONOURED).sum())
    if late:
        return f"{words.plural(late, 'operation was', 'operations were')} honoured after the grant had ended, which must not happen."
    judged, beyond = _counts(comparison)
    what = "Runs of the same settings with other seeds" if comparison.sides.only_seeds else "The settings"
    if not judged:
        return "Nothing can be told from noise here: no figure of these runs says how much it varies."
    if not beyond:
        return f"{what} make no difference that is more than noise, in any of {words.plural(judged, 'comparison')} of figures."
    row = comparison.beyond.iloc[0]
    base = _of(comparison, str(row["figure"]), comparison.first)["text"]
    seeds = "Although only seeds differ, the" if comparison.sides.only_seeds else "The"
    return (
        f"{seeds} largest difference that is more than noise: {row['figure']}: {row['text']} with {row['side']}, {base} with "
        f"{comparison.first}{_times(row['ratio'])}; so are {beyond} of {words.plural(judged, 'comparison')} of figures."
    )


def tone(comparison: Comparison) -> Literal["good", "watch", "bad"]:
    """Whether something has to be looked at."""
    if _values(comparison, _HONOURED).any():
        return "bad"
    return "watch" if comparison.figures["beyond"].any() else "good"


def numbers(comparison: Comparison) -> list[Number]:
    """The three numbers."""
    judged, beyond = _counts(comparison)
    settings, largest = comparison.settings, Number(value="none", label="largest difference beyond noise")
    if beyond:
        row = comparison.beyond.iloc[0]
        largest = Number(
            value=_ratio(row["ratio"]),
            label=f"largest: {row['figure']}",
            note=f"{row['side']}, of {comparison.first}",
        )
    runs = sum(len(side.runs) for side in comparison.sides)
    return [
        Number(
            value=f"{beyond} of {judged}",
            label="differences that are more than noise",
            note=f"{words.plural(len(comparison.sides), 'side')}, {words.plural(runs, 'run')}",
        ),
        largest,
        Number(
            value=words.count(len(settings)),
            label="settings that differ",
            note=", ".join(settings["setting"][:2]) + (", …" if len(settings) > 2 else ""),
        ),
    ]


def settings(comparison: Comparison) -> Table | Note:
    """What differs between the sides before anything is played."""
    if comparison.settings.empty:
        return Note("The settings of all sides are the same.")
    if comparison.sides.only_seeds:
        return Table(comparison.settings, "Only the seeds differ: what follows is what noise looks like")
    return Table(
        comparison.settings,
        f"{words.plural(len(comparison.settings), 'setting')} differ"
        + ("s" if len(comparison.settings) == 1 else ""),
    )


def figures(comparison: Comparison) -> Table:
    """All figures, a column for each side, with their ratios to the first; a star marks what is more than noise."""
    columns: dict[str, Any] = {"figure": list(dict.fromkeys(comparison.figures["figure"]))}
    for side in comparison.sides:
        of_side = comparison.figures[comparison.figures["side"] == side.label].set_index("figure")
        columns[side.label] = [
            _cell(of_side.loc[name], side.label != comparison.first) for name in columns["figure"]
        ]
    _, beyond = _counts(comparison)
    told = words.plural(beyond, "difference is", "differences are") if beyond else "No difference is"
    return Table(
        pd.DataFrame(columns), f"{told} more than noise (marked *); ratios are to {comparison.first}"
    )


def method(comparison: Comparison) -> list[str]:
    """How the numbers were come by."""
    several = any(len(side.runs) > 1 for side in comparison.sides)
    said = [
        "Runs that differ in their seeds alone stand on one side and are each other's replications; "
        + ", ".join(f"{side.label}: {words.plural(len(side.runs), 'run')}" for side in comparison.sides)
        + ".",
    ]
    said.append(
        "Counts are sums over lineage trees and revocations; the sum of the squares of their parts estimates how much they vary from seed to "
        "seed (a compound Poisson process). Intervals (95 %) and tests (normal) follow from it"
        + (", or from the replications where these vary more." if several else ".")
    )
    if several:
        test = (
            "pairs of Runs with the same seed"
            if comparison.paired
            else "Welch's test, Student's where one side is a single Run"
        )
        said.append(
            f"Of wall times and the largest of something only the replications tell that (Student's t; {test})."
        )
    said.append(
        f"P-values of all figures together are adjusted by Benjamini and Hochberg's procedure: of the differences that are called more than noise, {RATE:.0%} may be none."
    )
    if comparison.found:
        said.append(
            "Attacks are looked for by one detector with one threshold on all sides: learned and chosen on two further seeds of the first side's "
            "scenario. Shares of attacks found have Wilson intervals and are compared by Fisher's exact test."
        )
    if comparison.sides.copies:
        said.append(
            f"Counted once, since they hold the same tables as another: {', '.join(comparison.sides.copies)}."
        )
    return said


def limits(comparison: Comparison) -> list[str]:
    """What the comparison does not say."""
    said = [
        "How large a Run is, is what was asked for: agents, grants, trees and operations are shown and not judged.",
        "Wall times are those of a machine and of whatever else it did; only replications tell how much they vary, and only if they were made alike.",
        "A figure without an interval says nothing of noise: the largest of something, and wall times of a single Run.",
    ]
    if not any(len(side.runs) > 1 for side in comparison.sides):
        said.append(
            "Trees that depend on each other (people's hours, a spike, one attacker in many trees) vary more than single Runs can tell: replications are better evidence."
        )
    if comparison.found:
        said.append(
            "The attacks are our own invention: how many are found compares settings, and says little of attackers who never read this code."
        )
    else:
        said.append(
            "No attacks were looked for: it was left out, or not every side is a simulation with attacks."
        )
    return said


def _counts(comparison: Comparison) -> tuple[int, int]:
    return len(comparison.judged), int(comparison.figures["beyond"].sum())


def _values(comparison: Comparison, figure: str) -> pd.Series[Any]:
    return comparison.figures.loc[comparison.figures["figure"] == figure, "value"]


def _of(comparison: Comparison, figure: str, side: str) -> pd.Series[Any]:
    rows = comparison.figures
    return rows[(rows["figure"] == figure) & (rows["side"] == side)].iloc[0]


def _cell(row: pd.Series[Any], compared: bool) -> str:
    star = " *" if row["beyond"] else ""
    return (
        f"{row['text']} ({_ratio(row['ratio'])}){star}"
        if compared and row["ratio"] > 0
        else f"{row['text']}{star}"
    )


def _ratio(ratio: float) -> str:
    return f"×{words.number(ratio)}" if ratio > 0 else "only on one side"


def _times(ratio: float) -> str:
    return f" ({_ratio(ratio)})" if ratio > 0 else ""
