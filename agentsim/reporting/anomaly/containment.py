"""What it costs to stop attackers: their operations that are still honoured, against the honest tasks that are killed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.experiments.containment import ContainmentError, contain_of
from agentsim.palette import ACCENT, INK, MAIN, SOFT
from agentsim.reporting import words
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.run import Run

_COLUMNS = {
    "threshold": "Threshold",
    "honoured": "Operations honoured",
    "honoured_median": "of the median attack",
    "honoured_share": "of none",
    "grants_reached": "Grants reached",
    "resources_reached": "Resources reached",
    "contained_after_s": "Seconds until contained",
    "honest_killed": "Honest tasks killed",
    "honest_killed_share": "of all",
    "alerts_per_day": "Alerts a day",
}


#: What the default thresholds should reach: attackers' operations stopped at least, honest tasks killed at most.
_STOPPED, _KILLED = 0.8, 0.01


def played(run: Run, agents: int, points: int) -> pd.DataFrame | Note:
    """The scenario of a Run, played under a range of thresholds: the figures, or why there are none.

    Parameters
    ----------
    run : a Run; only simulated attacks can be stopped.
    agents : in each of the Runs that are compared, at most; 0 leaves the comparison out.
    points : thresholds.
    """
    if run.manifest.kind == "replay":
        return Note(
            "Recorded traces cannot be stopped: what acting on alerts costs is told of simulated runs."
        )
    if not agents or not points:
        return Note("The comparison of thresholds was left out; -p contain_agents=3000 makes it.")
    try:
        return contain_of(run, agents=agents, points=points)
    except ContainmentError:
        return Note("Nobody attacks in this scenario: there is nobody to stop.")


def containment(frame: pd.DataFrame | Note, agents: int) -> list[Picture | Note]:
    """The trade-off for the scenario of a Run, and where the default threshold stands.

    Parameters
    ----------
    frame : what :func:`played` gave.
    agents : in each of the Runs that were compared, at most.
    """
    if isinstance(frame, Note):
        return [frame]
    shown = containment_curve(frame)
    return [shown] if isinstance(shown, Note) else [shown, Note(_standing(frame, agents))]


def _standing(frame: pd.DataFrame, agents: int) -> str:
    """Where the default threshold stands, beside what is aimed at."""
    none, point = frame[frame["threshold"].isna()].iloc[0], frame[frame["is_default"]].iloc[0]
    before, after = none["honoured_median"], point["honoured_median"]
    stopped = 1 - after / before if before else 0.0
    killed = float(point["honest_killed_share"])
    reached = "reached" if stopped >= _STOPPED and killed < _KILLED else "not reached"
    return (
        f"The default, from a score of {point['threshold']:g} on (where one honest task in a thousand of another seed raises an alert), holds a grant until it is authorised anew, and nobody comes to do so. "
        f"The median attack has {words.number(before)} operations honoured when nobody acts and {words.number(after)} then: "
        f"{words.percent(stopped)} no longer are. {words.plural(int(point['honest_killed']), 'honest task')} of "
        f"{words.count(point['honest_tasks'])} {'is' if point['honest_killed'] == 1 else 'are'} killed "
        f"({words.percent(killed)}). The aim, {words.percent(_STOPPED)} stopped with less than {words.percent(_KILLED)} killed, is "
        f"{reached}. {words.plural(int(none['attacks']), 'attack')} in runs of {words.count(agents)} agents at most, simulated: "
        "our own invention, and no measure of yours."
    )


def containment_curve(frame: pd.DataFrame) -> Picture | Note:
    """The trade-off over the thresholds of a comparison.

    Parameters
    ----------
    frame : as :func:`agentsim.experiments.containment.results` has it.
    """
    if not frame["honoured"].iloc[0]:
        return Note("No attack got anywhere in this scenario: there is nothing to contain.")
    points = frame[frame["threshold"].notna()]
    # On a logarithmic axis nothing has no place: it stands where half a task would be.
    least = 0.5 / max(1, int(frame["honest_tasks"].iloc[0]))
    killed = points["honest_killed_share"].clip(lower=least)
    honoured = 100 * points["honoured_share"]
    with canvas(3.4) as (figure, axes):
        axes.axhline(100, color=SOFT, linestyle=":", linewidth=1.2)
        axes.plot(killed, honoured, color=MAIN, marker="o", markersize=4)
        marked = points["is_default"].to_numpy(bool)
        axes.plot(killed[marked], honoured[marked], "o", color=ACCENT, markersize=10, zorder=3)
        for x, y, threshold, default in _apart(killed, honoured, points):
            told = f"{threshold:.2f}, the default" if default else f"{threshold:.2f}"
            axes.annotate(told, (x, y), (5, 5), textcoords="offset points", color=INK, fontsize=8.5)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        decades = [share for share in (1e-4, 1e-3, 1e-2, 1e-1, 1.0) if share > 2 * least]
        axes.set_xticks([least, *decades], ["none", *(f"{100 * share:g} %" for share in decades)])
        axes.set_xlim(least / 1.5, max(1.5 * float(killed.max()), 0.1))
        axes.set_xlabel("honest tasks killed")
        axes.set_ylabel("attackers' operations honoured,\n% of those when nobody acts")
    return Picture(figure, _finding(points), _alt(points), _table(frame))


def _apart(x: pd.Series, y: pd.Series, points: pd.DataFrame) -> list[tuple[float, float, float, bool]]:
    """Points to be labelled: of those in one place only the default, or else the one with the lowest threshold."""
    places = pd.DataFrame({"x": x, "y": y, "threshold": points["threshold"], "default": points["is_default"]})
    ordered = places.sort_values(["default", "threshold"], ascending=[False, True])
    kept = ordered.groupby([np.log10(places["x"]).round(1), places["y"].round(0)]).head(1)
    return [tuple(row) for row in kept.to_numpy().tolist()]


def _finding(points: pd.DataFrame) -> str:
    chosen = points[points["is_default"]]
    if chosen.empty:
        return "No threshold of this comparison is the default"
    point = chosen.iloc[0]
    stopped, killed = 100 * (1 - point["honoured_share"]), 100 * point["honest_killed_share"]
    return (
        f"The default threshold ({point['threshold']:g}) stops {stopped:.0f} % of what attackers would do, "
        f"and kills {killed:.2g} % of honest tasks"
    )


def _alt(points: pd.DataFrame) -> str:
    columns = (points[name].tolist() for name in ("threshold", "honoured_share", "honest_killed"))
    listed = [
        f"{threshold:.2f}: {100 * share:.0f} % honoured, {words.count(killed)} honest tasks killed"
        for threshold, share, killed in zip(*columns, strict=True)
    ]
    return f"A curve over thresholds, the default marked. {'; '.join(listed)}."


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    shown = frame[list(_COLUMNS)].rename(columns=_COLUMNS)
    shown["Threshold"] = ["none" if value != value else f"{value:.2f}" for value in frame["threshold"]]
    for name in ("of none", "of all"):
        shown[name] = [f"{100 * value:.1f} %" for value in shown[name]]
    return shown
