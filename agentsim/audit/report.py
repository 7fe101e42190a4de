"""What is found of an audit trail."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a chain.

    Attributes
    ----------
    log_id : the row; None where it is about the chain as a whole.
    kind : ``changed``, ``removed``, ``inserted``, ``reordered``, ``cut off``, ``re-hashed``, ``broken`` (changed, or
        rows before it removed), ``head`` or ``checkpoint``.
    """

    chain: int
    log_id: int | None
    kind: str
    message: str


@dataclass(slots=True)
class ChainReport:
    """What was found of a chain.

    Attributes
    ----------
    rows : that are there; of those removed on purpose ``truncated``. Of these a truncation that was cut short may have
        ``left`` some, of which the first is proven by nothing.
    proven, proven_to : how many rows a signature proves, removed ones among them, and the last of these.
    faults, found : the first of them, and how many there are.
    """

    chain: int
    rows: int = 0
    truncated: int = 0
    left: int = 0
    proven: int = 0
    proven_to: int | None = None
    signed_by: str | None = None
    signed_at: int | None = None
    faults: list[Fault] = field(default_factory=list)
    found: int = 0

    @property
    def unsigned(self) -> int:
        """Rows after the last that is proven."""
        return max(0, self.truncated + self.rows - self.proven)


@dataclass(slots=True)
class Report:
    """What was found of a trail.

    Attributes
    ----------
    vouched : whether the reader named the keys that are to be believed; else every key is that signed anything.
    simulated : whether the keys come from a seed, so that whoever knows it can sign as well.
    """

    chains: list[ChainReport]
    vouched: bool
    simulated: bool = False

    @property
    def faults(self) -> list[Fault]:
        """Of all chains, as far as they are told one by one."""
        return [fault for chain in self.chains for fault in chain.faults]

    @property
    def found(self) -> int:
        """How many faults there are."""
        return sum(chain.found for chain in self.chains)
