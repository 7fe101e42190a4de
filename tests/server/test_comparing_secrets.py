"""Every secret is compared in a time that does not tell how nearly it is the right one.

Not by looking for ``==`` in the source: here it is seen that each secret goes through the one comparison, and that nobody is
let in where that comparison says no.
"""

import hmac
from typing import Any

import pytest

from agentsim.server import Activation, Client, Confirm, Issue, OAuthError, Refresh
from agentsim.server.accounts import hash_password, is_password
from agentsim.server.credentials import digest
from agentsim.server.operations.agents import ReadAgent
from agentsim.server.parties import RegistrationAccess

_compare = hmac.compare_digest


def operations(world: Any) -> dict[str, tuple[str, Any]]:
    """Each secret, and an operation that is granted to whoever has it."""
    made, waiting = world.register(), world.register()
    world.ask(Confirm(registration_token=made.registration_token), Activation)
    client = Client(made.client_id, made.client_secret)
    granted = world.root(client)
    access = RegistrationAccess(made.registration_access_token)
    return {
        "client secret": (made.client_secret, Issue(by=client, task_id="t", scope="file_read:github")),
        "refresh token": (granted.refresh_token, Refresh(by=client, refresh_token=granted.refresh_token)),
        "registration": (waiting.registration_token, Confirm(registration_token=waiting.registration_token)),
        "registration access": (
            made.registration_access_token,
            ReadAgent(by=access, client_id=made.client_id),
        ),
    }


@pytest.mark.parametrize("name", ["client secret", "refresh token", "registration", "registration access"])
def test_each_secret_goes_through_the_one_comparison(
    world: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    secret, operation = operations(world)[name]
    compared: set[bytes] = set()

    def never(given: Any, stored: Any) -> bool:
        compared.add(given)
        # Others that are needed on the way are believed.
        return given != digest(secret) and _compare(given, stored)

    monkeypatch.setattr(hmac, "compare_digest", never)
    (refused,) = world.server.execute([operation])
    assert digest(secret) in compared
    assert isinstance(refused, OAuthError)
    monkeypatch.undo()
    (granted,) = world.server.execute([operation])
    assert not isinstance(granted, OAuthError)


def test_passwords_go_through_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.server.accounts._N", 2**8)
    kept = hash_password("correct horse battery")
    assert is_password("correct horse battery", kept)
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
    assert not is_password("correct horse battery", kept)
