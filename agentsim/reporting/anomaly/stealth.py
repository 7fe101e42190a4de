"""How much of each kind of attack is found by how hard it tries not to be seen: a map of kinds and degrees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap

from agentsim.experiments import DetectionResult
from agentsim.palette import INK, MAIN, SOFT
from agentsim.reporting import words
from agentsim.reporting.figures import Picture, canvas

#: From nothing found to everything: ever darker, so that grey tells the same.
_SHADES = LinearSegmentedColormap.from_list("found", ["#f7f9fb", MAIN])
#: Shares from which on a figure on its shade is white.
_DARK = 0.7


def by_stealth(result: DetectionResult) -> list[Picture]:
    """The map; nothing where the attacks of the Run are of one degree."""
    rows = result.by_stealth
    if rows is None or rows["stealth"].nunique() < 2:
        return []
    found, attacks = (
        rows.pivot(index="attack", columns="stealth", values=name).astype(float)
        for name in ("found", "attacks")
    )
    shares = found / attacks
    # The hardest to see on top.
    order = (found.sum(axis=1) / attacks.sum(axis=1)).sort_values(kind="stable").index
    shares = shares.loc[order]
    hits, made = (frame.loc[order].to_numpy(np.float64) for frame in (found, attacks))
    with canvas(1.1 + 0.29 * len(shares)) as (figure, axes):
        axes.pcolormesh(
            np.ma.masked_invalid(shares), cmap=_SHADES, vmin=0, vmax=1, edgecolors="white", linewidth=1.5
        )
        axes.invert_yaxis()
        for (row, column), share in np.ndenumerate(shares.to_numpy(np.float64)):
            seen = np.isfinite(share)
            text = f"{hits[row, column]:.0f} of {made[row, column]:.0f}" if seen else "no attack"
            color = "white" if seen and share > _DARK else INK if seen else SOFT
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5, color=color)
        axes.set_xticks(
            np.arange(len(shares.columns)) + 0.5,
            [f"{degree:g}" for degree in shares.columns.to_numpy(np.float64)],
        )
        names = [kind.replace("_", " ") for kind in shares.index.astype(str).tolist()]
        axes.set_yticks(np.arange(len(shares)) + 0.5, names)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("stealth, 0 (loud) to 1 (imitates its victim)")
    alt = f"A map of {len(shares)} kinds of attacks by stealth, with how many were found: {_listed(rows)}."
    return [Picture(figure, _finding(rows), alt, _table(rows))]


def _finding(rows: pd.DataFrame) -> str:
    sums = rows.groupby("stealth")[["found", "attacks"]].sum()
    share = sums["found"] / sums["attacks"]
    loud, quiet = float(share.iloc[0]), float(share.iloc[-1])
    least, most = share.index[0], share.index[-1]
    if share.nunique() == 1:
        return (
            f"{words.percent(loud)} of the attacks are found, loud or quiet (stealth {least:g} to {most:g})"
        )
    return (
        f"Of the loudest attacks (stealth {least:g}) {words.percent(loud)} are found, of the quietest ({most:g}) "
        f"{words.percent(quiet)}"
    )


def _listed(rows: pd.DataFrame) -> str:
    return "; ".join(
        f"{str(kind).replace('_', ' ')} {', '.join(_told(part))}" for kind, part in rows.groupby("attack")
    )


def _told(rows: pd.DataFrame) -> list[str]:
    columns = (rows[name].tolist() for name in ("stealth", "found", "attacks"))
    return [f"at {degree:g} {found} of {attacks}" for degree, found, attacks in zip(*columns, strict=True)]


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "attack": [kind.replace("_", " ") for kind in rows["attack"]],
            "stealth": rows["stealth"],
            "attacks": rows["attacks"],
            "found": rows["found"],
            "found (%)": 100 * rows["recall"],
            "95% from": 100 * rows["low"],
            "to": 100 * rows["high"],
        }
    )
