"""When trees start, and by which clock. The words are k6's.

The population decides how many trees there are, the workload when each starts.

Open loads (:mod:`.rates`), whose arrivals do not wait for anything: ``constant-arrival-rate``, ``ramping-arrival-rate``.

* Given a time alone (``duration``, or stages ``to`` plain numbers), all trees arrive within it. The numbers
  are a shape: three times as many arrive where it says 3 as where it says 1, and the rate follows from the
  number of trees, so a larger population means a higher load in the same time.
* Given rates (``rate: 50/s``, ``to: 50/s``: trees a second over all tenants), trees arrive at those rates and
  the time follows: arrivals end with the last tree, and the last rate holds until then.
* With ``max_in_flight``, a tree that arrives while so many are under way is dropped, and counted.

Closed loads (:mod:`.users`): ``constant-vus``, ``ramping-vus``. So many virtual users each run one tree after the
other. Given no end, the time follows from the number of trees. With an end (``duration``, or a last stage ``to: 0``) what
no user came to until then is not begun, and counted.

A tree is under way from its root's request for a grant until its last agent is done, as they intend: that is known
beforehand, depends on no answer, and so is the same by either clock. A tree that is dropped or not begun still has
its agents: they are registered, and nobody gives them a task. So a Run has exactly the scenario's agents.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from agentsim.simulation.workload.executor import Executor, Schedule
from agentsim.simulation.workload.presets import PRESETS, Preset, resolved
from agentsim.simulation.workload.profile import Profile
from agentsim.simulation.workload.rates import ConstantRate, RampingRate, RateStage
from agentsim.simulation.workload.users import ConstantUsers, RampingUsers, UserStage

__all__ = [
    "PRESETS",
    "ConstantRate",
    "ConstantUsers",
    "Executor",
    "Preset",
    "Profile",
    "RampingRate",
    "RampingUsers",
    "RateStage",
    "Schedule",
    "UserStage",
    "Workload",
]

_Executors = ConstantRate | RampingRate | ConstantUsers | RampingUsers

#: Any workload, told apart by its ``executor``; a preset is read as the workload that it stands for.
Workload = Annotated[
    _Executors,
    Field(discriminator="executor"),
    BeforeValidator(resolved, json_schema_input_type=_Executors | Preset),
]
