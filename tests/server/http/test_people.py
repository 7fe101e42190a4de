"""People before the pages: sign in, consent, take it back; and everybody who tries to get around them."""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from agentsim.server import accounts as accounts_module
from agentsim.server.accounts import Accounts
from agentsim.server.clock import SECOND
from agentsim.server.http.pages.routes import PAGES
from agentsim.server.policy import Budgets

PASSWORD = "correct horse battery"
BACK = "http://127.0.0.1/back"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """The same password hash with less work."""
    usual, accounts_module._N = accounts_module._N, 2**8
    yield
    accounts_module._N = usual


class Browser:
    """A person's browser, as far as it matters: cookies, forms, and redirects that are looked at."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.http = httpx.Client(base_url=site.issuer, timeout=30)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def submit(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        """Send the form with this action as the page has it, with some fields filled in."""
        form = next(part for part in page.text.split("<form")[1:] if f'action="{action}"' in part)
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form.split("</form>")[0])
        return self.http.post(
            action, data={name: value.replace("&amp;", "&") for name, value in hidden} | fields
        )

    def sign_in(self, name: str, password: str = PASSWORD, following: str = "") -> httpx.Response:
        page = self.get("/signin", params={"next": following} if following else {})
        assert page.status_code == 200, page.text
        return self.submit(page, "/signin", account=name, password=password)

    def close(self) -> None:
        self.http.close()


POLICY = {"budgets": Budgets(root=5000), "grant_ttl_us": 8 * 3600 * SECOND}


@pytest.fixture(scope="module")
def home(site: Any, quick: None) -> Any:
    accounts = Accounts(site.server.store, site.clock)
    for name in ("ana", "bob"):
        accounts.add(name, PASSWORD, "admin")
    site.app = site.agent(redirect_uris=[BACK], client_name="Travel <b>agent</b>", description="books trips")
    return site


@pytest.fixture
def browser(home: Any) -> Iterator[Browser]:
    made = Browser(home)
    yield made
    made.close()


@pytest.fixture
def ana(browser: Browser) -> Browser:
    assert browser.sign_in("ana").status_code == 303
    return browser


def query(home: Any, **more: str | None) -> dict[str, str]:
    asked = {
        "client_id": home.app.client_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "file_read:github db_query:jira",
        "state": "s&1",
        "task_id": "plan the trip",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return {name: value for name, value in asked.items() if value is not None}


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """The parameters with which an agent is answered."""
    assert answer.status_code == 303, answer.text
    where = urlsplit(answer.headers["location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == BACK
    return {name: value for name, (value,) in parse_qs(where.query).items()}


def consent(ana: Browser, home: Any, **decision: str) -> dict[str, str]:
    page = ana.get("/authorize", params=query(home))
    assert page.status_code == 200, page.text
    return sent_back(ana.submit(page, "/authorize", **({"decision": "allow", "lifetime": "900"} | decision)))


def redeem(home: Any, code: str, **form: str) -> httpx.Response:
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    answer: httpx.Response = home.post(
        "/token", auth=home.app, data=asked | {"code_verifier": VERIFIER} | form
    )
    return answer


def test_from_the_request_to_tokens_in_the_person_s_name(browser: Browser, home: Any) -> None:
    page = browser.get("/authorize", params=query(home))
    # First sign in; the request is kept meanwhile.
    assert page.status_code == 303
    signin = browser.get(page.headers["location"].removeprefix(home.origin))
    assert "asks to act for you" in signin.text
    back = browser.submit(signin, "/signin", account="ana", password=PASSWORD)
    shown = browser.get(back.headers["location"])
    assert shown.status_code == 200
    for words in (
        "Travel &lt;b&gt;agent",
        "plan the trip",
        "file_read",
        "jira",
        "up to 5,000 units",
        "8 hours",
    ):
        assert words in shown.text
    answer = sent_back(browser.submit(shown, "/authorize", decision="allow", lifetime="900"))
    assert (answer["state"], answer["iss"]) == ("s&1", home.issuer)
    tokens = redeem(home, answer["code"]).json()
    told = home.post("/introspect", auth=home.app, data={"token": tokens["access_token"]}).json()
    assert (told["sub"], told["act"]["sub"], told["task_id"]) == (
        "user:ana",
        home.app.client_id,
        "plan the trip",
    )
    assert told["budget"] == 5000


def test_a_person_may_say_no(ana: Browser, home: Any) -> None:
    assert consent(ana, home, decision="deny")["error"] == "access_denied"


def test_the_consent_lasts_as_long_as_the_person_says(ana: Browser, home: Any) -> None:
    tokens = redeem(home, consent(ana, home, lifetime="3600")["code"]).json()
    told = home.post("/introspect", auth=home.app, data={"token": tokens["refresh_token"]}).json()
    assert told["exp"] == home.clock.now() // SECOND + 3600


def test_a_code_that_comes_again_ends_what_it_gave(ana: Browser, home: Any) -> None:
    code = consent(ana, home)["code"]
    tokens = redeem(home, code).json()
    assert home.is_active(tokens["access_token"])
    again = redeem(home, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert not home.is_active(tokens["access_token"])


def test_what_was_given_is_listed_and_taken_back(browser: Browser, home: Any) -> None:
    browser.sign_in("bob")
    empty = browser.get("/account/grants")
    assert "No agent acts for you" in empty.text
    tokens = redeem(home, consent(browser, home)["code"]).json()
    child = home.child(home.agent(), tokens, scope="file_read:github")
    listed = browser.get("/account/grants")
    assert "Travel &lt;b&gt;agent" in listed.text
    assert "1 agent<" in listed.text
    done = browser.submit(listed, "/account/grants/withdraw")
    after = browser.get(done.headers["location"])
    assert "Withdrawn." in after.text
    assert "No agent acts for you" in after.text
    assert not home.is_active(tokens["access_token"])
    assert not home.is_active(child["access_token"])


def test_all_is_taken_back_at_once(ana: Browser, home: Any) -> None:
    tokens = [redeem(home, consent(ana, home)["code"]).json() for _ in range(2)]
    page = ana.get("/account/grants")
    csrf = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert csrf is not None
    ana.http.post("/account/grants/withdraw", data={"csrf": csrf[1]})
    assert not any(home.is_active(each["access_token"]) for each in tokens)


# Who is sent where

UNANSWERED = [
    {"client_id": "agent_7"},
    {"client_id": None},
    {"redirect_uri": "https://evil.example/"},
    {"redirect_uri": None},
    {"redirect_uri": "//evil.example"},
    {"redirect_uri": "http://[evil.example"},
    # Wrong in another way, too, and one that is noticed before the address is looked at.
    {"redirect_uri": "https://evil.example/", "authorization_details": "none"},
    {"redirect_uri": "https://evil.example/", "lifetime": "999999999999999999"},
    {"redirect_uri": "https://evil.example/", "response_type": "token"},
    {"client_id": "agent_7", "redirect_uri": "https://evil.example/", "authorization_details": "[]"},
    {"budget": "many"},
    {"task_id": "a\0b"},
]


@pytest.mark.parametrize("wrong", UNANSWERED, ids=str)
def test_nobody_is_sent_to_an_address_that_is_not_registered(ana: Browser, home: Any, wrong: Any) -> None:
    answer = ana.get("/authorize", params=query(home, **wrong))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "Nothing has been granted" in answer.text
    page = ana.get("/authorize", params=query(home))
    form = query(home, **wrong)
    csrf = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert csrf is not None
    for decision in ("allow", "deny"):
        posted = ana.http.post("/authorize", data=form | {"csrf": csrf[1], "decision": decision})
        assert posted.status_code == 400
        assert "location" not in posted.headers


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "shell:github"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"budget": "5001"}, "invalid_scope"),
        ({"lifetime": "0"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_an_agent_asks_wrongly_is_told_to_the_agent(
    ana: Browser, home: Any, wrong: Any, error: str
) -> None:
    told = sent_back(ana.get("/authorize", params=query(home, **wrong)))
    assert (told["error"], told["state"], told["iss"]) == (error, "s&1", home.issuer)


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example",
        "//evil.example",
        "//[evil.example",
        "/\\evil.example",
        "/account/grants/../../evil",
        "/admin/agents",
        "javascript:alert(1)",
        "/authorize\r\nSet-Cookie: x=1",
    ],
)
def test_signing_in_leads_to_our_own_pages_alone(browser: Browser, following: str) -> None:
    assert browser.sign_in("ana", following=following).headers["location"] == "/account/grants"


# Forms of others, frames, caches


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 64}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [path for _, method, path, _ in PAGES if method == "POST"])
def test_a_form_from_elsewhere_does_nothing(
    ana: Browser, home: Any, path: str, change: dict[str, str], headers: dict[str, str]
) -> None:
    csrf = re.search(r'name="csrf" value="(\w+)"', ana.get("/account/grants").text)
    assert csrf is not None
    form = query(home) | {"decision": "allow", "account": "ana", "password": PASSWORD, "csrf": csrf[1]}
    answer = ana.http.post(path, data=form | change, headers=headers)
    assert answer.status_code == 403, answer.text
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert ana.get("/account/grants").status_code == 200


def test_a_form_of_another_session_does_nothing(ana: Browser, home: Any) -> None:
    other = Browser(home)
    other.sign_in("bob")
    page = other.get("/authorize", params=query(home))
    assert ana.submit(page, "/authorize", decision="allow").status_code == 403
    other.close()


def test_no_page_is_framed_cached_or_scripted(ana: Browser, home: Any) -> None:
    for path in ("/account/grants", "/authorize?" + urlencode(query(home)), "/signin", "/authorize"):
        answer = ana.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text
        if answer.status_code == 200:
            assert "frame-ancestors 'none'" in policy
            assert "form-action 'self'" in policy


def test_a_signed_in_cookie_is_new_and_out_of_reach(browser: Browser, home: Any) -> None:
    before = browser.get("/signin").cookies["agentsim"]
    answer = browser.sign_in("ana")
    assert answer.cookies["agentsim"] != before
    written = answer.headers["set-cookie"].lower()
    assert "httponly" in written
    assert "samesite=lax" in written
    csrf = re.search(r'name="csrf" value="(\w+)"', browser.get("/account/grants").text)
    assert csrf is not None
    gone = browser.http.post("/signout", data={"csrf": csrf[1]})
    assert gone.status_code == 303
    kept = httpx.get(f"{home.issuer}/account/grants", cookies={"agentsim": answer.cookies["agentsim"]})
    assert kept.status_code == 303


def test_a_wrong_password_is_told_without_saying_which_was_wrong(browser: Browser, home: Any) -> None:
    told = {browser.sign_in(name, "a wrong password").text.count("do not belong") for name in ("ana", "eve")}
    assert told == {1}
    rows = [row for row in home.audit(event_type="sign_in") if row["status"] == "refused"]
    assert len(rows) >= 2


def test_passwords_cannot_be_tried_out(browser: Browser, home: Any) -> None:
    seen = {browser.sign_in("mallory", f"guess number {number}").status_code for number in range(11)}
    assert seen == {403, 429}
    refused = browser.sign_in("mallory", "one more guess")
    assert int(refused.headers["retry-after"]) >= 1
    # Others, and later on the same one, are let in as before.
    assert browser.sign_in("ana").status_code == 303
    browser.http.cookies.clear()
    home.clock.advance(31 * SECOND)
    assert browser.sign_in("mallory", "one more guess").status_code == 403


def test_over_https_the_cookie_is_bound_to_the_host(make_site: Any) -> None:
    site = make_site(path="")
    site.server.policy = site.policy.model_copy(update={"issuer": "https://auth.example"})
    written = site.get("/signin").headers["set-cookie"]
    assert written.startswith("__Host-agentsim=")
    assert "Secure" in written
    assert "Path=/;" in written + ";"
