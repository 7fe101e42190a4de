"""A Run on disk: one directory with a manifest and Parquet tables.

    RUN/manifest.json
    RUN/<table>/t<tenant>-<part>.parquet      tables and columns: agentsim.tables

The manifest lists every finished file with its SHA-256; what it does not list does not belong to the Run.
"""

from agentsim.run.listing import Runs, Unreadable, runs
from agentsim.run.manifest import Failure, FileEntry, ForkEntry, Manifest, RunError, TenantEntry
from agentsim.run.reading import Run
from agentsim.run.writing import WORK, PartWriter, RunWriter, save_manifest

__all__ = [
    "WORK",
    "Failure",
    "FileEntry",
    "ForkEntry",
    "Manifest",
    "PartWriter",
    "Run",
    "RunError",
    "RunWriter",
    "Runs",
    "TenantEntry",
    "Unreadable",
    "runs",
    "save_manifest",
]
