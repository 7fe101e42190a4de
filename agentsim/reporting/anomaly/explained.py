"""The alerts that come first, each with what was unusual about it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.experiments import DetectionResult
from agentsim.experiments.companions import make_companions
from agentsim.reporting import words
from agentsim.reporting.figures import Note, Table
from agentsim.risk import Evidence, Novelty, gather, read_truth
from agentsim.run import Run

_PLACES = {"caller": "caller", "source_ip": "address"}
#: Nats of surprise below which nothing is worth telling: what one in five does.
_ODD = np.log(5)
#: Reasons shown for each alert.
_REASONS = 3
#: Alerts that are explained at most.
_EXPLAINED = 5000
#: False alarms at which a grant of recorded traces counts as an alert.
_FALSE_ALARMS = 0.05


def alerts(run: Run, result: DetectionResult, companion_agents: int, most: int = 10) -> list[Table | Note]:
    """Why there were alerts, and the ones that come first.

    Parameters
    ----------
    run : the judged Run.
    result : what :func:`agentsim.experiments.judge` said of it.
    companion_agents : as it was given to ``judge``.
    most : rows of each table at most.
    """
    raised = _raised(result)
    if raised.empty:
        return [Note("No grant reached the threshold, so there is no alert to show.")]
    evidence = gather(run)
    mask = evidence.features.index.isin(raised.index)
    reasons = _reasons(result.chosen, _reference(run, evidence, companion_agents), evidence.take(mask))
    told = pd.DataFrame(
        {
            "because": [_tell(found[:1], odds=False) for found in reasons],
            "unusual": [_tell(found) for found in reasons],
        },
        index=evidence.features.index[mask],
    )
    explained = raised.join(told)
    return [_by_reason(result, explained, most), _first(run, explained, most)]


def _raised(result: DetectionResult) -> pd.DataFrame:
    """The alerts, highest score first: ``score``, ``attacked`` and ``truth`` in words."""
    score, attacked = result.scores[result.chosen], result.scores["attacked"].astype(bool)
    # Recorded traces have no budget: there, the share of false alarms that the report speaks of.
    threshold = (
        result.threshold if result.threshold is not None else score[~attacked].quantile(1 - _FALSE_ALARMS)
    )
    kept = pd.DataFrame({"score": score, "attacked": attacked, "truth": _in_truth(result.scores)})
    kept = kept[score >= threshold] if result.threshold is not None else kept[score > threshold]
    return kept.sort_values("score", ascending=False, kind="stable").head(_EXPLAINED)


def _by_reason(result: DetectionResult, explained: pd.DataFrame, most: int) -> Table:
    groups = explained.groupby("because")["attacked"].agg(["size", "sum"])
    groups = groups.sort_values(["size", "sum"], ascending=False).reset_index()
    right = words.percent(explained["attacked"].mean())
    at = "" if result.threshold is not None else f" at {words.percent(_FALSE_ALARMS)} false alarms"
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
    grants = _grants(run, first.index)
    table = pd.DataFrame(
        {
            "agent": grants["agent_name"],
            "role": grants["role"],
            "task": grants["task"],
            "unusual": first["unusual"],
            "score": [f"{value:.2f}" for value in first["score"]],
            "in truth": first["truth"],
        }
    )
    return Table(table.reset_index(drop=True), "The highest scores, one alert for each main reason")


def _reference(run: Run, evidence: Evidence, agents: int) -> Evidence:
    """What is usual: the benign companion of a simulated Run, the never-attacked runs of a replay."""
    if run.manifest.kind == "replay":
        return evidence.take(~read_truth(run, evidence.features.index).attempted)
    return gather(make_companions(run, agents=agents).reference)


def _reasons(chosen: str, usual: Evidence, alerts: Evidence) -> list[list[tuple[str, float]]]:
    """The most surprising words of each alert: about what it did, its order, or, as the detector does, both."""
    novelties = [Novelty(), Novelty(order=True)]
    of_each = [
        novelty.fit(usual).reasons(alerts, _REASONS)
        for novelty in [one for one in novelties if one.name == chosen] or novelties
    ]
    together = [[reason for part in parts for reason in part] for parts in zip(*of_each, strict=True)]
    return [sorted(found, key=lambda reason: -reason[1])[:_REASONS] for found in together]


def _tell(reasons: list[tuple[str, float]], *, odds: bool = True) -> str:
    """Reasons in words. A surprise of s nats is something that one grant in e^s does."""
    said = [
        _in_words(word) + (f" (1 in {words.count(np.exp(surprise))})" if odds else "")
        for word, surprise in reasons
        if surprise > _ODD
    ]
    return "; ".join(said) or "many small things"


def _in_words(word: str) -> str:
    """A detector's word, such as ``use mail_send #2``, for people."""
    verb, _, rest = word.partition(" ")
    name, _, number = rest.rpartition("#")
    name, again = name.strip(), " again" if number == "2" else ""
    match verb:
        case "use":
            return f"used {name}{again}"
        case "refused":
            return f"was refused{again}: {name.replace('_', ' ')}"
        case "caller" | "source_ip":
            which = {"2": "a second", "3": "a third"}.get(number, "another")
            return f"was presented {'by' if verb == 'caller' else 'from'} {which} {_PLACES[verb]}"
        case "then":
            before, _, after = rest.partition(" > ")
            return f"began with {after}" if before == "start" else f"{after} right after {before}"
        case _:
            return word


def _grants(run: Run, ids: pd.Index[int]) -> pd.DataFrame:
    """Agent, role and task of some grants, in their order."""
    listed = ", ".join(str(int(grant)) for grant in ids)
    # The ids are integers of the Run's own.
    query = f"""
        SELECT t.grant_id, a.agent_name, t.role::VARCHAR AS role, t.task_description AS task
        FROM tokens AS t JOIN agents AS a USING (client_id)
        WHERE t.token_id = t.grant_id AND t.grant_id IN ({listed})
    """  # noqa: S608
    return run.sql(query).set_index("grant_id").reindex(ids)


def _in_truth(scores: pd.DataFrame) -> pd.Series[str]:
    attacked = scores["attacked"].astype(bool)
    names = scores["attack"] if "attack" in scores else pd.Series("attack succeeded", index=scores.index)
    kind = names.astype(str).str.replace("_", " ")
    told: pd.Series[str] = kind.where(attacked, "no attack")
    return told
