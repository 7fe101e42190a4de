"""Time-ordered ids: 41 bits of milliseconds since 2020, 12 bits of writer, 10 bits of counter.

Time-ordered keys keep every index insert at the end of its tree; random ones cost six to eight times as much.
The ids of one writer grow strictly, whatever its clock does: a counter that runs over borrows from the next
millisecond. Writers (tenants of a Run, workers of a served database) never meet.
"""

#: 2020-01-01T00:00:00Z in milliseconds.
_EPOCH_MS = 1_577_836_800_000
_WRITER_BITS = 12
_COUNTER_BITS = 10
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1
#: How many writers there can be.
WRITERS = 1 << _WRITER_BITS
#: The first microsecond whose ids would not fit: in the year 2089.
END_OF_TIME = (_EPOCH_MS + (1 << 41)) * 1000


class IdGenerator:
    """Makes the ids of one writer.

    Parameters
    ----------
    writer : 0 to 4095, which writer's ids these are.
    last : the largest id that this writer has made before, to go on after it.
    """

    def __init__(self, writer: int = 0, last: int = 0) -> None:
        if not 0 <= writer < WRITERS:
            raise ValueError(f"writer must be from 0 to {WRITERS - 1}, got {writer}")
        self._writer_bits = writer << _COUNTER_BITS
        # Milliseconds and counter as one number: what grows from id to id.
        self._ticket = 0
        self.pass_by(last)

    def pass_by(self, value: int) -> None:
        """Make every id from now on larger than this one, whichever writer made it."""
        ticket = value >> (_WRITER_BITS + _COUNTER_BITS) << _COUNTER_BITS
        writer_bits = value & (WRITERS - 1 << _COUNTER_BITS)
        if writer_bits == self._writer_bits:
            ticket |= value & _COUNTER_MASK
        elif writer_bits > self._writer_bits:
            # Within a millisecond the higher writer's ids are the larger ones: on to the next.
            ticket |= _COUNTER_MASK
        self._ticket = max(self._ticket, ticket)

    def next(self, now: int) -> int:
        """The next id at ``now`` (microseconds).

        Raises
        ------
        ValueError
            If the clock is decades ahead: one such id would carry every later one with it.
        """
        if now >= END_OF_TIME:
            raise ValueError(f"the clock tells {now} microseconds; ids end at {END_OF_TIME}")
        ticket = self._ticket + 1
        earliest = (now // 1000 - _EPOCH_MS) << _COUNTER_BITS
        if ticket < earliest:
            ticket = earliest
        self._ticket = ticket
        return (
            (ticket >> _COUNTER_BITS << (_WRITER_BITS + _COUNTER_BITS))
            | self._writer_bits
            | (ticket & _COUNTER_MASK)
        )


def first_id(time: int) -> int:
    """The smallest id that anybody makes from this moment (microseconds) on."""
    return max(0, time // 1000 - _EPOCH_MS) << (_WRITER_BITS + _COUNTER_BITS)
