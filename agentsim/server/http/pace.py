"""Pace: when a fill takes a step and how large, so that whoever comes meanwhile hardly waits longer than usual."""

#: A step takes as long as so many batches, and within these bounds, in seconds.
_BATCHES = 2.0
_LEAST, _LONGEST = 0.004, 0.05
#: Tokens that a step looks at: at first, and within these bounds.
_FIRST = 200
_FEWEST, _MOST = 50, 10_000
#: How much of what is known of batches a further one leaves.
_MEMORY = 0.9
#: Where somebody always waits, a fill has so much of the time that batches have.
_SHARE = 0.5


class Pace:
    """Learns from how long batches and steps take.

    Attributes
    ----------
    tokens : how many the next step is to look at.
    """

    def __init__(self) -> None:
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
        filling : whether a fill is under way: then a batch is the larger the longer steps are, and tells nothing of
            what is usual.
        """
        self._owed = min(self._owed + _SHARE * seconds, _LONGEST)
        if not filling:
            self._batch = seconds if not self._batch else _MEMORY * self._batch + (1 - _MEMORY) * seconds

    def note_step(self, seconds: float) -> None:
        """A step of :attr:`tokens` has taken so long."""
        self._owed = max(self._owed - seconds, -_LONGEST)
        wanted = min(max(_BATCHES * self._batch, _LEAST), _LONGEST)
        # By half or double at most: one step may have waited for something that the next will not meet.
        change = min(max(wanted / seconds, 0.5), 2.0)
        self.tokens = round(min(max(self.tokens * change, _FEWEST), _MOST))
