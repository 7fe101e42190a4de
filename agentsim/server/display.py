"""How a notebook shows the answer to a verification: text in a table without style of its own, all of it escaped."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from agentsim.server.answers import Verification


def verification_html(answer: Verification) -> str:
    """The decision and why, what the token says, what its agent has done, and what is made of it."""
    error = answer.error
    told: dict[str, Any] = {
        "reason": f"{error.error} ({error.reason})" if error else None,
        "asked": error.asked if error else None,
        "allowed": error.allowed if error else None,
        "what to do": error.hint if error else None,
        "scope": answer.scope,
        # Where nothing is told of the token, nothing is told of its task.
        "task fits": answer.task_context_valid if answer.scope else None,
        "grant": answer.grant_id,
        "cost": answer.cost,
        "budget left": answer.budget_left,
        "earlier tasks": answer.previous_tasks,
        "so far": _patterns(answer.execution_patterns),
        "fits what such grants do": answer.historical_pattern_match,
        "pattern": answer.execution_pattern,
        "risk": answer.risk_assessment,
        "because": answer.risk_reasons,
        "audit row": answer.log_id,
    }
    rows = "".join(_row(name, value) for name, value in told.items() if value not in (None, "", [], {}))
    decision = "Valid" if answer.is_valid else f"Refused: {error.description}" if error else "Refused"
    return f"<p><strong>{_text(decision)}</strong></p><table><tbody>{rows}</tbody></table>"


def _patterns(patterns: Mapping[str, Any]) -> list[str]:
    """What a grant has done, for people: moments as such, and nothing that it has not done."""
    told = {
        name: _moment(value) if name.endswith("_at") else value for name, value in patterns.items() if value
    }
    return [f"{name.replace('_', ' ')} {_words(value)}" for name, value in told.items()]


def _row(name: str, value: Any) -> str:
    side = "text-align:left;vertical-align:top"
    return (
        f'<tr><th scope="row" style="{side}">{name}</th><td style="{side}">{_text(_words(value))}</td></tr>'
    )


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return str(value)


def _moment(microseconds: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds):%Y-%m-%d %H:%M:%S}"


def _text(value: str) -> str:
    return escape("".join(letter if letter.isprintable() else " " for letter in value))
