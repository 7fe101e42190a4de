"""What the agents of a fitted scenario do, in the same columns as what was recorded. No server is asked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.simulation.plans import make_plans
from agentsim.simulation.population import make_population
from agentsim.simulation.scenario import Scenario


def play(scenario: Scenario) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tasks (``kind``, ``calls``, ``children``) and calls (``kind``, ``tool``, ``before``, ``wait``, ``error``, sizes).

    Of the first tenant; every agent has one task. Agents at the greatest depth have no children because they may not.
    """
    population = make_population(scenario, 0)
    _, calls = make_plans(scenario, population)
    names = np.array(population.catalogue.roles, dtype=object)
    tools = np.array(population.catalogue.tools, dtype=object)
    kind = names[population.role]
    tasks = pd.DataFrame({"kind": kind, "calls": np.diff(calls.first), "children": population.children})
    first = np.zeros(len(calls), bool)
    first[calls.first[:-1]] = True
    tool = tools[calls.tool]
    before = np.roll(tool, 1)
    before[first] = None
    made = pd.DataFrame(
        {
            "kind": kind[calls.agent],
            "tool": tool,
            "before": before,
            "wait": np.where(first, np.nan, np.diff(calls.offset, prepend=0)),
            "error": calls.error,
            "arg_chars": calls.arg_chars.astype(float),
            "result_chars": calls.result_chars.astype(float),
        }
    )
    return tasks, made
