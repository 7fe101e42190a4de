"""What a report says in one look: a verdict, three numbers, and the commands that make it again.

A notebook calls :func:`publish` once. Readers of the notebook and of the page see the summary on top, and
:func:`agentsim.reporting.rebuild_index` finds it in the executed notebook, under a media type of its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Literal, Protocol

from IPython.display import display
from pydantic import BaseModel, ConfigDict, ValidationError

from agentsim.reporting.catalogue import Parameters
from agentsim.reporting.errors import ReportError

#: The media type under which a summary travels in a notebook's output.
MEDIA_TYPE = "application/vnd.agentsim.report+json"
TEMPLATES = Path(__file__).parent / "templates"

#: More Runs than these are counted and not named.
_MOST_NAMES = 4

#: How a verdict is meant, in words, so that no colour has to be seen.
TONES = {"good": "In order", "watch": "Look closer", "bad": "Needs action"}


class Number(BaseModel):
    """One of the three numbers: its value with unit, what it counts, and what it is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: str
    label: str
    note: str = ""


class Summary(BaseModel):
    """What one report found, as the index lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    report: str
    title: str
    verdict: str
    tone: Literal["good", "watch", "bad"]
    numbers: tuple[Number, Number, Number]
    #: The Run, or the Runs, by their directories' names.
    run: str
    kind: str
    seed: int | None
    #: When the Run was made, the latest if there are several, as its manifest says.
    run_at: str
    reproduce: tuple[str, ...]


class Described(Protocol):
    """What a Run, or a soak, says of itself on its first page."""

    @property
    def kind(self) -> str: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def created_at(self) -> str: ...
    @property
    def reproduce(self) -> str: ...


class Subject(Protocol):
    """What a report is about: a Run, or a soak."""

    @property
    def path(self) -> Path: ...
    @property
    def manifest(self) -> Described: ...


def label_of(runs: Subject | Sequence[Subject]) -> str:
    """What a report calls a Run: its directory, since every seed and size of a scenario has the same name."""
    names = [run.path.resolve().name for run in _several(runs)]
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} more"]
    return ", ".join(names)


def commands(report: str, runs: Subject | Sequence[Subject], parameters: Parameters) -> tuple[str, ...]:
    """The commands that make a report again from nothing: the Runs' own, then the report's.

    Parameters
    ----------
    report : name of the report.
    runs : what it is about.
    parameters : as it was asked for; an empty text stands for none.
    """
    words = ["agentsim", "report", report]
    for given in parameters.runs_given():
        words += ["--run", given]
    for name, value in parameters.model_dump(exclude={"run", "runs"}).items():
        if value != "":
            words += ["-p", f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"]
    return (*(run.manifest.reproduce for run in _several(runs)), shlex.join(words))


def publish(
    report: str,
    runs: Subject | Sequence[Subject],
    *,
    verdict: str,
    numbers: Sequence[Number],
    reproduce: Sequence[str],
    tone: Literal["good", "watch", "bad"] = "good",
) -> None:
    """Show the verdict and the three numbers, and leave them where the index finds them.

    Parameters
    ----------
    report : name of the report.
    runs : the Run that it is about, or several.
    verdict : one sentence.
    numbers : exactly three.
    reproduce : the commands that make the report again.
    tone : whether all is in order, a look is worth it, or somebody has to act.
    """
    several = _several(runs)
    seeds = {run.manifest.seed for run in several}
    summary = Summary(
        report=report,
        title=f"{report.replace('-', ' ').capitalize()}: {label_of(runs)}",
        verdict=verdict,
        tone=tone,
        numbers=tuple(numbers),  # type: ignore[arg-type]  # pydantic counts them
        run=label_of(runs),
        kind=" and ".join(dict.fromkeys(run.manifest.kind for run in several)),
        seed=seeds.pop() if len(seeds) == 1 else None,
        run_at=max(run.manifest.created_at for run in several),
        reproduce=tuple(reproduce),
    )
    data = {
        MEDIA_TYPE: summary.model_dump(mode="json"),
        "text/html": _html(summary),
        "text/plain": verdict,
    }
    display(data, raw=True)  # type: ignore[no-untyped-call]


def find_summary(outputs: Sequence[dict[str, Any]]) -> Summary:
    """The summary that a notebook published.

    Parameters
    ----------
    outputs : all outputs of its cells, in order.

    Raises
    ------
    ReportError
        If it published none, or one that this version does not read.
    """
    found = [data[MEDIA_TYPE] for output in outputs if MEDIA_TYPE in (data := output.get("data", {}))]
    if not found:
        raise ReportError("the notebook published no verdict; it has to call agentsim.reporting.publish")
    try:
        return Summary.model_validate(found[-1])
    except ValidationError as exc:
        raise ReportError(f"the notebook's summary cannot be read: {exc.errors()[0]['msg']}") from exc


def _several(runs: Subject | Sequence[Subject]) -> Sequence[Subject]:
    return runs if isinstance(runs, Sequence) else [runs]


def _html(summary: Summary) -> str:
    style = (TEMPLATES / "summary.css").read_text(encoding="utf-8")
    seed = "" if summary.seed is None else f" · seed {summary.seed}"
    kind, run = escape(summary.kind.capitalize()), escape(summary.run)
    tiles = "".join(
        f"<div><dt>{escape(number.label)}</dt><dd><strong>{escape(number.value)}</strong>"
        f"<span>{escape(number.note)}</span></dd></div>"
        for number in summary.numbers
    )
    return (
        f"<style>{style}</style>"
        f'<section class="agentsim-summary {summary.tone}" aria-label="Summary">'
        f'<p class="about">{kind} <bdi>{run}</bdi>{seed} · run of {escape(_day(summary.run_at))}</p>'
        f'<p class="verdict"><span class="tone">{TONES[summary.tone]}</span> '
        f'<span dir="auto">{escape(summary.verdict)}</span></p>'
        f'<dl class="numbers">{tiles}</dl></section>'
    )


def _day(moment: str) -> str:
    """A date in words; a text that is none stays as it is."""
    try:
        day = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{day.day} {day:%B %Y}"
