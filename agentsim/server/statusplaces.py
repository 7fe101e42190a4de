"""Places in status lists: which list a token is in, and where in there.

A token's place is that of its audit row in the chain of its writer: unique, known when the token is signed, and the
same however operations are cut into batches. A list holds the places of a million rows of one chain.
"""

#: Places of one list, and of one chain, as powers of two.
LIST_BITS, CHAIN_BITS = 20, 40
PLACES = 1 << LIST_BITS


def next_index(chain: int, length: int) -> int:
    """The place of a token that is decided on now: its audit row will be the next of the chain."""
    return chain << CHAIN_BITS | (length + 1)


def split(index: int) -> tuple[int, int]:
    """The number of a token's list, and its place in there."""
    return index >> LIST_BITS, index & (PLACES - 1)


def join(number: int, place: int) -> int:
    """The inverse of :func:`split`.

    Raises
    ------
    ValueError
        If there is no such place.
    """
    if not (0 <= place < PLACES and 0 <= number < 1 << 63 - LIST_BITS):
        raise ValueError("no place in a status list")
    return number << LIST_BITS | place


def list_uri(issuer: str, number: int) -> str:
    """Where a status list is."""
    return f"{issuer.rstrip('/')}/statuslists/{number}"
