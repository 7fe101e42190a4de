"""Small pictures of a comparison: each figure that matters most, side by side with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from agentsim.palette import ACCENT, MAIN
from agentsim.reporting import words
from agentsim.reporting.charts import dots, pairs, thousands
from agentsim.reporting.compare.comparison import Comparison
from agentsim.reporting.compare.finding import FOUND
from agentsim.reporting.figures import Note, Picture, canvas

#: Pictures at most.
_MOST = 6
#: What is drawn where there is room, whether it differs or not.
_USUAL = (
    FOUND,
    "refused, per 1,000 operations",
    "ended by revocations, per 1,000 grants",
    "calls honoured after a revocation, per 1,000 operations",
    "answer to Verify, p95",
    "server time per agent",
)
#: How figures begin that are times.
_TIMES = ("answer to", "server time")


def pictures(comparison: Comparison) -> list[Picture | Note]:
    """The figures with the largest differences beyond noise, and the usual ones after them."""
    first = list(dict.fromkeys(comparison.beyond["figure"]))
    there = set(comparison.figures.loc[comparison.figures["value"].fillna(0) != 0, "figure"])
    chosen = [name for name in dict.fromkeys([*first[: _MOST - 2], *_USUAL, *first]) if name in there]
    if not chosen:
        return [Note("There is nothing to draw: every figure is 0.")]
    return [_picture(comparison, name) for name in chosen[:_MOST]]


def _picture(comparison: Comparison, name: str) -> Picture:
    rows = comparison.figures[comparison.figures["figure"] == name]
    beyond = rows.loc[rows["beyond"], "side"].tolist()
    notes = [f"{row.text}{' *' if row.beyond else ''}" for row in rows.itertuples()]
    value, low, high = (rows[column].to_numpy(np.float64) for column in ("value", "low", "high"))
    # What cannot be told is drawn as a point without a line.
    ends = (np.where(np.isnan(end), value, end) for end in (low, high))
    estimates = list(zip(value.tolist(), *(end.tolist() for end in ends), strict=True))
    with canvas(0.75 + 0.3 * max(2, len(rows))) as (figure, axes):
        dots(axes, rows["side"].tolist(), estimates, notes, color=ACCENT if beyond else MAIN)
        axes.set_xlabel(name)
        axes.set_xlim(left=0)
        if name.startswith(_TIMES):
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.duration(value)))
        else:
            thousands(axes.xaxis)
    label = name[0].upper() + name[1:]
    if beyond:
        sides = beyond[0] if len(beyond) == 1 else f"{len(beyond)} sides"
        finding = f"{label}: {sides} {'differs' if len(beyond) == 1 else 'differ'} from {comparison.first} by more than noise"
    elif rows["p"].notna().any():
        finding = f"{label}: no difference that is more than noise"
    else:
        texts = rows["text"].tolist()
        least, most = (texts[int(place(value))] for place in (np.nanargmin, np.nanargmax))
        finding = f"{label}: from {least} to {most}; what is noise, cannot be told"
    alt = f"Dots with 95 % intervals, {name}: {'; '.join(pairs(rows['side'].tolist(), notes))}."
    table = pd.DataFrame(
        {
            "side": rows["side"],
            name: rows["value"],
            "95 % from": rows["low"],
            "to": rows["high"],
            "ratio to the first": rows["ratio"],
            "p": [words.number(p) for p in rows["p"]],
        }
    )
    return Picture(figure, finding, alt, table)
