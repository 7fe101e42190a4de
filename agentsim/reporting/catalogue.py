"""The notebooks of the project: what each answers, and which parameters it takes.

A parameter is declared here once, with its meaning and its limits. A notebook's ``parameters`` cell repeats names and
defaults, because papermill and readers want plain values there, and builds the model from them in its next cell: a wrong
value is told in JupyterLab as on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """What a notebook may be given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def runs_given(self) -> tuple[str, ...]:
        """The directories of Runs among the parameters, as they were given."""
        given = getattr(self, "runs", None) or [getattr(self, "run", "")]
        return tuple(filter(None, given))


class ScaleParameters(Parameters):
    """What the scale report may be given."""

    run: str = Field("data/runs/demo", description="directory of the run")
    tree_grants: int = Field(60, ge=1, description="draw the largest tree with at most this many grants")
    exposure_agents: int = Field(
        1000,
        ge=0,
        description="play the scenario with so many agents for each way to verify; 0 leaves it out",
    )


class AnomalyParameters(Parameters):
    """What the anomaly report may be given."""

    run: str = Field("data/runs/demo", description="directory of the run")
    alert_budget: float = Field(2000.0, gt=0, description="alerts a day that can be dealt with")
    companion_agents: int = Field(
        4000, ge=1, description="agents in each of the two runs to learn from, at most"
    )
    contain_agents: int = Field(
        3000, ge=0, description="agents in each run that compares thresholds, at most; 0 leaves that out"
    )
    contain_points: int = Field(6, ge=1, description="thresholds that are compared")
    replayed: str = Field("", description="directory of a replayed run to set beside a simulated one")


class LineageParameters(Parameters):
    """What the lineage report may be given."""

    run: str = Field("data/runs/demo", description="directory of the run")
    tree: str = Field("", description="a task or a grant whose tree is shown; empty for the most telling one")
    most_rows: int = Field(
        12, ge=1, le=60, description="rows of a picture that lists shapes, roles or agents, at most"
    )


class TuningParameters(Parameters):
    """What the workbench for thresholds may be given."""

    run: str = Field("data/runs/demo", description="directory of the run that thresholds are chosen on")
    budget: float = Field(2000.0, gt=0, le=1e9, description="alerts a day at most, to begin with")
    missed: float = Field(1000.0, ge=0, description="what a missed attack costs, to begin with")
    false_alarm: float = Field(10.0, gt=0, description="what a false alarm costs, to begin with")
    model: str = Field("", description="directory of a saved model; empty trains one")
    agents: int = Field(4000, ge=1, description="agents in each run that is simulated beside it, at most")
    out: str = Field("thresholds.yaml", min_length=1, description="file that is written when you save")


class CompareParameters(Parameters):
    """What a comparison may be given."""

    runs: list[str] = Field(
        ["data/runs/demo", "data/runs/demo-2"],
        min_length=1,
        description="directories of runs, of a sweep's cells or of sweeps; the others are compared with the first",
    )
    alert_budget: float = Field(2000.0, gt=0, description="alerts a day that can be dealt with")
    companion_agents: int = Field(
        1000,
        ge=0,
        description="agents in each of the two runs to learn from, at most; 0 looks for no attacks",
    )


class ReliabilityParameters(Parameters):
    """What the reliability report may be given."""

    run: str = Field("data/runs/soak", description="directory of the soak")


class QuickstartParameters(Parameters):
    """What the first notebook may be given."""

    agents: int = Field(200, ge=1, description="agents in the small simulation")
    out: str = Field("", description="directory for its run and its report; a temporary one if empty")


class ExtendParameters(Parameters):
    """What the tutorial on roles and attacks may be given."""

    agents: int = Field(400, ge=150, description="agents in the simulation; at least 150, to learn from")
    out: str = Field("", description="directory for the classes and the run; a temporary one if empty")


@dataclass(frozen=True)
class Notebook:
    """One notebook of the project.

    Attributes
    ----------
    question : what it answers, in a line.
    parameters : the model of what it may be given.
    kind : a page becomes a report, since it publishes a verdict; a workbook is worked through in JupyterLab.
    runs : how many Runs it is about. One stands in the parameter ``run``, several in ``runs``.
    about : a soak stands there in place of a Run where it is about one.
    """

    name: str
    question: str
    parameters: type[Parameters]
    kind: Literal["page", "workbook"] = "page"
    runs: Literal["none", "one", "several"] = "one"
    about: Literal["run", "soak"] = "run"


NOTEBOOKS = {
    notebook.name: notebook
    for notebook in (
        Notebook("scale", "What did a run do, what did it cost, how does it grow?", ScaleParameters),
        Notebook("anomaly", "Can the bad agents be seen in time, and stopped?", AnomalyParameters),
        Notebook(
            "lineage", "Who delegated to whom, how much, and where did revocation go?", LineageParameters
        ),
        Notebook(
            "threshold-tuning",
            "Which threshold suits us, and what would another one gain and lose?",
            TuningParameters,
            kind="workbook",
        ),
        Notebook(
            "compare",
            "What differs between runs, and is it more than noise?",
            CompareParameters,
            runs="several",
        ),
        Notebook(
            "reliability",
            "What does a served token server stand: load, kills, faults, hostile input?",
            ReliabilityParameters,
            about="soak",
        ),
        Notebook(
            "quickstart",
            "How does a token server for agents work, from nothing to a revoked tree?",
            QuickstartParameters,
            kind="workbook",
            runs="none",
        ),
        Notebook(
            "extend",
            "How are a role and an attack of one's own made?",
            ExtendParameters,
            kind="workbook",
            runs="none",
        ),
    )
}
