"""Segments of a JWS compact serialisation: base64url as RFC 7515 section 2 has it, so that a token has one spelling.

Libraries let padding and spare bits pass. Two texts of one token would be two tokens to whoever remembers texts.
"""

from jwt.utils import base64url_decode, base64url_encode


def decode_segment(text: str) -> bytes:
    """What was encoded.

    Raises
    ------
    ValueError
        If the text is not its only encoding.
    """
    decoded = base64url_decode(text)
    if base64url_encode(decoded).decode() != text:
        raise ValueError("not base64url as RFC 7515 section 2 has it")
    return decoded


def is_compact(token: str) -> bool:
    """Whether a text is three segments, each in its only spelling."""
    segments = token.split(".", 3)
    try:
        return len(segments) == 3 and all(decode_segment(segment) is not None for segment in segments)
    except ValueError:
        return False
