"""How the resource servers of a scenario find out whether a token may be used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agentsim.settings.durations import Duration
from agentsim.settings.strict import Resource, Strict

#: The ways, from the one that asks most to the one that never asks.
Verification = Literal["online", "introspection", "feed", "status-list", "offline"]


class ResourceServer(Strict):
    """One way, and how old what it knows may be."""

    verification: Annotated[
        Verification,
        Field(
            description="online: asks for each call; introspection: asks and keeps the answer; feed: polls the marks; "
            "status-list: fetches what the fill has come to; offline: looks at the token alone. Budgeted tokens are "
            "always verified online."
        ),
    ] = "online"
    cache: Annotated[
        Duration, Field(ge=0, description="How long an answer is kept; only for introspection.")
    ] = 10_000_000
    period: Annotated[
        Duration, Field(gt=0, description="Time between two polls or fetches; for feed and status-list.")
    ] = 5_000_000


class ResourceServers(ResourceServer):
    """The resource servers: each resource that a tool works on is one, with a cache and polls of its own."""

    others: Annotated[
        dict[Resource, ResourceServer],
        Field(description="Resources whose server has a way of its own.", examples=[{}]),
    ] = Field(default_factory=dict)

    def of(self, resource: str) -> ResourceServer:
        """What holds for the server of a resource."""
        return self.others.get(resource, self)
