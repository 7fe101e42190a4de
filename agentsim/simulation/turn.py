"""The moment in which a fork goes on differently: what was played until then is held against the Run it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from agentsim.errors import UserError
from agentsim.run import ForkEntry, Run
from agentsim.server import Admin, Policy, Server
from agentsim.simulation.engine import TenantPlay
from agentsim.simulation.scenario import Scenario

#: Who changes the policy, in the audit trail.
_OPERATOR = Admin("operator", everywhere=True)


class ForkError(UserError):
    """A Run cannot be forked there or in this way, or its beginning is played otherwise now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What changes, and when; it can be sent to another process.

    Attributes
    ----------
    origin : directory of the Run that is forked.
    scenario : what is played: that Run's scenario, with attackers who begin later.
    moment : end of a window, microseconds since 1970.
    policy : the rules from then on.
    entry : what the new manifest says of it.
    """

    origin: Path
    scenario: Scenario
    moment: int
    policy: Policy
    entry: ForkEntry

    def take(self, tenant: int, server: Server, play: TenantPlay) -> None:
        """Compare what a tenant has done so far, then change the rules.

        Raises
        ------
        ForkError
            If the audit chain is another than that of the Run.
        """
        head = server.store.head(tenant)
        run = Run(self.origin)
        if head.length and _row_hash(run, tenant, head.length - 1) != head.row_hash:
            made = run.manifest.versions.get("agentsim"), run.manifest.commit
            raise ForkError(
                f"{self.origin}: tenant {tenant} is played otherwise now: its audit row {head.length:,} differs "
                f"(the Run was made by agentsim {made[0]}, commit {made[1]}); simulate it anew, then fork it"
            )
        server.change_policy(self.policy, _OPERATOR, at=self.moment)
        # Nobody in the play has asked for it: what it took is no operation's.
        server.spent.pop("NotePolicy", None)
        play.heed(self.policy.access_ttl_us)


def _row_hash(run: Run, tenant: int, place: int) -> bytes | None:
    """Hash of a tenant's audit row by its place in the chain; None where the chain is shorter."""
    for file in run.files("audit"):
        entry = run.manifest.files[f"audit/{file.name}"]
        if not file.name.startswith(f"t{tenant:04d}-"):
            continue
        if place < entry.rows:
            hashes = pq.read_table(file, columns=["row_hash"])["row_hash"]
            found: bytes = hashes[place].as_py()
            return found
        place -= entry.rows
    return None
