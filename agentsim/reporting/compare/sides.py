"""What is compared: Runs of the same settings and code stand on one side, as replications of each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentsim.experiments.sweep.folder import SweepFolder
from agentsim.reporting.errors import ReportError
from agentsim.reporting.opening import open_run
from agentsim.reporting.summary import label_of
from agentsim.run import Run

#: Keys of a scenario that change nothing of what is played.
_NAMES = ("name", "description", "schema")
#: Letters of a label, which has to stand beside a picture.
_LONGEST = 34


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes
    ----------
    label : what tables and pictures call it.
    runs : Runs that differ in their seeds alone.
    settings : what they were made from, flat, by key.
    """

    label: str
    runs: tuple[Run, ...]
    settings: Mapping[str, Any]

    @property
    def seeds(self) -> list[str]:
        """The seed of each Run."""
        return [str(run.manifest.seed) for run in self.runs]


@dataclass(frozen=True)
class Sides:
    """All sides, the first being the one that the others are compared with.

    Attributes
    ----------
    only_seeds : nothing differs but seeds, so each Run is a side of its own and every difference is noise.
    copies : Runs that hold the same tables as another to the byte, and count once.
    """

    sides: tuple[Side, ...]
    only_seeds: bool
    copies: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Side]:
        return iter(self.sides)

    def __len__(self) -> int:
        return len(self.sides)

    @property
    def runs(self) -> list[Run]:
        """All Runs, side by side."""
        return [run for side in self.sides for run in side.runs]


def open_sides(given: Sequence[str]) -> Sides:
    """Open what is to be compared.

    Parameters
    ----------
    given : directories of Runs, of cells of a sweep, or of whole sweeps.

    Raises
    ------
    ReportError
        If there are fewer than two Runs, or one is given twice.
    RunError, SweepError
        If there is no Run, it is not finished, or a sweep cannot be read.
    """
    runs = [open_run(path) for one in given for path in members(Path(one))]
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise ReportError("a Run is given twice: a comparison needs different ones")
    if len(runs) < 2:
        raise ReportError(f"a comparison needs two Runs or more, got {len(runs)}: {', '.join(given)}")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(settings_of(run), sort_keys=True), []).append(run)
    if len(groups) == 1:
        return _of_one_kind(runs)
    kept = [_distinct(group) for group in groups.values()]
    copies = [label_of(run) for run in runs if not any(run in group for group in kept)]
    settings = [settings_of(group[0]) for group in kept]
    labels = _labels(kept, differing(settings))
    sides = (
        Side(label, tuple(group), told) for label, group, told in zip(labels, kept, settings, strict=True)
    )
    return Sides(tuple(sides), only_seeds=False, copies=tuple(copies))


def members(path: Path) -> list[Path]:
    """The directories of the Runs that a directory stands for: those of a sweep's finished cells, or its own."""
    if not (path / "sweep.json").is_file():
        return [path]
    folder = SweepFolder(path)
    return [folder.run(cell.cell) for cell in folder.sweep().cells if folder.status(cell) == "complete"]


def settings_of(run: Run) -> dict[str, Any]:
    """All that a Run depends on beside its seed, flat: keys of its scenario or of its traces, its rules, its code."""
    manifest = run.manifest
    source = {key: value for key, value in manifest.source.items() if key not in (*_NAMES, "seed")}
    fork = manifest.fork
    told = {
        "kind": manifest.kind,
        **source,
        # A simulation's rules stand in its scenario.
        **({} if manifest.kind == "simulation" else {"rules": manifest.policy}),
        **({"fork": {"of": fork.digest, "at": fork.at, "set": fork.settings}} if fork else {}),
        "thresholds": manifest.thresholds,
        "code": manifest.code,
    }
    return dict(_flat("", told))


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of settings that are not the same everywhere, in the order in which they first appear."""
    keys = dict.fromkeys(key for told in settings for key in told)
    return [key for key in keys if any(told.get(key) != settings[0].get(key) for told in settings)]


def _flat(prefix: str, parts: Mapping[str, Any] | Sequence[Any]) -> Iterator[tuple[str, Any]]:
    items = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
    for name, value in items:
        if isinstance(value, Mapping | list) and value:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _of_one_kind(runs: Sequence[Run]) -> Sides:
    names = [label_of(run) for run in runs]
    alike = len(set(names)) < len(names)
    labels = [
        _short(f"{run.path.resolve().parent.name}/{name}" if alike else name)
        for run, name in zip(runs, names, strict=True)
    ]
    sides = (Side(label, (run,), settings_of(run)) for label, run in zip(labels, runs, strict=True))
    return Sides(tuple(sides), only_seeds=True)


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """One of each seed: the others hold the same tables, and no further draw."""
    return list({run.manifest.seed: run for run in reversed(runs)}.values())[::-1]


def _labels(groups: Sequence[Sequence[Run]], keys: Sequence[str]) -> list[str]:
    """What differs where that is short; else the directories' names."""
    values = [
        ", ".join(f"{key.rpartition('.')[2]} {settings.get(key)}" for key in keys)
        for settings in (settings_of(group[0]) for group in groups)
    ]
    names = [
        label_of(group[0]) + (f" and {len(group) - 1} more" if len(group) > 1 else "") for group in groups
    ]
    for labels in (values, names):
        short = [_short(label) for label in labels]
        if len(set(short)) == len(short) and (
            labels is names or (len(keys) <= 2 and max(map(len, labels)) <= _LONGEST)
        ):
            return short
    return [_short(f"{number} {name}") for number, name in enumerate(names, start=1)]


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
