"""What is decided here is what the server decides: the same token, the same marks, the same answer."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentsim.resources.offline import Feed
from agentsim.server.claims import Claims
from agentsim.server.clock import ManualClock
from agentsim.server.lineage import task_key
from agentsim.server.marks import KINDS, MarkIndex

CLOCK = ManualClock(1_000_000_000)
keys = st.integers(1, 6)
marks = st.lists(st.tuples(st.sampled_from(KINDS), keys), max_size=6)


class Told:
    """A token server that tells of these marks, two a page; what it signs is believed."""

    url = "https://auth.example"
    clock = CLOCK

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    async def endpoint(self, name: str) -> str:
        return name

    async def text(self, method: str, url: str, params: dict[str, int]) -> bytes:
        return str(params["after"]).encode()

    async def verified(self, token: str, kind: str) -> dict[str, Any]:
        after = int(token)
        some = self.rows[after : after + 2]
        told = [
            {"kind": each["kind"], "key": str(each["key"]), "id": str(each["revocation_id"])} for each in some
        ]
        place = after + len(some)
        members = {"iss": self.url, "iat": CLOCK.now() // 1_000_000, "after": after, "place": place}
        return {**members, "more": place < len(self.rows), "marks": told}


@given(marks, st.lists(st.tuples(keys, keys, st.sampled_from("abc")), min_size=1, max_size=4))
def test_offline_and_server_hold_a_lineage_against_marks_alike(
    made: list[tuple[str, int]], levels: list[tuple[int, int, str]]
) -> None:
    named = {1: "a", 2: "b", 3: "c"}
    rows = [
        {
            "kind": kind,
            "key": task_key("acme", named.get(key, "d")) if kind == "task" else key,
            "revocation_id": 3 + number,
            "reason": "x",
            "closure": "pending",
        }
        for number, (kind, key) in enumerate(made)
    ]
    index = MarkIndex()
    for row in rows:
        index.add(row)
    lineage = tuple((grant, client, task_key("acme", task)) for grant, client, task in levels)
    claims = Claims(
        token_id=1,
        client_id=1,
        grant_id=1,
        root_grant_id=1,
        parent_grant_id=None,
        depth=0,
        lineage=lineage,
        tasks=("t",),
        scope="",
        tools="",
        resources="",
        level="",
        principal="acme",
        owner="acme",
        issued_at=0,
        expires_at=0,
        grant_expires_at=0,
    )
    feed = Feed(Told(rows), 5, 30)
    told = asyncio.run(feed.is_ended(claims))
    assert told == (index.ended_by(lineage, "acme", "acme") is not None)
