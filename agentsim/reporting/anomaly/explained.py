"""The alerts that come first, each with what was unusual about it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.experiments import DetectionResult
from agentsim.reporting import words
from agentsim.reporting.figures import Note, Table
from agentsim.risk import Evidence, Novelty, gather, read_truth
from agentsim.risk.phrases import without_numbers, word_phrase
from agentsim.run import Run

#: Nats of surprise below which nothing is worth telling: what one in five does.
_ODD = np.log(5)
#: Steps told of each recorded alert.
_STEPS = 3
#: Reasons shown of each simulated alert, beside its place in the tree.
_SHOWN = 2
#: Recorded alerts that are explained at most.
_EXPLAINED = 5000
#: False alarms at which a grant of recorded traces counts as an alert.
_FALSE_ALARMS = 0.05
#: By what alerts and scores are joined.
_KEY = ["tenant", "kind", "entity"]


def alerts(run: Run, result: DetectionResult, most: int = 10) -> list[Table | Note]:
    """Why there were alerts, and the ones that come first.

    Parameters
    ----------
    run : the judged Run.
    result : what :func:`agentsim.experiments.judge` said of it.
    most : rows of each table at most.
    """
    explained = _recorded(run, result) if result.alerts is None else _simulated(result)
    if explained.empty:
        return [Note("Nothing reached the threshold, so there is no alert to show.")]
    return [_by_reason(result, explained, most), _first(run, explained, most)]


def _simulated(result: DetectionResult) -> pd.DataFrame:
    """The alerts, highest score first, with ``because`` and ``unusual`` in words, ``attacked`` and ``truth``."""
    assert result.alerts is not None
    found = result.alerts.merge(result.scores[[*_KEY, "attacked", "attack"]], on=_KEY, how="left")
    return found.assign(
        because=[without_numbers(reasons[0]) for reasons in found["reasons"]],
        # The first, and where it stands; the command 'alerts' tells all.
        unusual=["; ".join([*reasons[:-1][:_SHOWN], reasons[-1]]) for reasons in found["reasons"]],
        truth=_in_truth(found),
        first_grant=found["grant_id"].fillna(found["root_grant_id"]),
    )


def _recorded(run: Run, result: DetectionResult) -> pd.DataFrame:
    """The same of recorded traces: they have no budget, so what is above the share of false alarms is an alert."""
    score, attacked = result.scores[result.chosen], result.scores["attacked"].astype(bool)
    kept = pd.DataFrame({"score": score, "attacked": attacked, "truth": _in_truth(result.scores)})
    kept = kept[score > score[~attacked].quantile(1 - _FALSE_ALARMS)]
    kept = kept.sort_values("score", ascending=False, kind="stable").head(_EXPLAINED)
    evidence = gather(run)
    index = evidence.features.index
    mask = np.asarray(index.isin(kept.index))
    never_attacked = evidence.take(~read_truth(run, index).attempted)
    reasons = _steps(never_attacked, evidence.take(mask))
    told = pd.DataFrame(
        {"because": [_tell(found[:1], odds=False) for found in reasons], "unusual": map(_tell, reasons)},
        index=index[mask],
    )
    owners = run.sql(
        "SELECT grant_id, client_id, role::VARCHAR AS role FROM tokens WHERE token_id = grant_id"
    )
    explained = kept.join(told).join(owners.set_index("grant_id"))
    return explained.assign(kind="grant", first_grant=explained.index)


def _by_reason(result: DetectionResult, explained: pd.DataFrame, most: int) -> Table:
    groups = explained.groupby("because")["attacked"].agg(["size", "sum"])
    groups = groups.sort_values(["size", "sum"], ascending=False).reset_index()
    right = words.percent(explained["attacked"].mean())
    at = f" at {words.percent(_FALSE_ALARMS)} false alarms" if result.alerts is None else ""
    finding = (
        f"{words.plural(len(explained), 'alert')}{at}, {right} of them attacks, and why they were raised"
    )
    table = pd.DataFrame(
        {
            "most unusual": groups["because"],
            "alerts": groups["size"],
            "attacks": groups["sum"],
            "right (%)": 100 * groups["sum"] / groups["size"],
        }
    )
    return Table(table.head(most), finding)


def _first(run: Run, explained: pd.DataFrame, most: int) -> Table:
    first = explained.drop_duplicates("because").head(most)
    agents = run.frame("agents", ["client_id", "agent_name"]).drop_duplicates("client_id")
    tasks = run.sql("SELECT grant_id, task_description FROM tokens WHERE token_id = grant_id")
    table = pd.DataFrame(
        {
            "what": first["kind"],
            "agent": first["client_id"].map(agents.set_index("client_id")["agent_name"]),
            "role": first["role"],
            "task": first["first_grant"].map(tasks.set_index("grant_id")["task_description"]).fillna("–"),
            "unusual": first["unusual"],
            "score": [f"{value:.2f}" for value in first["score"]],
            "in truth": first["truth"],
        }
    )
    return Table(table.reset_index(drop=True), "The highest scores, one alert for each main reason")


def _steps(usual: Evidence, alerts: Evidence) -> list[list[tuple[str, float]]]:
    """The most surprising words of each alert, about what it did and about the order."""
    of_each = [Novelty(order=order).fit(usual).reasons(alerts, _STEPS) for order in (False, True)]
    together = [[reason for part in parts for reason in part] for parts in zip(*of_each, strict=True)]
    return [sorted(found, key=lambda reason: -reason[1])[:_STEPS] for found in together]


def _tell(reasons: list[tuple[str, float]], *, odds: bool = True) -> str:
    """Steps in words. A surprise of s nats is something that one grant in e^s does."""
    said = [
        word_phrase(word) + (f" (1 in {words.count(np.exp(surprise))})" if odds else "")
        for word, surprise in reasons
        if surprise > _ODD
    ]
    return "; ".join(said) or "many small things"


def _in_truth(scores: pd.DataFrame) -> pd.Series[str]:
    attacked = scores["attacked"].astype(bool)
    names = scores["attack"] if "attack" in scores else pd.Series("attack succeeded", index=scores.index)
    kind = names.astype(str).str.replace("_", " ")
    told: pd.Series[str] = kind.where(attacked, "no attack")
    return told
