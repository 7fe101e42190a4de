"""What each trial of a soak counts."""

from dataclasses import dataclass, field

#: Sentences that are kept of what went wrong; the rest is counted.
_NOTES = 5


@dataclass(kw_only=True)
class Tally:
    """One kind of trial: how often it was tried, and what went wrong.

    Attributes
    ----------
    part : ``load``, ``kills``, ``faults`` or ``bad inputs``.
    name : what was done, in words.
    tried : how often: operations sent, kills, faults, inputs.
    operations : how many operations were answered while it was tried, or looked at after it.
    lost : answered operations that were not there afterwards, and halves of operations that were.
    let_in : what was accepted though it had to be refused.
    unasked : errors that nothing had asked for.
    notes : what went wrong, one sentence each, the first few.
    """

    part: str
    name: str
    tried: int = 0
    operations: int = 0
    lost: int = 0
    let_in: int = 0
    unasked: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.lost or self.let_in or self.unasked)

    def note(self, sentence: str) -> None:
        """Keep what went wrong, if it is among the first few."""
        if len(self.notes) < _NOTES:
            self.notes.append(sentence)
