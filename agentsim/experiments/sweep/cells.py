"""A sweep made of cells: each one point, played once, as a scenario with a seed of its own.

A point is known by a hash of what is varied in it, as the scenario understands it (``60s`` is ``1m``), never by its
place in the file: values that are added later leave every other cell, its name and its draws as they were.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints

from agentsim.experiments.sweep.ranges import draw, make_range
from agentsim.experiments.sweep.settings import SweepSettings, same
from agentsim.settings.dotted import find, lay
from agentsim.settings.faults import Fault, SettingsError
from agentsim.settings.mending import validate
from agentsim.settings.policyfile import extended
from agentsim.settings.yamlfile import read_yaml
from agentsim.simulation import Scenario, load_scenario
from agentsim.simulation.scenario import parse_scenario
from agentsim.simulation.streams import STREAM, cell_seed, generator

#: More cells than this are a mistake in the file: each is a Run.
MOST_CELLS = 100_000
_Values = dict[str, Any]


class Cell(BaseModel):
    """One point, played once.

    Attributes
    ----------
    cell : its name: a hash of the point, and the replication.
    values : what is varied, by key of the scenario; constants of the sweep are among them.
    point : key of the point among the draws; 0 with common random numbers.
    seed : the seed of its scenario.
    scenario : digest of its whole scenario but for the seed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    # Files are called so: a sweep that somebody sent writes nowhere else.
    cell: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{10}-r[0-9]{1,9}$")]
    values: _Values
    point: int
    replication: int
    seed: int
    scenario: str


class Sweep(BaseModel):
    """All cells of a sweep, and the scenario (resolved) that their values are laid upon."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    #: The file that it was read from.
    source: str
    scenario: dict[str, Any]
    #: Keys of the scenario with more than one value.
    swept: tuple[str, ...]
    cells: tuple[Cell, ...]

    def scenario_of(self, cell: Cell) -> Scenario:
        """The whole scenario of one cell."""
        data, _ = lay(self.scenario, {**cell.values, "seed": cell.seed})
        return parse_scenario(data, cell.cell)


def load_sweep(path: Path) -> Sweep:
    """Read a sweep and work out all its cells.

    Raises
    ------
    SettingsError
        With everything that is wrong, with the file, with its scenario, or with the scenario of any cell: then the
        values that break it are told, too.
    """
    data = read_yaml(path)
    if not isinstance(data, Mapping):
        raise SettingsError(path, [Fault("", "must hold keys such as name, scenario and matrix")])
    settings, found = validate(SweepSettings, data)
    if settings is None:
        raise SettingsError(path, found)
    scenario = _base(settings, path)
    base = scenario.resolved()
    count = _count(settings)
    if count > MOST_CELLS:
        raise SettingsError(path, [Fault("", f"makes {count:,} cells; at most {MOST_CELLS:,} are played")])
    points, found = _resolve(_combined(settings, base, scenario.seed, path.parent), base)
    if found:
        raise SettingsError(path, found)
    if not points:
        raise SettingsError(path, [Fault("exclude", "leaves no point to be played")])
    cells = [
        _cell(point, replication, scenario.seed, common=settings.common_random_numbers)
        for point in points.values()
        for replication in range(settings.replications)
    ]
    sampled = settings.sample.space if settings.sample else ()
    swept = [key for key, values in settings.axes.items() if len(values) > 1]
    return Sweep(
        name=settings.name, source=str(path), scenario=base, swept=(*swept, *sampled), cells=tuple(cells)
    )


class _Point(NamedTuple):
    """Values of one point, the hash of what the scenario makes of them, and that of the whole scenario."""

    values: _Values
    digest: bytes
    scenario: bytes


def _cell(point: _Point, replication: int, entropy: int, *, common: bool) -> Cell:
    key = 0 if common else int.from_bytes(point.digest[:4])
    return Cell(
        cell=f"{point.digest.hex()[:10]}-r{replication}",
        values=point.values,
        point=key,
        replication=replication,
        seed=cell_seed(entropy, key, replication),
        scenario=point.scenario.hex(),
    )


def _base(settings: SweepSettings, path: Path) -> Scenario:
    """The scenario that is varied; it has a seed, or no cell could be found again."""
    given, source = settings.scenario, f"{path}: scenario"
    if isinstance(given, Mapping):
        data = dict(given)
        if "policy" in data:
            data["policy"] = extended(data["policy"], path.parent)
        scenario = parse_scenario(data, source)
    elif isinstance(given, str):
        scenario = load_scenario(path.parent / given)
    else:
        raise SettingsError(path, [Fault("scenario", "must be a scenario's file, or a scenario itself")])
    if "seed" not in scenario.model_fields_set:
        raise SettingsError(source, [Fault("seed", "required here: the seeds of all cells are made from it")])
    return scenario


def _count(settings: SweepSettings) -> int:
    sizes = [len(values) for values in settings.axes.values()]
    return prod(sizes) * (settings.sample.n if settings.sample else 1) * settings.replications


def _combined(settings: SweepSettings, base: _Values, entropy: int, folder: Path) -> Iterator[_Values]:
    """Each combination of the matrix that is not excluded, with each point of the sample."""
    sampled = list(_sampled(settings, base, entropy))
    for combination in itertools.product(*settings.axes.values()):
        values = dict(zip(settings.axes, combination, strict=True))
        if any(_holds(excluded, values) for excluded in settings.exclude):
            continue
        if "policy" in values:
            values["policy"] = extended(values["policy"], folder)
        yield from ({**values, **drawn} for drawn in sampled)


def _holds(excluded: _Values, values: _Values) -> bool:
    return all(same(value, values[key]) for key, value in excluded.items())


def _sampled(settings: SweepSettings, base: _Values, entropy: int) -> list[_Values]:
    sample = settings.sample
    if sample is None:
        return [{}]
    space = {
        key: make_range(low, high, log=key in sample.log, real=isinstance(find(base, key), float))
        for key, (low, high) in sample.space.items()
    }
    return draw(space, sample.method, sample.n, generator(entropy, STREAM.DESIGN, 0))


def _resolve(combined: Iterator[_Values], base: _Values) -> tuple[dict[bytes, _Point], list[Fault]]:
    """The points, each once however often it is written, and what is wrong with any of them."""
    points: dict[bytes, _Point] = {}
    broken: dict[Fault, list[_Values]] = {}
    for values in combined:
        data, found = lay(base, values)
        try:
            point = _point(values, parse_scenario(data).resolved())
            points.setdefault(point.digest, point)
        except SettingsError as exc:
            found += exc.faults
        for fault in found:
            broken.setdefault(fault, []).append(values)
    return points, [_told(fault, cells) for fault, cells in broken.items()]


def _point(values: _Values, resolved: _Values) -> _Point:
    understood = {key: find(resolved, key) for key in sorted(values)}
    # Single values as the scenario writes them; parts of it as the sweep does, which is shorter.
    simple = {key: value for key, value in understood.items() if not isinstance(value, dict | list)}
    shown = {key: simple.get(key, value) for key, value in values.items()}
    return _Point(shown, _digest(understood), _digest({**resolved, "seed": None}))


def _digest(data: _Values) -> bytes:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _told(fault: Fault, cells: list[_Values]) -> Fault:
    """A fault with the first cell that it breaks."""
    where = describe(cells[0])
    more = f" and {len(cells) - 1:,} more" if len(cells) > 1 else ""
    return Fault(fault.path, f"{fault.message} (where {where}{more})" if where else fault.message)


def describe(values: Mapping[str, Any]) -> str:
    """The values of a cell in one line."""
    return ", ".join(f"{key}={written(value)}" for key, value in values.items())


def written(value: Any) -> Any:
    """A value as it stands in a table: parts of a scenario as JSON."""
    return json.dumps(value, default=str) if isinstance(value, dict | list) else value
