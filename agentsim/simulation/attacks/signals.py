"""Signals of attacks that are no features of a grant, but that the server's rows hold all the same."""

#: Name and meaning. What is a feature stands in the catalogue of features under its own name.
SIGNALS: dict[str, str] = {
    "honoured_after_revocation": "calls that resource servers let through after a mark above the token",
    "invalid_client_of_source": "requests with a wrong secret, for each address that they come from",
}
