"""What a calibrated scenario says of itself: where it is from, what was fitted, what the traces cannot tell."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentsim.simulation.calibration.observed import HELD, Observed

_WIDTH = 110


def not_told(observed: Observed) -> tuple[str, ...]:
    """What these traces cannot tell, each a sentence."""
    found = []
    if observed.timed:
        found.append(
            "How long a call takes: there is one time per call, so the time between two calls is fitted,"
            " and a tenth of it is taken for the call."
        )
    else:
        found.append("Times: not every call has one; think time and duration of calls are the defaults.")
    if not observed.delegates:
        found.append("Delegation: no task has a parent, so nobody delegates.")
    found += [
        "When runs began: arrivals are a plain hour.",
        "What tools work on: the suite stands for the resource.",
        "Tasks without any call: a simulated agent calls at least once.",
        "How agents treat their tokens (broad, careless, proactive, waits, revokes, cancelled, moves,"
        " introspected): defaults, plausible and not measured.",
        "How agents of one role differ, in model or prompt: their calls are taken together.",
    ]
    return tuple(found)


def header(source: Mapping[str, Any], notes: Sequence[str], missing: Sequence[str]) -> str:
    """The comment that a calibrated scenario begins with."""
    lines = [
        f"Fitted by agentsim calibrate to {source['traces']} ({source['rows']:,} rows): {source['runs']:,} runs,"
        f" {source['tasks']:,} tasks, {source['calls']:,} calls.",
        f"SHA-256 {source['sha256']}",
        "",
        f"Of these, {source['held_runs']:,} runs ({HELD:.0%} of each suite, chosen by the hashes of their names) were held"
        " back; agentsim calibrate tells how well the roles describe them.",
        "Fitted to the others: tools and their order (start, chain; slips is the share left to chance, for what was"
        " never seen), calls of a task (steps, dispersion), sizes, failures and their repetition, and times and children"
        " where there are any.",
    ]
    lines += _listed("What was left out or put together:", notes)
    lines += _listed("What the traces cannot tell:", missing)
    return "".join(f"# {line}".rstrip() + "\n" for text in lines for line in _wrapped(text)) + "\n"


def scenario_name(path: Path) -> str:
    """A name for the scenario after the name of the file."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:50]
    return plain if plain[:1].isalpha() else f"traces-{plain}".rstrip("-")


def resource_name(suite: str) -> str:
    """A suite as the resource that its tools work on."""
    parts = (re.sub(r"^[^A-Za-z0-9]+", "", part) for part in suite.split("/"))
    return "/".join(part for part in parts if part)[:128].rstrip("/") or "traces"


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", title, *(f"- {sentence}" for sentence in sentences)] if sentences else []


def _wrapped(text: str) -> list[str]:
    inner = "  " if text.startswith("- ") else ""
    return textwrap.wrap(text, _WIDTH - 2, subsequent_indent=inner, break_long_words=False) or [""]
