"""Signals of attacks that are no features of a grant, but that the server's rows hold all the same."""

#: Name and meaning. What is a feature stands in the catalogue of features under its own name.
SIGNALS: dict[str, str] = {
    "budget_spent": "units of a grant's budget that its calls have cost, and refusals because none are left",
    "honoured_after_revocation": "calls that resource servers let through after a mark above the token",
    "hosts_of_client": "distinct source addresses of all grants of one client together",
    "invalid_client_of_client": "requests with a wrong secret, for each client that they name",
    "invalid_client_of_source": "requests with a wrong secret, for each address that they come from",
    "registered_name_twice": "registrations of one owner with the same, or nearly the same, name",
    "revoked_by_parent": "grants that the client of the grant above has revoked before their work was done",
    "self_delegation": "grants of one client below a grant of its own, which honest agents of a simulation never take",
    "used_after_update": "uses of tools that the agent's registration no longer has",
}
