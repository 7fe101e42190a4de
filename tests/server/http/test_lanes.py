"""Lanes: what people wait for goes first, and agents are never kept waiting for ever."""

from typing import Any

import pytest

from agentsim.server.http import lanes
from agentsim.server.http.lanes import Lanes, Work


def work(name: str, count: int = 1, *, first: bool = False) -> Work:
    operations: list[Any] = [name] * count
    future: Any = None
    return Work(operations, future, first)


def names(works: list[Work]) -> list[Any]:
    return [each.operations[0] for each in works]


def test_people_come_first_and_each_lane_keeps_its_order() -> None:
    waiting = Lanes()
    for each in (work("a1"), work("p1", first=True), work("a2"), work("p2", first=True)):
        waiting.put(each)
    assert names(waiting.next_batch()) == ["p1", "p2", "a1", "a2"]
    assert len(waiting) == 0


def test_agents_have_a_share_of_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_TOGETHER", 8)
    monkeypatch.setattr(lanes, "MOST_OF_PEOPLE", 6)
    waiting = Lanes()
    for number in range(20):
        waiting.put(work(f"p{number}", first=True))
        waiting.put(work(f"a{number}"))
    batch = names(waiting.next_batch())
    assert batch == [*(f"p{number}" for number in range(6)), "a0", "a1"]


def test_one_that_is_larger_than_a_batch_goes_alone_or_with_what_came_first() -> None:
    waiting = Lanes()
    waiting.put(work("large", lanes.MOST_TOGETHER + 5))
    waiting.put(work("small"))
    assert names(waiting.next_batch()) == ["large"]
    assert names(waiting.next_batch()) == ["small"]


def test_agents_are_turned_away_while_there_is_room_for_people() -> None:
    waiting = Lanes()
    flood = work("a", lanes.MOST_AGENTS_WAITING)
    waiting.put(flood)
    assert not waiting.has_room(1, first=False)
    assert waiting.has_room(1, first=True)
    assert not waiting.has_room(lanes.MOST_WAITING, first=True)
    waiting.next_batch()
    # What is being answered counts still.
    assert not waiting.has_room(1, first=False)
    waiting.answered(flood)
    assert waiting.has_room(1, first=False)
