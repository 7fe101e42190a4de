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


def first_alerts(run: Run, result: DetectionResult, companion_agents: int, count: int = 12) -> Table | Note:
    """The grants with the highest scores, what was unusual about each, and what was behind it.

    Parameters
    ----------
    run : the judged Run.
    result : what :func:`agentsim.experiments.detection.judge` said of it.
    companion_agents : as it was given to ``judge``.
    count : alerts at most.
    """
    score = result.scores[result.chosen]
    if result.threshold is not None:
        score = score[score >= result.threshold.value]
    first = score.sort_values(ascending=False, kind="stable").head(count)
    if first.empty:
        return Note("No grant reached the threshold, so there is no alert to show.")
    evidence = gather(run)
    chosen = evidence.features.index.get_indexer(first.index)
    mask = np.zeros(len(evidence), dtype=bool)
    mask[chosen] = True
    reasons = (
        Novelty().fit(_reference(run, evidence, companion_agents)).reasons(evidence.take(mask), _REASONS)
    )
    told = pd.Series([_tell(found) for found in reasons], index=evidence.features.index[mask])
    grants = _grants(run, first.index)
    truth = result.scores.loc[first.index]
    right = int(truth["attacked"].sum())
    table = pd.DataFrame(
        {
            "agent": grants["agent_name"],
            "role": grants["role"],
            "task": grants["task"],
            "unusual": told.reindex(first.index),
            "score": [f"{value:.2f}" for value in first],
            "in truth": _in_truth(truth),
        }
    )
    finding = f"{right} of the first {words.plural(len(first), 'alert')} are attacks"
    return Table(table.reset_index(drop=True), finding)


def _reference(run: Run, evidence: Evidence, agents: int) -> Evidence:
    """What is usual: the benign companion of a simulated Run, the never-attacked runs of a replay."""
    if run.manifest.kind == "replay":
        return evidence.take(~read_truth(run, evidence.features.index).attempted)
    return gather(make_companions(run, agents=agents).reference)


def _reasons(usual: Evidence, alerts: Evidence) -> list[list[tuple[str, float]]]:
    """The most surprising words of each alert, about what it did and in which order."""
    of_each = [Novelty(order=order).fit(usual).reasons(alerts, _REASONS) for order in (False, True)]
    together = [[*done, *order] for done, order in zip(*of_each, strict=True)]
    return [sorted(found, key=lambda reason: -reason[1])[:_REASONS] for found in together]


def _tell(reasons: list[tuple[str, float]]) -> str:
    """Reasons in words. A surprise of s nats is something that one grant in e^s does."""
    said = [
        f"{_in_words(word)} (1 in {words.count(np.exp(surprise))})"
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
