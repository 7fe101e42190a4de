"""What a rule reports."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

#: Violations told one by one; the rest of a kind is only counted.
MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of an invariant.

    Attributes
    ----------
    rule : name of the rule, a key of :data:`agentsim.lineage.RULES`.
    tenant : where it is; None where it concerns no tenant.
    subject : what it is about, such as ``grant 123`` or ``audit row 456``.
    message : what is wrong.
    """

    rule: str
    tenant: int | None
    subject: str
    message: str

    def __str__(self) -> str:
        where = "" if self.tenant is None else f"tenant {self.tenant}, "
        return f"{self.rule}: {where}{self.subject}: {self.message}"


def tell(
    rule: str,
    wrong: npt.NDArray[np.bool_] | npt.NDArray[np.int64],
    name: Callable[[int], tuple[int, str]],
    message: str | Callable[[int], str],
) -> list[Violation]:
    """Report the rows that are wrong, the first :data:`MOST_TOLD` by name.

    Parameters
    ----------
    rule : the rule's name.
    wrong : boolean mask, or indices, of rows.
    name : gives tenant and subject of a row index.
    message : what is wrong, the same for all rows or one for each row index.
    """
    rows = np.flatnonzero(wrong) if wrong.dtype == np.bool_ else wrong
    found = [
        Violation(rule, *name(row), message if isinstance(message, str) else message(row))
        for row in rows[:MOST_TOLD].tolist()
    ]
    return found + _rest(rule, found, len(rows))


def tell_frame(rule: str, frame: pd.DataFrame) -> list[Violation]:
    """Report the rows of a DataFrame with the columns tenant, subject and message."""
    shown = frame.head(MOST_TOLD)
    found = [
        Violation(rule, int(tenant), str(subject), str(message))
        for tenant, subject, message in zip(shown["tenant"], shown["subject"], shown["message"], strict=True)
    ]
    return found + _rest(rule, found, len(frame))


def _rest(rule: str, found: list[Violation], total: int) -> list[Violation]:
    more = total - len(found)
    if not more:
        return []
    return [Violation(rule, None, f"{more:,} more", found[-1].message.partition(":")[0])]
