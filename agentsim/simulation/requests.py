"""What honest agents ask the server for, in the server's own words: intents turned into operations."""

from __future__ import annotations

from functools import lru_cache

from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    RecordExecution,
    Refresh,
    Register,
    Revoke,
    Verify,
)
from agentsim.simulation.intents import Intents
from agentsim.simulation.plans import Ask


class Requests:
    """Makes the operations of one tenant's agents, each named by its number."""

    def __init__(self, owner: str, intents: Intents) -> None:
        self._admin = Admin(owner)
        self._intents = intents
        self._catalogue = intents.population.catalogue
        self._calls = intents.calls
        self._scope = lru_cache(4096)(self._scope_of)

    def register(self, number: int) -> Register:
        """The owner registers an agent for what its role, and those below it, may ever need."""
        intents = self._intents
        tools, resources = intents.registered(number)
        return Register(
            by=self._admin,
            agent_name=intents.agent_name(number),
            description=self._catalogue.settings[int(intents.population.role[number])].summary,
            allowed_tools=tools,
            resource_access=resources,
            max_scope_level=intents.registered_level(number),
            role=intents.role(number),
        )

    def confirm(self, number: int, registration_token: str) -> Confirm:
        """An agent redeems its registration token."""
        return Confirm(registration_token=registration_token, source_ip=self._intents.host(number))

    def issue(self, number: int, client: Client) -> Issue:
        """A root asks for its grant."""
        intents = self._intents
        tools, resources = intents.asked(number)
        return Issue(
            by=client,
            task_id=intents.task_id(number),
            task_description=intents.task_description(number),
            scope=self._scope(tools, resources),
            required_tools=tools,
            required_resources=resources,
            scope_level=intents.level(number),
            principal=intents.principal(number),
            budget=self._catalogue.settings[int(intents.population.role[number])].budget,
            source_ip=intents.host(number),
        )

    def issue_child(self, number: int, client: Client, parent_token: str, *, again: bool) -> IssueChild:
        """A child asks for its grant; ``again``, after a refusal, for no more than it needs."""
        intents = self._intents
        ask = Ask.NEED if again else Ask(int(intents.plans.ask[number]))
        tools, resources = intents.needed(number) if ask == Ask.NEED else intents.asked(number)
        everything = ask == Ask.ALL
        return IssueChild(
            by=client,
            parent_token=parent_token,
            parent_task_id=intents.task_id(int(intents.population.parent[number])),
            task_id=intents.task_id(number),
            task_description=intents.task_description(number),
            scope=None if everything else self._scope(tools, resources),
            required_tools=None if everything else tools,
            required_resources=None if everything else resources,
            scope_level=intents.level(number),
            scope_inheritance="full" if everything else "restricted",
            source_ip=intents.host(number),
        )

    def refresh(self, number: int, client: Client, refresh_token: str, call: int) -> Refresh:
        """An agent exchanges its refresh token, from where it makes the call that it needs a new one for."""
        return Refresh(by=client, refresh_token=refresh_token, source_ip=self._intents.host(number, call))

    def verify(self, number: int, token: str, call: int) -> Verify:
        """The receiver of a tool call asks whether the token may be used for it."""
        host = self._intents.host(number, call)
        return Verify(
            token=token,
            task_id=self._intents.task_id(number),
            required_tools=(self._tool(call),),
            required_resources=(self._resource(call),),
            caller=f"host-{host}",
            source_ip=host,
            include_history=False,
        )

    def introspect(self, token: str, call: int) -> Introspect:
        """The receiver of a call looks the token up."""
        return Introspect(token=token, include_task_history=True, caller=self._resource(call))

    def outcome(self, token: str, call: int) -> RecordExecution:
        """How a call went."""
        return self.outcome_like(token, self._tool(call), self._resource(call), call)

    def outcome_like(self, token: str, tool: str, resource: str, call: int) -> RecordExecution:
        """How a call of this tool went: as the drawn call of this number did."""
        calls = self._calls
        return RecordExecution(
            token=token,
            tool=tool,
            resource=resource,
            outcome="error" if calls.error[call] else "success",
            duration_us=int(calls.duration[call]),
            args_digest=calls.args_digest(call),
            n_args=int(calls.n_args[call]),
            arg_chars=int(calls.arg_chars[call]),
            result_chars=int(calls.result_chars[call]),
        )

    def revoke(self, number: int, client: Client, token: str) -> Revoke:
        """An agent ends its own grant, done with its task."""
        return Revoke(by=client, token=token, reason="completed", source_ip=self._intents.host(number))

    def cancel(self, number: int) -> Revoke:
        """The owner stops a task and all below it, by its name."""
        return Revoke(by=self._admin, task_id=self._intents.task_id(number), reason="cancelled_by_owner")

    def _tool(self, call: int) -> str:
        name: str = self._catalogue.tools[self._calls.tool[call]]
        return name

    def _resource(self, call: int) -> str:
        name: str = self._catalogue.resources[self._calls.resource[call]]
        return name

    def _scope_of(self, tools: tuple[str, ...], resources: tuple[str, ...]) -> str:
        """Each tool with those of the resources that it works on."""
        catalogue = self._catalogue
        scope = []
        for tool in tools:
            works_on = catalogue.resource_names(int(catalogue.tool_resources[catalogue.tools.index(tool)]))
            scope += [f"{tool}:{resource}" for resource in resources if resource in works_on]
        return " ".join(scope)
