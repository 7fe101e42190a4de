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
    ScaleParameters,
    TuningParameters,
)
from agentsim.reporting.errors import ReportError
from agentsim.reporting.index import rebuild_index
from agentsim.reporting.report import ReportPaths, make_report
from agentsim.reporting.summary import Number, commands, open_run, publish

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
    "ReportError",
    "ReportPaths",
    "ScaleParameters",
    "TuningParameters",
    "commands",
    "make_report",
    "open_run",
    "publish",
    "rebuild_index",
]
