"""Consent in a real browser: the whole way, by mouse and by keyboard, and pages that everybody can use."""

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from agentsim.server.accounts import Accounts
from agentsim.server.clock import SECOND
from agentsim.server.policy import Budgets

POLICY = {"budgets": Budgets(root=100_000), "grant_ttl_us": 8 * 3600 * SECOND}
PASSWORD = "correct horse battery"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
#: Where pictures of all pages go, for those who want to look at them.
PICTURES = os.environ.get("AGENTSIM_PICTURES")


@pytest.fixture(scope="module")
def home(site: Any, callback: Any) -> Any:
    accounts = Accounts(site.server.store, site.clock)
    for name in ("ana", "bob", "eve"):
        accounts.add(name, PASSWORD, "admin")
    site.app = site.agent(
        redirect_uris=[callback.url],
        client_name="Travel planner",
        description="plans trips, compares prices and keeps the calendar",
        allowed_tools=["calendar_read", "calendar_write", "mail_send"],
        resource_access=["calendar", "mailbox/travel"],
    )
    return site


def request(home: Any, callback: Any, **more: str) -> str:
    asked = {
        "client_id": home.app.client_id,
        "redirect_uri": callback.url,
        "response_type": "code",
        "scope": "calendar_read:calendar calendar_write:calendar mail_send:mailbox/travel",
        "state": "xyz",
        "task_id": "Trip to Lisbon, 3 to 7 December",
        "task_description": "Find trains and a hotel near the fair, put them into the calendar, tell the team.",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "budget": "2500",
        **more,
    }
    return f"{home.issuer}/authorize?{urlencode(asked)}"


def sign_in(page: Any, name: str) -> None:
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def answered(page: Any, callback: Any) -> dict[str, str]:
    assert page.url.startswith(callback.url)
    return {name: value for name, (value,) in parse_qs(urlsplit(page.url).query).items()}


def redeem(home: Any, callback: Any, code: str) -> dict[str, Any]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback.url}
    answer = home.post("/token", auth=home.app, data=form | {"code_verifier": VERIFIER})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_from_the_agent_s_request_to_a_grant_that_is_taken_back(
    home: Any, callback: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.goto(request(home, callback))
    sign_in(page, "ana")
    assert page.get_by_role("heading", level=1).inner_text() == "Let Travel planner act for you?"
    page.get_by_label("For how long").select_option("1 hour")
    page.get_by_role("button", name="Allow").click()
    answer = answered(page, callback)
    assert (answer["state"], answer["iss"]) == ("xyz", home.issuer)
    tokens = redeem(home, callback, answer["code"])
    assert home.is_active(tokens["access_token"])

    page.goto(f"{home.issuer}/account/grants")
    page.get_by_role("button", name="Withdraw what Travel planner may do").click()
    assert "Withdrawn." in page.get_by_role("status").inner_text()
    assert not home.is_active(tokens["access_token"])
    page.get_by_role("button", name="Sign out ana").click()
    page.goto(f"{home.issuer}/account/grants")
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"


def test_who_denies_grants_nothing(home: Any, callback: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(request(home, callback))
    sign_in(page, "bob")
    page.get_by_role("button", name="Deny").click()
    answer = answered(page, callback)
    assert answer["error"] == "access_denied"
    assert "code" not in answer


def test_the_keyboard_is_enough(home: Any, callback: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(request(home, callback))
    keys = page.keyboard
    # Past the way to skip; the account, the password, and Enter sends the form.
    keys.press("Tab")
    keys.press("Tab")
    keys.type("bob")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    page.get_by_label("For how long").focus()
    # The link to the grants comes between.
    for _ in range(2):
        keys.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Allow"
    keys.press("Enter")
    page.wait_for_url(f"{callback.url}**")
    assert "code" in answered(page, callback)


def test_another_site_cannot_put_the_pages_into_a_frame(
    home: Any, callback: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.goto(f"{home.issuer}/signin")
    sign_in(page, "bob")
    page.set_content(f'<iframe src="{request(home, callback)}"></iframe>')
    page.wait_for_timeout(500)
    assert not any("Travel planner" in frame.content() for frame in page.frames)


@pytest.fixture
def looked_at(violations: Callable[[Any], list[dict[str, Any]]]) -> Callable[[Any, str, int, str], None]:
    """Each page is held against axe-core, and fits its screen."""

    def look(page: Any, name: str, width: int, scheme: str) -> None:
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{PICTURES}/{name}-{width}-{scheme}.png", full_page=True)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    return look


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_can_be_used_by_everybody(
    home: Any,
    callback: Any,
    open_page: Callable[..., Any],
    looked_at: Callable[[Any, str, int, str], None],
    width: int,
    scheme: str,
) -> None:
    page = open_page(width, scheme, scripts=True)
    page.goto(request(home, callback))
    looked_at(page, "signin", width, scheme)
    page.get_by_label("Account").fill("eve")
    page.get_by_label("Password").fill("a wrong password")
    page.get_by_role("button", name="Sign in").click()
    looked_at(page, "signin-refused", width, scheme)
    sign_in(page, "eve")
    looked_at(page, "consent", width, scheme)
    page.get_by_role("button", name="Allow").click()
    grant = redeem(home, callback, answered(page, callback)["code"])
    home.child(
        home.agent(allowed_tools=["mail_send"], resource_access=["mailbox/travel"]),
        grant,
        scope="mail_send:mailbox/travel",
    )
    page.goto(f"{home.issuer}/account/grants")
    looked_at(page, "grants", width, scheme)
    page.get_by_role("button", name="Withdraw all").click()
    looked_at(page, "grants-empty", width, scheme)
    page.goto(request(home, callback, redirect_uri="https://elsewhere.example/"))
    looked_at(page, "fault", width, scheme)
