"""A Run whose files are damaged, one byte in one file at a time: it is told which, and what makes it again; and that does."""

from __future__ import annotations

from pathlib import Path

from agentsim.experiments.soak.tally import Tally, note
from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.files import check_files
from agentsim.run import Run, RunError
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

_SCENARIO = {
    "schema": 1,
    "name": "soak",
    "seed": 1,
    "population": {"agents": 20},
    "workload": {"executor": "constant-arrival-rate", "duration": "3m"},
    "attacks": [{"kind": "token_theft", "prevalence": 0.3}],
}


def damaged_run(folder: Path) -> Tally:
    """Flip a byte in each file of a Run, and let the same command play it again."""
    tally = Tally(part="faults", name="a byte of a Run's file flipped")
    scenario, place = parse_scenario(_SCENARIO), folder / "run"
    run = simulate(scenario, place)
    sound = run.manifest.digest()
    for name in sorted(run.manifest.files):
        tally.tried += 1
        flip(place / name)
        _see(Run(place), name, tally)
        again = simulate(scenario, place)
        if again.damaged_files() or again.manifest.digest() != sound:
            tally.lost += 1
            note(tally, f"{name}: the same command has not made it again")
    return tally


def flip(file: Path) -> None:
    """Turn all bits of the byte in the middle round."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def _see(run: Run, name: str, tally: Tally) -> None:
    """It is found by its digest, named, and told in one line with the command that makes it again."""
    try:
        run.require_whole()
        told = "nothing"
    except RunError as exc:
        told = str(exc)
    named = [str(violation) for violation in check_files(Evidence(run))]
    for line in (told, *(named or ["nothing"])):
        if name not in line or run.manifest.reproduce not in line or "\n" in line:
            tally.unasked += 1
            note(tally, f"{name} is damaged; what is said of it: {line}")
