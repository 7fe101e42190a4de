"""Parameters of compare, quickstart and extend."""

from pydantic import BaseModel as Parameters
from pydantic import Field


class QuickstartParameters(Parameters):
    """What the first notebook may be given."""

    agents: int = Field(200, ge=1, description="agents in the small simulation")
    out: str = Field("", description="directory for its Run and its report; a temporary one if empty")


class ExtendParameters(Parameters):
    """What the tutorial on roles and attacks may be given."""

    agents: int = Field(400, ge=1, description="agents in the simulation")
    out: str = Field("", description="directory for the classes and the Run; a temporary one if empty")


class CompareParameters(Parameters):
    """What a comparison may be given."""

    runs: list[str] = Field(
        ["data/runs/demo", "data/runs/demo-2"],
        min_length=1,
        description="directories of Runs, of cells of a sweep, or of whole sweeps; the first is what the others are compared with",
    )
    alert_budget: float = Field(2000.0, gt=0, description="alerts a day that can be dealt with")
    companion_agents: int = Field(
        1000, ge=0, description="agents in each of the two runs to learn from, at most; 0 leaves out what is found"
    )
