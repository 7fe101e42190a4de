"""What resource servers honour after a revocation, by how they verify, and what that costs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from agentsim.experiments import compare_exposure_of
from agentsim.palette import ACCENT, INK, MAIN, SOFT
from agentsim.reporting import words
from agentsim.reporting.charts import bar_places
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.scale.tables import Scale

_NAMES = {
    "online": "asked for each call",
    "introspection": "answer kept for {}",
    "feed": "feed, polled each {}",
    "status-list": "status list, each {}",
    "offline": "offline, until expiry",
}


def exposure(scale: Scale, agents: int) -> Picture | Note:
    """Calls honoured after a revocation and requests per call, for each way to verify.

    Parameters
    ----------
    agents : how many the scenario is played with, once for each way; 0 leaves it out.
    """
    manifest = scale.run.manifest
    if manifest.kind != "simulation":
        return Note("This run replays traces: there is no scenario that could be played in other ways.")
    if not agents:
        return Note("Left out: give exposure_agents to compare how resource servers verify.")
    compared = compare_exposure_of(scale.run, agents=agents)
    if not compared["revocations"].min():
        return Note("With so few agents nothing was revoked: there is nothing to compare.")
    size = int(manifest.source["population"]["agents"])
    return draw(compared, size)


def draw(compared: pd.DataFrame, size: int) -> Picture:
    """The picture of a comparison, its costs scaled to a Run of ``size`` agents.

    Questions grow with the calls, and calls with the agents; polls do not.
    """
    names = [
        _NAMES[way].format(_spaced(setting))
        for way, setting in zip(compared["verification"], compared["setting"], strict=True)
    ]
    requests = (compared["asked"] + compared["looks"] * compared["agents"] / size) / compared["calls"]
    with canvas(0.9 + 0.34 * len(compared), 1, ncols=2, sharey=True, width_ratios=(3, 2)) as (figure, axes):
        _honoured(axes[0], names, compared)
        _requests(axes[1], requests)
        axes[1].set_xlabel(f"requests to the token server\nper call, with {words.count(size)} agents")
    listed = [
        f"{name}: {words.number(honoured)} calls per 1,000 revocations, {words.number(cost)} requests per call"
        for name, honoured, cost in zip(names, compared["per_1000"], requests, strict=True)
    ]
    alt = f"Dots and bars for each way to verify. {'; '.join(listed)}."
    return Picture(figure, _finding(compared), alt, _table(names, compared, requests))


def _spaced(setting: str) -> str:
    """A duration as reports write it: ``5 s``."""
    return re.sub(r"(\d)([a-z])", r"\1 \2", setting)


def _finding(compared: pd.DataFrame) -> str:
    each = compared.groupby("verification")["per_1000"].max() / 1_000
    online = compared.loc[compared["verification"] == "online", "honoured"].sum()
    feed = _spaced(compared.loc[compared["verification"] == "feed", "setting"].iloc[0])
    asked = (
        "asking for each call lets none through"
        if not online
        else "even asking for each call lets some through"
    )
    return (
        f"Offline, resource servers honour {words.number(each['offline'])} calls after each revocation; "
        f"a feed polled each {feed} cuts that to {words.number(each['feed'])}, and {asked}"
    )


def _honoured(axes: Axes, names: list[str], compared: pd.DataFrame) -> None:
    """Dots with their intervals on a logarithmic axis; what is nothing stands at its edge, in words."""
    places = bar_places(len(compared))
    estimates = compared[["per_1000", "low", "high"]].to_numpy(np.float64)
    some = estimates[estimates[:, 0] > 0]
    least = 0.4 * float(some[:, 0].min()) if len(some) else 1.0
    axes.set_xscale("log")
    axes.set_xlim(least, 4 * max(float(estimates.max()), 10 * least))
    for place, (value, low, high) in zip(places.tolist(), estimates.tolist(), strict=True):
        if not value:
            axes.text(1.08 * least, place, "none", va="center", fontsize=8.5, color=SOFT)
            continue
        axes.plot([max(low, least), high], [place, place], color=MAIN, linewidth=2.2, alpha=0.45)
        axes.plot(value, place, "o", color=MAIN, markersize=7)
        axes.text(high * 1.15, place, words.number(value), va="center", fontsize=8.5, color=INK)
    axes.set_yticks(places, names)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, max(len(names), 2) - 0.4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))
    axes.set_xlabel("calls honoured per 1,000 revocations\n(95 % interval)")


def _requests(axes: Axes, requests: pd.Series[float]) -> None:
    places = bar_places(len(requests))
    axes.barh(places, requests, color=ACCENT, height=0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    room = max(float(requests.max()), 0.1)
    axes.set_xlim(0, 1.4 * room)
    for place, value in zip(places, requests, strict=True):
        axes.text(value + 0.03 * room, place, words.number(value), va="center", fontsize=8.5, color=INK)


def _table(names: list[str], compared: pd.DataFrame, requests: pd.Series[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a call is": names,
            "honoured per 1,000 revocations": compared["per_1000"],
            "from": compared["low"],
            "to": compared["high"],
            "revocations with any (%)": 100 * compared["exposed"],
            "last one after (s, median)": compared["p50_s"],
            "99 % within (s)": compared["p99_s"],
            "longest (s)": compared["max_s"],
            "requests per call": requests,
            "asked": compared["asked"],
            "polls": compared["looks"],
            "calls": compared["calls"],
            "revocations": compared["revocations"].astype(np.int64),
        }
    )
