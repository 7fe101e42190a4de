"""Secrets planted in all that a server is given, with every logger at its loudest and with faults of its own provoked.

What is written in clear is told in ``test_secrets.py`` of a server that works; here it fails, and says why.
"""

import hmac
import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from agentsim.server import Client, Introspect, IssueChild, Refresh, Server, SigningKey, Verify
from agentsim.server.http.logs import JsonLines
from agentsim.server.keyring import Keys
from agentsim.server.parties import ClientAssertion

PASSWORD = "planted-password-of-ana-0123456789"


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    """All that any library logs, from the least of it, as the served process writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def parts(secret: str) -> set[str]:
    """The secret itself and what of it would do: a JWT's signature, the random half of a keyed token."""
    return {secret, secret.rpartition(".")[2], re.sub(r"^(rt|reg|rat)_\d+_", "", secret)}


def test_no_secret_is_logged_however_loud_and_however_it_fails(
    make_site: Any, heard: io.StringIO, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    site = make_site()
    made = site.register()
    site.confirm(made)
    agent = (made["client_id"], made["client_secret"])
    granted = site.root(agent)
    again = site.refresh(agent, granted).json()
    secrets = {
        *(made[name] for name in ("client_secret", "registration_token", "registration_access_token")),
        *(each[name] for each in (granted, again) for name in ("access_token", "refresh_token")),
        site.as_admin["Authorization"].removeprefix("Bearer "),
        PASSWORD,
    }
    secrets.add(str(site.server.keyring.keys.signing.private_jwk()["d"]))

    def fail(*_: Any, **__: Any) -> Any:
        # The locals of these frames hold all of it.
        raise RuntimeError("planted fault")

    monkeypatch.setattr(Server, "execute", fail)
    # A connection is closed after a fault; each request has its own.
    site.http.headers["connection"] = "close"
    failed = [
        site.ask(agent, grant_type="client_credentials", scope="file_read:github"),
        site.ask(agent, grant_type="refresh_token", refresh_token=again["refresh_token"]),
        site.ask(
            agent, grant_type="authorization_code", code="planted-code", redirect_uri="https://x.example"
        ),
        site.post("/introspect", auth=agent, data={"token": again["access_token"]}),
        site.post("/verify", auth=agent, json={"token": again["access_token"]}),
        site.post("/revoke", auth=agent, data={"token": again["refresh_token"]}),
        site.post("/register/confirm", json={"registration_token": made["registration_token"]}),
    ]
    assert {answer.status_code for answer in failed} <= {400, 500, 503}
    assert 500 in {answer.status_code for answer in failed}
    told = "\n".join(
        [
            heard.getvalue(),
            site.log_file.read_text(),
            *(answer.text for answer in failed),
            *capfd.readouterr(),
        ]
    )
    assert "planted fault" in told
    assert [part for secret in secrets for part in parts(secret) if part in told] == []


def test_what_holds_a_secret_does_not_show_it() -> None:
    """A traceback with locals, a debugger and a log line all use ``repr``."""
    key = SigningKey.generate()
    private = str(key.private_jwk()["d"])
    assert private not in repr(key) + repr(Keys(key)) + str(key)
    shown = repr(
        [
            Client("agent_1", "planted"),
            ClientAssertion("agent_1", "planted"),
            Refresh(by=Client("agent_1", "planted"), refresh_token="planted"),
            Verify(token="planted"),
            Introspect(token="planted"),
            IssueChild(by=Client("agent_1", "planted"), parent_token="planted"),
        ]
    )
    assert "agent_1" in shown
    assert "planted" not in shown


def test_the_administrators_token_is_compared_as_all_secrets_are(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    assert site.get("/admin/agents", headers=site.as_admin).status_code == 200
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
    assert site.get("/admin/agents", headers=site.as_admin).status_code == 401
