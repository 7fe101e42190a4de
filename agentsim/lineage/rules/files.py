"""The files are those that the manifest lists, byte for byte."""

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation


def check_files(evidence: Evidence) -> list[Violation]:
    """Every listed file is there and has its SHA-256; the Run is finished."""
    run = evidence.run
    found = [Violation("files", None, name, run.remedy()) for name in run.damaged_files()]
    if run.manifest.status != "complete":
        found.append(Violation("files", None, "manifest", f"the Run is {run.manifest.status}, not complete"))
    return found
