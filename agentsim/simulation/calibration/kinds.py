"""Which recorded tasks belong to one role.

A suite is a role, as in a replay. Where tasks of a suite were delegated, those who lead and those who are led are
roles of their own, and among each of them every actor with enough tasks is; whoever has fewer is put together.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

#: Fitted tasks below which an actor is no role of its own.
FEWEST_TASKS = 10
_LONGEST = 56


def name_kinds(tasks: pd.DataFrame, notes: list[str]) -> pd.Series[str]:
    """The name of the role of each task.

    Parameters
    ----------
    tasks : ``suite``, ``actor``, ``depth``, ``held``; who has enough tasks is counted where they are not held back.
    notes : what is put together is added.
    """
    delegating = set(tasks.loc[tasks["depth"] > 0, "suite"])
    led = np.where(tasks["depth"] > 0, "child", "lead")
    place = pd.Series(np.where(tasks["suite"].isin(delegating), led, ""), index=tasks.index)
    kinds = pd.Series("", index=tasks.index)
    taken: set[str] = set()
    for (suite, position), group in tasks.groupby([tasks["suite"], place], sort=True):
        actors = (
            _actors(group, f"{suite} {position}", notes) if position else pd.Series("", index=group.index)
        )
        for actor in sorted(actors.unique()):
            # What remains of a rare actor must not be called like the place alone if that is taken.
            words = [suite, position, actor]
            kinds.loc[actors.index[actors == actor]] = _fresh("-".join(word for word in words if word), taken)
    return kinds


def _actors(group: pd.DataFrame, where: str, notes: list[str]) -> pd.Series[str]:
    """Who counts as the actor of each task; empty for all those that are one role together."""
    counts = group.loc[~group["held"], "actor"].value_counts()
    many = sorted(counts.index[counts >= FEWEST_TASKS])
    rare = sorted(set(group["actor"]) - set(many))
    if not many:
        if len(rare) > 1:
            notes.append(f"Few tasks of {where}, put together as one role: {_listed(rare)}.")
        return pd.Series("", index=group.index)
    rest = counts.drop(many, errors="ignore").sum()
    into = "" if rest >= FEWEST_TASKS else counts.index[0]
    if rare:
        target = f"put into the role of {into}" if into else "put together as one role"
        notes.append(f"Few tasks of {where}, {target}: {_listed(rare)}.")
    if len(many) == 1 and (into or not rare):
        return pd.Series("", index=group.index)
    return group["actor"].where(group["actor"].isin(many), into)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")


def _fresh(text: str, taken: set[str]) -> str:
    """A name as roles have them that no other role has."""
    plain = re.sub(r"^[^A-Za-z]+", "", re.sub(r"[^A-Za-z0-9_-]+", "-", text)).strip("-")[:_LONGEST] or "role"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name)
    return name
