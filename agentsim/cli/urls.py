"""URLs of databases may hold a password, which nothing that is printed may."""

from __future__ import annotations

import re

#: In a query, or between blanks, as libpq also takes it: ``password``, ``sslpassword``, ``passfile``.
_NAMED = re.compile(r"(\b\w*pass\w*\s*=\s*)('[^']*'?|[^&\s]*)", re.IGNORECASE)


def without_password(url: str) -> str:
    """A URL that may be shown, or what somebody took for one: where its password begins and ends, nobody knows."""
    front, at, back = _NAMED.sub(r"\1***", url).rpartition("@")
    scheme, slashes, named = front.partition("://") if "://" in front else ("", "", front)
    # What stands before the last "@" is the user, with the password after the first colon.
    user, colon, _ = named.partition(":")
    return f"{scheme}{slashes}{user}{colon}{'***' if colon else ''}{at}{back}"
