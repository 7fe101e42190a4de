"""Attackers by kind: those that are built in, and those that a scenario or an entry point names."""

from __future__ import annotations

import inspect
from typing import Any

from agentsim.errors import UserError
from agentsim.settings import faults
from agentsim.settings.plugins import installed, is_path, load_class
from agentsim.simulation.attacks.afterlife import LongLived, OrphanAfterRevoke
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.conduct import CostHarvesting, LowAndSlowRecon, TaskHijack, ToctouDrift
from agentsim.simulation.attacks.delegation import (
    Cascade,
    ConfusedDeputy,
    RunawayFanout,
    ScopeEscalation,
    UnscopedInheritance,
)
from agentsim.simulation.attacks.identities import CredentialStuffing, HumanUse, NhiReuse, RogueRegistration
from agentsim.simulation.attacks.stolen import AudienceConfusion, RefreshReplay, Repudiation, TokenTheft

#: The group of entry points of attacks.
GROUP = "agentsim.attacks"

ATTACKERS: dict[str, type[Attacker]] = {
    attacker.kind: attacker
    for attacker in (
        ScopeEscalation,
        UnscopedInheritance,
        RunawayFanout,
        ConfusedDeputy,
        Cascade,
        TokenTheft,
        RefreshReplay,
        AudienceConfusion,
        Repudiation,
        TaskHijack,
        CostHarvesting,
        LowAndSlowRecon,
        ToctouDrift,
        RogueRegistration,
        NhiReuse,
        HumanUse,
        CredentialStuffing,
        OrphanAfterRevoke,
        LongLived,
    )
}
"""The built-in attackers by kind."""


def find_attacker(name: str) -> type[Attacker]:
    """The class of an attack.

    Parameters
    ----------
    name : a built-in kind, ``package.module:Class``, or the name of an entry point in :data:`GROUP`.

    Raises
    ------
    ValueError
        If there is none, or it cannot be used; the message is for whoever wrote the name.
    """
    if name in ATTACKERS:
        return ATTACKERS[name]
    others = installed(GROUP)
    if not is_path(name) and name not in others:
        raise ValueError(f"no such attack: {name!r}; {faults.suggestion(name, [*ATTACKERS, *others])}")
    found: type[Attacker] = load_class(name, GROUP, Attacker)  # type: ignore[type-abstract]
    if inspect.isabstract(found):
        raise ValueError(f"{name!r} does not say how it acts: it lacks act()")
    if not isinstance(getattr(found, "kind", None), str):
        raise ValueError(f"{name!r} has no kind, the name for its labels")
    return found


def explain(name: str) -> dict[str, Any]:
    """What there is to say of the attack of a name: what :func:`describe` says.

    Raises
    ------
    UserError
        If there is none, or it cannot be used.
    """
    try:
        return describe(find_attacker(name))
    except ValueError as error:
        raise UserError(str(error)) from error


def describe(attacker: type[Attacker]) -> dict[str, Any]:
    """What an attack's class says of itself: ``kind``, ``does``, ``notes``, ``tags``, ``signals``, ``deviation``."""
    does, _, notes = (inspect.getdoc(attacker) or "").partition("\n\n")
    return {
        "kind": attacker.kind,
        "does": does.replace("\n", " "),
        "notes": notes.replace("\n", " "),
        "tags": list(attacker.tags),
        "signals": list(attacker.signals),
        "deviation": attacker.deviation,
    }
