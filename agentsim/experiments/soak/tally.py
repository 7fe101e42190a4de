"""What each trial of a soak counts."""

from dataclasses import dataclass, field

#: Sentences that are kept of one kind of trial.
_MOST_NOTES = 10


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
    notes : what went wrong, one sentence each, the first few different ones.
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

    def add(self, other: "Tally") -> None:
        """Count another one's operations, and what went wrong with them, as this one's."""
        self.operations += other.operations
        self.lost += other.lost
        self.let_in += other.let_in
        self.unasked += other.unasked
        for sentence in other.notes:
            note(self, sentence)


def note(tally: Tally, sentence: str) -> None:
    """Keep a sentence about what went wrong, once, unless there are enough."""
    if sentence not in tally.notes and len(tally.notes) < _MOST_NOTES:
        tally.notes.append(sentence)
