"""From the parameters of ``threshold-tuning`` to its workbench."""

from __future__ import annotations

from pathlib import Path

from agentsim.experiments.scene import Runs, prepare
from agentsim.reporting.catalogue import TuningParameters
from agentsim.reporting.opening import open_run
from agentsim.reporting.tuning.bench import Bench


def open_bench(parameters: TuningParameters) -> Bench:
    """Open the Run, simulate what is needed beside it, open or train the model, and score.

    Raises
    ------
    RunError
        If there is no such Run, it is not finished, or is no simulation.
    ModelError
        If there is no such model.
    """
    model = Path(parameters.model) if parameters.model else None
    return Bench(prepare(open_run(parameters.run), model=model, runs=Runs(agents=parameters.agents)))
