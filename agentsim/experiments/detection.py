"""Can the attacks of a Run be seen, within an alert budget? Judged without letting a detector flatter itself.

A simulated Run: detectors learn from a benign reference of another seed, the threshold is chosen on a third seed, and
the Run itself is only reported on; an alert is a grant, a tree or an agent. A replayed Run: each suite is judged with
its labels left out (:mod:`agentsim.risk.heldout`); an alert is a grant.
"""

from __future__ import annotations

from pathlib import Path

from agentsim.experiments.recorded import judge_replay
from agentsim.experiments.result import DetectionResult
from agentsim.experiments.simulated import judge_simulation
from agentsim.risk import EvaluationError
from agentsim.run import Run


def judge(
    run: Run,
    *,
    alert_budget: float,
    companion_agents: int = 10_000,
    companions: Path | None = None,
    progress: bool = False,
) -> DetectionResult:
    """Judge how well the attacks of a Run can be seen.

    Parameters
    ----------
    run : a finished Run, simulated or replayed.
    alert_budget : alerts that can be looked at in 24 simulated hours. A replay has no days; the budget is not used.
    companion_agents : agents in each companion run of a simulation, at most.
    companions : where companion runs are kept; beside the Run when None.
    progress : show bars.

    Raises
    ------
    EvaluationError
        If the budget is not positive, or a replay's labels cannot judge anything.
    """
    if alert_budget <= 0:
        raise EvaluationError(f"an alert budget is more than 0 alerts a day, got {alert_budget:g}")
    if run.manifest.kind == "replay":
        return judge_replay(run, alert_budget=alert_budget, progress=progress)
    return judge_simulation(
        run,
        alert_budget=alert_budget,
        companion_agents=companion_agents,
        companions=companions,
        progress=progress,
    )
