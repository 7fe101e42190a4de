"""Reports: a notebook executed on a Run becomes a page without code that needs no network."""

from agentsim.reporting.catalogue import (
    NOTEBOOKS,
    AnomalyParameters,
    CompareParameters,
    ExtendParameters,
    LineageParameters,
    Notebook,
    Parameters,
    QuickstartParameters,
    ReliabilityParameters,
    ScaleParameters,
    TuningParameters,
)
from agentsim.reporting.errors import ReportError
from agentsim.reporting.index import rebuild_index
from agentsim.reporting.opening import open_run, open_soak
from agentsim.reporting.report import ReportPaths, make_report
from agentsim.reporting.summary import Number, commands, publish

__all__ = [
    "NOTEBOOKS",
    "AnomalyParameters",
    "CompareParameters",
    "ExtendParameters",
    "LineageParameters",
    "Notebook",
    "Number",
    "Parameters",
    "QuickstartParameters",
    "ReliabilityParameters",
    "ReportError",
    "ReportPaths",
    "ScaleParameters",
    "TuningParameters",
    "commands",
    "make_report",
    "open_run",
    "open_soak",
    "publish",
    "rebuild_index",
]
