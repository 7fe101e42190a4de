"""A server that is told to end finishes what it does of its own accord before its database is closed."""

import threading
from typing import Any

from agentsim.server import Action
from agentsim.server.credentials import parse_client_name


class Slow:
    """A watcher that still thinks while the server is told to end, and wants something done then."""

    def __init__(self) -> None:
        self.agent: int | None = None
        self.looked = False
        self.thinking, self.told_to_end = threading.Event(), threading.Event()

    def take(self, rows: Any) -> None:
        pass

    def due(self, now: int) -> list[Action]:
        # What it wants at its first look is of a time before it: nothing is done about that.
        looked, self.looked = self.looked, True
        if not looked or self.agent is None or self.thinking.is_set():
            return []
        self.thinking.set()
        assert self.told_to_end.wait(30)
        # As long as closing would take.
        threading.Event().wait(1)
        return [Action(kind="disable_agent", subject=self.agent, score=4.0)]


def test_what_has_begun_is_done_before_the_database_is_closed(make_site: Any) -> None:
    watcher = Slow()
    site = make_site(watcher=watcher)
    watcher.agent = parse_client_name(site.agent().client_id)
    assert watcher.thinking.wait(30)
    ending = threading.Thread(target=site.close)
    ending.start()
    watcher.told_to_end.set()
    ending.join(30)
    again = make_site(database=site.database)
    (row,) = again.audit(event_type="agent_disabled")
    assert (row["status"], row["reason"]) == ("granted", "risk")
