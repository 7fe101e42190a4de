"""The invariants of a finished Run: what must hold whatever agents and attackers did.

The rules look at what was left behind and share no code with the server that wrote it. The design's invariants
are named in :data:`RULES`; each rule is a function of the :class:`~agentsim.lineage.rules.evidence.Evidence`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from tqdm.auto import tqdm

from agentsim.lineage.rules.bounds import check_expiry, check_levels, check_registration, check_sets
from agentsim.lineage.rules.budgets import check_budgets
from agentsim.lineage.rules.chain import check_chain
from agentsim.lineage.rules.decisions import check_decisions
from agentsim.lineage.rules.disabled import check_disabled
from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.exposures import check_exposures
from agentsim.lineage.rules.files import check_files
from agentsim.lineage.rules.keys import check_lineage
from agentsim.lineage.rules.marks import check_closure, check_marks
from agentsim.lineage.rules.refreshes import check_refresh_once
from agentsim.lineage.rules.violation import Violation
from agentsim.run import Run, RunError

__all__ = ["RULES", "Rule", "Violation", "check"]


@dataclass(frozen=True)
class Rule:
    """One invariant.

    Attributes
    ----------
    says : what must hold, in a sentence.
    check : finds what breaks it.
    """

    says: str
    check: Callable[[Evidence], list[Violation]]


#: The invariants by name, in the order in which they are checked.
RULES: dict[str, Rule] = {
    "files": Rule("Every file that the manifest lists is there and unchanged.", check_files),
    "sets": Rule(
        "Scope, tools and resources never exceed the parent's token, or the first issue.", check_sets
    ),
    "level": Rule("A level never exceeds the parent's token's, or the first issue's.", check_levels),
    "expiry": Rule("No token outlives its grant, no grant its parent's.", check_expiry),
    "registration": Rule("No grant exceeds the registration of its agent.", check_registration),
    "lineage": Rule("Lineage keys, depth, root and parent of each grant agree.", check_lineage),
    "marks": Rule("After a mark nothing that carries its key is active.", check_marks),
    "exposure": Rule(
        "Online nothing is honoured after a mark, and nowhere longer than a token lives.", check_exposures
    ),
    "disabled": Rule("A disabled agent is given nothing.", check_disabled),
    "closure": Rule("What a closed mark ended is revoked, and nothing else.", check_closure),
    "budgets": Rule("No grant and no tree ever spends more than it was given.", check_budgets),
    "refresh_once": Rule("A refresh token is consumed once.", check_refresh_once),
    "decisions": Rule("Every decision has exactly one audit row.", check_decisions),
    "chain": Rule("The hash chain over the audit rows verifies.", check_chain),
}


def check(run: Run, *, progress: bool = False) -> list[Violation]:
    """Look for broken invariants.

    Parameters
    ----------
    run : a finished Run.
    progress : show a bar on standard error.

    Returns
    -------
    Violations in the order of :data:`RULES`. Of each kind the first 20 are told one by one and the rest counted.
    """
    evidence = Evidence(run)
    found: list[Violation] = []
    for name, rule in tqdm(RULES.items(), desc="Checking", unit="rule", disable=not progress, leave=False):
        try:
            found += rule.check(evidence)
        except (RunError, duckdb.Error, pa.ArrowException, OSError) as exc:
            # Tables that cannot be read are a finding, not a crash; the rule files names them.
            found.append(Violation(name, None, "tables", f"cannot be checked: {str(exc).splitlines()[0]}"))
    return found
