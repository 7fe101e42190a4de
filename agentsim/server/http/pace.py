"""Pace: when a fill or a clean-up takes a step and how large, so that whoever comes meanwhile hardly waits longer than usual."""

#: Tokens that a step looks at: at first, and within these bounds.
_FIRST = 200
_FEWEST, _MOST = 50, 10_000
#: How much of what is known of batches a further one leaves.
_MEMORY = 0.9


class Pace:
    """Learns from how long batches and steps take.

    Parameters
    ----------
    batches : a step takes as long as so many batches,
    least, longest : and within these bounds, in seconds.
    share : where somebody always waits, steps have so much of the time that batches have.

    Attributes
    ----------
    tokens : how many the next step is to look at.
    """

    def __init__(
        self, batches: float = 2.0, least: float = 0.004, longest: float = 0.05, share: float = 0.5
    ) -> None:
        self._batches, self._least, self._longest, self._share = batches, least, longest, share
        self.tokens = _FIRST
        self._batch = 0.0
        self._owed = 0.0

    def is_due(self, *, waiting: bool) -> bool:
        """Whether it is the fill's turn, where there is something to fill in.

        Parameters
        ----------
        waiting : whether requests wait at this moment.
        """
        return not waiting or self._owed > 0

    def note_batch(self, seconds: float, *, filling: bool) -> None:
        """A batch has taken so long.

        Parameters
        ----------
        filling : whether steps are under way: then a batch is the larger the longer steps are, and tells nothing of
            what is usual.
        """
        self._owed = min(self._owed + self._share * seconds, self._longest)
        if not filling:
            self._batch = seconds if not self._batch else _MEMORY * self._batch + (1 - _MEMORY) * seconds

    def note_step(self, seconds: float) -> None:
        """A step of :attr:`tokens` has taken so long."""
        self._owed = max(self._owed - seconds, -self._longest)
        wanted = min(max(self._batches * self._batch, self._least), self._longest)
        # By half or double at most: one step may have waited for something that the next will not meet.
        change = min(max(wanted / seconds, 0.5), 2.0)
        self.tokens = round(min(max(self.tokens * change, _FEWEST), _MOST))
