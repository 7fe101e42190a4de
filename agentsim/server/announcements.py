"""What resource servers are told without asking for a token: marks as they are made, and status lists.

Both are JWTs signed by the key that signs tokens, so whoever knows the JWKS can believe them wherever they come from;
``iat`` says how old they are.
"""

from typing import Any

import jwt
import orjson

from agentsim.server.clock import SECOND, Clock
from agentsim.server.keyring import KeyRing
from agentsim.server.statuslists import encode_list, read_list
from agentsim.server.statusplaces import list_uri
from agentsim.server.store import Store

MARKS_TYPE, STATUS_TYPE = "marks+jwt", "statuslist+jwt"
#: Marks of one page.
MOST_MARKS = 10_000
#: Seconds for which a page of marks and a status list may be believed, and after which a list should be fetched anew.
_MARKS_EXPIRE, _LIST_EXPIRES, LIST_TTL = 300, 3600, 30


class Announcer:
    """Signs announcements on one database."""

    def __init__(self, store: Store, keyring: KeyRing, issuer: str, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._issuer = issuer
        self._clock = clock

    def marks(self, after: int) -> str:
        """The marks after a place in the order of commits, as a JWT; ``more`` says that there is another page.

        A mark is its kind, its key (an id, or a hash of owner and name) and its own id: no names, no reasons. Ids
        are text, since they have more bits than numbers of JSON are exact to.
        """
        # The moment comes first: what is committed afterwards may be missing.
        now = self._clock.now()
        with self._store.reading() as connection:
            rows, place = self._store.marks_after(connection, after, MOST_MARKS)
        marks = [
            {"kind": row["kind"], "key": str(row["key"]), "id": str(row["revocation_id"])} for row in rows
        ]
        members = {"after": after, "place": place, "more": len(rows) == MOST_MARKS, "marks": marks}
        return self._signed(MARKS_TYPE, now, _MARKS_EXPIRE, {"iss": self._issuer, **members})

    def status_list(self, number: int) -> str | None:
        """A Token Status List (draft section 5.1); None where there is no such list."""
        now = self._clock.now()
        with self._store.reading() as connection:
            bits = read_list(connection, number)
        if bits is None:
            return None
        members = {"ttl": LIST_TTL, "status_list": {"bits": 1, "lst": encode_list(bits)}}
        return self._signed(
            STATUS_TYPE, now, _LIST_EXPIRES, {"sub": list_uri(self._issuer, number), **members}
        )

    def _signed(self, kind: str, now: int, lifetime: int, members: dict[str, Any]) -> str:
        key = self._keyring.keys.signing
        issued = now // SECOND
        payload = orjson.dumps({"iat": issued, "exp": issued + lifetime, **members})
        return jwt.PyJWS().encode(payload, key.private, key.alg, {"typ": kind, "kid": key.kid})
