"""Checked by the token server: each use (``/verify``), or by introspection that is kept for a while (RFC 7662)."""

from collections import OrderedDict
from typing import Any

import jwt

from agentsim.resources.checking import Facts, Wanted, check_use, facts_of, told_facts
from agentsim.resources.issuer import Issuer
from agentsim.resources.refusals import Refusal, insufficient, invalid, malformed, step_up
from agentsim.server.claims import read_claims
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest

#: Answers that are kept.
_MOST = 10_000


class Online:
    """Asks the token server for each use: a revocation is seen at once, and budgets are counted."""

    def __init__(self, issuer: Issuer, audience: str) -> None:
        if issuer.client is None:
            raise ValueError("to ask the token server, a resource server needs a client of its own")
        self._issuer = issuer
        self._client = issuer.client
        self._audience = audience

    async def check(self, token: str, wanted: Wanted) -> Facts:
        """See :class:`agentsim.resources.checking.Checker`."""
        if wanted.task_id is None:
            raise malformed("no_task", "the header Task-Id must name the task")
        asked: dict[str, Any] = {
            "token": token,
            "audience": self._audience,
            "task_id": wanted.task_id,
            "required_tools": [] if wanted.tool is None else [wanted.tool],
            "include_history": False,
        }
        if wanted.scope is not None:
            asked["scope"] = wanted.scope
        url = await self._issuer.endpoint("verification_endpoint")
        told = await self._issuer.json("POST", url, json=asked, auth=self._client)
        if not told.get("is_valid"):
            raise _refusal(told, wanted)
        # The server has checked all of it: what it says can be read.
        payload = jwt.decode(token, options={"verify_signature": False})
        return facts_of(read_claims(payload), {**payload, **told})


class Introspection:
    """Asks what a token is and believes the answer for a while, yes or no: a revocation is seen after that time.

    Parameters
    ----------
    cache : seconds for which an answer is kept; never beyond the token's expiry. 0 asks each time.
    """

    def __init__(self, issuer: Issuer, audience: str, *, cache: float = 10.0) -> None:
        self._online = Online(issuer, audience)
        self._issuer = issuer
        self._audience = audience
        self._cache = int(cache * SECOND)
        #: Members, and until when they are believed, by the token's digest.
        self._known: OrderedDict[bytes, tuple[dict[str, Any], int]] = OrderedDict()

    async def check(self, token: str, wanted: Wanted) -> Facts:
        """See :class:`agentsim.resources.checking.Checker`. A token with a budget is verified for each use."""
        members = await self._introspected(token)
        if members.get("active") is not True:
            raise invalid("inactive", "the token is not active")
        # A client may ask about its own refresh tokens, too: an active one is still nobody's access token.
        if members.get("token_type") == "refresh_token":
            raise invalid("wrong_type", "this is no access token")
        facts = told_facts(members)
        check_use(facts, wanted, self._audience, self._issuer.clock.now())
        return await self._online.check(token, wanted) if facts.budgeted else facts

    async def _introspected(self, token: str) -> dict[str, Any]:
        now, key = self._issuer.clock.now(), digest(token)
        members, until = self._known.get(key, ({}, now))
        if now >= until:
            url = await self._issuer.endpoint("introspection_endpoint")
            members = await self._issuer.json("POST", url, data={"token": token}, auth=self._issuer.client)
            self._known[key] = members, now + self._cache
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return members


def _refusal(told: dict[str, Any], wanted: Wanted) -> Refusal:
    """The server's refusal, as a resource server tells it on."""
    reason, description = str(told.get("reason", "refused")), str(told.get("error_description", ""))
    match told.get("error"):
        case "insufficient_scope":
            return insufficient(reason, description, wanted.scope)
        case "invalid_request":
            return malformed(reason, description)
        case "insufficient_user_authentication":
            return step_up(reason, description)
    return invalid(reason, description)
