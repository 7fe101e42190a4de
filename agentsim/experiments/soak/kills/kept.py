"""What a server has kept, once it is back: held against all that its callers were answered."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import select

from agentsim.experiments.soak.kills.holdings import Doubt, Grant
from agentsim.experiments.soak.kills.mixed import Caller
from agentsim.experiments.soak.kills.whole import find_halves, is_filled
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note
from agentsim.server import Store
from agentsim.server.credentials import digest, parse_client_name, parse_keyed_token
from agentsim.server.schema import Agent, IssuedToken, RevocationMark
from agentsim.server.statements import AUDIT
from agentsim.server.store import table

_AGENTS, _TOKENS, _MARKS = table(Agent), table(IssuedToken), table(RevocationMark)
#: Tokens in one request.
_TOGETHER = 1_000
#: Seconds within which fills that had begun must have ended.
_FILL_PATIENCE = 120
#: How many grants of each caller are refreshed, and how many used refresh tokens are presented again.
_TRIED = 2


def look(served: Served, callers: Sequence[Caller], tally: Tally) -> None:
    """Settle what was in doubt, then count what is not there, what is honoured in spite of all, and every half."""
    for caller in callers:
        _settle(served, caller, tally)
    _look_at_tokens(served, callers, tally)
    _look_at_keys(served, callers, tally)
    for caller in callers:
        _try_refresh_tokens(caller)
        tally.add(caller.take())
    _look_at_rows(served, callers, tally)


def _settle(served: Served, caller: Caller, tally: Tally) -> None:
    """Find out whether what a caller has asked and was never answered has been done: whole, or not at all."""
    doubts, caller.doubts = caller.doubts, []
    for doubt in doubts:
        if doubt.refreshing is not None and _was_used(served, doubt.refreshing):
            # Its successor was in the answer that was lost.
            doubt.refreshing.refresh = None
        _settle_ending(served, doubt, tally)


def _settle_ending(served: Served, doubt: Doubt, tally: Tally) -> None:
    below = [grant for top in doubt.ending for grant in top.downwards() if grant.alive]
    if not below:
        return
    honoured = are_valid(served, [grant.tokens[-1] for grant in below])
    if any(honoured) and not all(honoured):
        tally.lost += 1
        note(tally, f"half a revocation: {sum(honoured)} of {len(honoured)} tokens below it are honoured")
    for grant in doubt.ending if not all(honoured) else ():
        grant.ended = True


def _was_used(served: Served, grant: Grant) -> bool:
    """Whether the refresh token that a caller holds has been used."""
    if grant.refresh is None:
        return False
    token = parse_keyed_token("rt", grant.refresh)
    with closing(Store(served.database)) as store, store.reading() as connection:
        query = select(_TOKENS.c.refresh_consumed_at).where(_TOKENS.c.token_id == token)
        return connection.execute(query).scalar_one_or_none() is not None


def are_valid(served: Served, tokens: Sequence[str]) -> list[bool]:
    """What the server says of tokens."""
    found: list[bool] = []
    for start in range(0, len(tokens), _TOGETHER):
        asked = [{"token": token, "include_history": False} for token in tokens[start : start + _TOGETHER]]
        answer = served.http.post("/verify", headers=served.as_admin, json={"requests": asked})
        answer.raise_for_status()
        found += [each["is_valid"] for each in answer.json()["responses"]]
    return found


def _look_at_tokens(served: Served, callers: Sequence[Caller], tally: Tally) -> None:
    """Each token is honoured, or refused, as its holder was told."""
    expected = [
        (token, grant.alive) for caller in callers for grant in caller.grants for token in grant.tokens
    ]
    honoured = are_valid(served, [token for token, _ in expected])
    for (_, alive), valid in zip(expected, honoured, strict=True):
        if alive and not valid:
            tally.lost += 1
            note(tally, "a token that was answered, and that nothing has ended, is refused")
        elif valid and not alive:
            tally.let_in += 1
            note(tally, "a token is honoured although the revocation that ended it was answered")


def _look_at_keys(served: Served, callers: Sequence[Caller], tally: Tally) -> None:
    """Each rotation that was answered has its key, and each key but the first a row that tells of it."""
    there = {key["kid"] for key in served.http.get("/jwks").json()["keys"]}
    with closing(Store(served.database)) as store, store.reading() as connection:
        rotations = select(AUDIT.c.details).where(AUDIT.c.event_type == "key_rotated")
        told = {json.loads(details)["kid"] for details in connection.execute(rotations).scalars()}
    gone = {kid for caller in callers for kid in caller.keys} - there
    tally.lost += len(gone)
    for kid in gone:
        note(tally, f"a rotation was answered, and its key is not there: {kid}")
    untold = there - told
    if len(untold) > 1:
        tally.lost += len(untold) - 1
        note(tally, f"half a rotation: no audit row tells of {len(untold) - 1} keys")


def _try_refresh_tokens(caller: Caller) -> None:
    """The last refresh tokens work; used ones do not, and end their grants."""
    alive = [grant for grant in reversed(caller.grants) if grant.alive]
    for grant in [grant for grant in alive if grant.refresh is not None][:_TRIED]:
        caller.refresh(grant)
    for grant in [grant for grant in alive if len(grant.used) > 0][-_TRIED:]:
        if grant.alive:
            caller.replay(grant)


def _look_at_rows(served: Served, callers: Sequence[Caller], tally: Tally) -> None:
    """All that was answered has its rows, and there is no half of anything."""
    with closing(Store(served.database)) as store:
        deadline = time.monotonic() + _FILL_PATIENCE
        while not is_filled(store) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not is_filled(store):
            tally.lost += 1
            note(tally, f"a fill had not ended after {_FILL_PATIENCE} seconds")
        missing = _missing(store, callers)
        halves = find_halves(store)
    tally.lost += len(missing) + len(halves)
    for sentence in (*missing, *halves):
        note(tally, sentence)


def _missing(store: Store, callers: Sequence[Caller]) -> list[str]:
    with store.reading() as connection:
        tokens = set(connection.execute(select(_TOKENS.c.access_token_hash)).scalars())
        agents = set(connection.execute(select(_AGENTS.c.client_id).where(_AGENTS.c.is_active)).scalars())
        marks = set(connection.execute(select(_MARKS.c.revocation_id)).scalars())
    gone: list[str] = []
    for caller in callers:
        held = [token for grant in caller.grants for token in grant.tokens]
        gone += ["a token that was answered has no row" for token in held if digest(token) not in tokens]
        gone += [
            f"an agent that was confirmed is not active: {agent.client_id}"
            for agent in caller.agents
            if parse_client_name(agent.client_id) not in agents
        ]
        gone += [
            f"a mark that was answered is not there: {mark}" for mark in caller.marks if mark not in marks
        ]
    return gone
