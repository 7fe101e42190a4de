"""Checked here, without asking: by the token's own signature and claims (RFC 9068 section 4), and what is known of marks.

What each form honours after a revocation: without a feed anything until it expires; with one what was marked since the
last poll, so for ``period`` at most; with status lists what the fill has not reached, and then what was ended since the
list was fetched.
"""

import asyncio
from typing import Any, Protocol

from agentsim.resources.checking import Checker, Facts, Wanted, check_use, facts_of
from agentsim.resources.issuer import Issuer
from agentsim.resources.refusals import invalid, unavailable
from agentsim.server.announcements import MARKS_TYPE, STATUS_TYPE
from agentsim.server.claims import Claims, read_claims
from agentsim.server.clock import SECOND
from agentsim.server.marks import KINDS, MarkIndex
from agentsim.server.statuslists import decode_list, is_set
from agentsim.server.statusplaces import list_uri, split
from agentsim.server.tokens import LONGEST_TOKEN, TYPE

#: How far a clock may be ahead of ours.
_SKEW = 60 * SECOND


class _Revoked(Protocol):
    async def is_ended(self, claims: Claims) -> bool: ...


class _Local:
    """What both forms do: decode, look whether it was ended, hold it against what is wanted."""

    def __init__(self, issuer: Issuer, audience: str, ended: _Revoked, online: Checker | None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._ended = ended
        self._online = online

    async def check(self, token: str, wanted: Wanted) -> Facts:
        """See :class:`agentsim.resources.checking.Checker`. A token with a budget is checked online."""
        claims, payload = await self._decoded(token)
        facts = facts_of(claims, payload)
        check_use(facts, wanted, self._audience, self._issuer.clock.now())
        if await self._ended.is_ended(claims):
            raise invalid("revoked", "the token, or a grant above it, has been revoked")
        if not facts.budgeted:
            return facts
        if self._online is None:
            raise unavailable("budget_unknown", "this token has a budget, which cannot be counted here")
        return await self._online.check(token, wanted)

    async def _decoded(self, token: str) -> tuple[Claims, dict[str, Any]]:
        if len(token) > LONGEST_TOKEN:
            raise invalid("token_malformed", "the token is too long")
        payload = await self._issuer.verified(token, TYPE)
        try:
            claims = read_claims(payload)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise invalid("token_malformed", "the claims are not those of an access token") from None
        if payload["iss"] != self._issuer.url:
            raise invalid("wrong_issuer", "the token is another issuer's")
        return claims, payload


class Offline(_Local):
    """By signature and claims, and by the feed of marks where there is a period.

    Parameters
    ----------
    period : seconds between two polls of the feed; None does without one.
    most_age : seconds; where the feed is older than this, because it cannot be had, nothing is honoured.
    online : who checks tokens with a budget; without one they are refused.
    """

    def __init__(
        self,
        issuer: Issuer,
        audience: str,
        *,
        period: float | None = 5.0,
        most_age: float = 30.0,
        online: Checker | None = None,
    ) -> None:
        ended: _Revoked = _Never() if period is None else Feed(issuer, period, most_age)
        super().__init__(issuer, audience, ended, online)


class StatusLists(_Local):
    """By signature and claims, and by Token Status Lists, each kept for its ``ttl`` or ``most_age`` seconds."""

    def __init__(
        self, issuer: Issuer, audience: str, *, most_age: float = 30.0, online: Checker | None = None
    ) -> None:
        super().__init__(issuer, audience, _Lists(issuer, most_age), online)


class _Never:
    async def is_ended(self, claims: Claims) -> bool:
        return False


class Feed:
    """The marks, as the feed has told them so far; polled when a token is checked and the last poll is a period ago."""

    def __init__(self, issuer: Issuer, period: float, most_age: float) -> None:
        self._issuer = issuer
        self._period = int(period * SECOND)
        self._most_age = int(most_age * SECOND)
        self._marks = MarkIndex()
        self._place = 0
        #: When we asked for what we know, by our own clock.
        self._asked_at = -(1 << 62)
        self._turn = asyncio.Lock()

    async def is_ended(self, claims: Claims) -> bool:
        """Whether a mark stands against a token. Raises Refusal where the marks known are too old to tell."""
        if self._age() > self._period:
            async with self._turn:
                if self._age() > self._period:
                    await self._poll()
        return self._marks.ended_by(claims.lineage, claims.owner, claims.principal) is not None

    def _age(self) -> int:
        return self._issuer.clock.now() - self._asked_at

    async def _poll(self) -> None:
        asked_at, more = self._issuer.clock.now(), True
        try:
            while more:
                more = await self._read_page(asked_at)
        except Exception:
            # What is known still holds for a while; then nobody can say any more.
            if self._age() > self._most_age:
                raise
            return
        self._asked_at = asked_at

    async def _read_page(self, asked_at: int) -> bool:
        url = await self._issuer.endpoint("marks_endpoint")
        token = await self._issuer.text("GET", url, params={"after": self._place})
        page = await self._issuer.verified(token.decode("ascii", "replace"), MARKS_TYPE)
        issued = int(page["iat"]) * SECOND
        # An old page, played again, would hide what was marked since.
        is_fresh = asked_at - _SKEW <= issued <= asked_at + _SKEW
        if page["iss"] != self._issuer.url or page["after"] != self._place or not is_fresh:
            raise unavailable("feed_not_ours", "the feed of marks is not an answer to what was asked")
        for mark in page["marks"]:
            if mark["kind"] not in KINDS:
                raise unavailable("feed_not_known", "the feed has a kind of mark that is not known here")
            row = {"revocation_id": int(mark["id"]), "reason": "", "closure": "pending"}
            self._marks.add({**row, "kind": mark["kind"], "key": int(mark["key"])})
        self._place = int(page["place"])
        return bool(page["more"])


class _Lists:
    """Status lists, fetched when a token of one is checked and the one that is here is too old."""

    def __init__(self, issuer: Issuer, most_age: float) -> None:
        self._issuer = issuer
        self._most_age = int(most_age * SECOND)
        #: Bits and when they are to be fetched anew, by the list's number.
        self._lists: dict[int, tuple[bytes, int]] = {}
        self._turn = asyncio.Lock()

    async def is_ended(self, claims: Claims) -> bool:
        if claims.status_index is None:
            raise unavailable("no_status_list", "the token is in no status list")
        number, place = split(claims.status_index)
        async with self._turn:
            bits, until = self._lists.get(number, (b"", 0))
            if self._issuer.clock.now() >= until:
                bits, until = self._lists[number] = await self._fetched(number)
        try:
            return is_set(bits, place)
        except IndexError:
            raise unavailable("list_malformed", "the status list does not have the token's place") from None

    async def _fetched(self, number: int) -> tuple[bytes, int]:
        now = self._issuer.clock.now()
        uri = list_uri(self._issuer.url, number)
        token = await self._issuer.text("GET", uri, headers={"Accept": f"application/{STATUS_TYPE}"})
        told = await self._issuer.verified(token.decode("ascii", "replace"), STATUS_TYPE)
        # Draft section 8.3: the list must be the one that the token names, and not be over.
        if told.get("sub") != uri or now >= int(told.get("exp", 0)) * SECOND:
            raise unavailable("list_not_ours", "the status list is not the one that was asked for")
        ttl = int(told.get("ttl", 0)) * SECOND
        # It is signed for longer than it is news: an old one, played again, would hide what was ended since.
        if not now - ttl - _SKEW <= int(told.get("iat", 0)) * SECOND <= now + _SKEW:
            raise unavailable("list_too_old", "the status list is not as new as it should be")
        try:
            bits = decode_list(told["status_list"]["lst"])
        except (KeyError, TypeError, ValueError):
            raise unavailable("list_malformed", "the status list cannot be read") from None
        return bits, now + min(ttl, self._most_age)
