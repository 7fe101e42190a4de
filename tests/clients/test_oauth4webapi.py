"""A strict client of another language: oauth4webapi checks metadata, answers and tokens by the letter of the RFCs."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentsim.server import Store, SystemClock
from agentsim.server.accounts import Accounts

HERE = Path(__file__).parent / "oauth4webapi"
#: The resource server that tokens are for where none is named.
AUDIENCE = "https://resources.agentsim.example"
Walk = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script beside the library that npm has installed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on the PATH")
    folder = tmp_path_factory.mktemp("oauth4webapi")
    for name in ("package.json", "walk.mjs", "code.mjs"):
        shutil.copy(HERE / name, folder)
    install = "npm install --no-package-lock --no-audit --no-fund --ignore-scripts".split()
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot install oauth4webapi within a minute")
    if done.returncode:
        pytest.skip(f"npm cannot install oauth4webapi: {done.stderr.strip()[-400:]}")
    return folder


@pytest.fixture
def walk(installed: Path, served: Any) -> Walk:
    def call(method: str, alg: str = "ES256") -> dict[str, Any]:
        asked = {
            "issuer": served.issuer,
            "admin_token": served.as_admin["Authorization"].removeprefix("Bearer "),
            "audience": AUDIENCE,
            "method": method,
            "alg": alg,
        }
        done = subprocess.run(
            ["node", "walk.mjs"],
            cwd=installed,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    return call


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_it_walks_from_the_issuer_to_a_revoked_tree(walk: Walk, served: Any, method: str) -> None:
    seen = walk(method)
    assert seen["as"]["issuer"] == served.issuer
    assert seen["child"]["issued_token_type"].endswith(":access_token")
    assert seen["child"]["parent_task_id"] == "walk"
    assert seen["refreshed"]["scope"] == "file_read:github/pull/7"
    assert seen["refreshed"]["refresh_token"] != seen["child"]["refresh_token"]

    assert seen["before"]["active"] is True
    assert seen["before"]["task_id"] == "walk/1"
    assert seen["after"] == {"active": False}
    assert seen["replayed"] == {"error": "invalid_grant", "status": 400}
    assert seen["intruder"] == {"scheme": "basic", "status": 401}


def test_it_believes_a_token_by_its_keys_alone(walk: Walk) -> None:
    claims = walk("client_secret_basic")["claims"]
    assert claims["aud"] == AUDIENCE
    assert claims["task_id"] == "walk/1"
    assert claims["act"]["act"]["sub"] != claims["act"]["sub"]


@pytest.mark.parametrize("alg", ["Ed25519", "RS256"])
def test_it_may_sign_its_assertions_with_other_keys(walk: Walk, alg: str) -> None:
    assert walk("private_key_jwt", alg)["after"] == {"active": False}


PASSWORD = "correct horse battery"


def consents(served: Any, url: str) -> str:
    """What a person does with their browser: sign in, read, allow. Where they are sent back to."""
    with httpx.Client(base_url=served.issuer, follow_redirects=True) as browser:
        page = browser.get(url)
        for more in ({"account": "ana", "password": PASSWORD}, {"decision": "allow", "lifetime": "900"}):
            (form,) = [each for each in page.text.split("<form")[1:] if "signout" not in each]
            action = re.search(r'action="([^"]*)"', form)
            assert action is not None
            hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form))
            fields = {name: value.replace("&amp;", "&") for name, value in hidden.items()} | more
            page = browser.post(action[1], data=fields, follow_redirects="account" in more)
    return str(page.headers["location"])


def test_it_asks_a_person_for_consent_and_believes_the_answer(installed: Path, served: Any) -> None:
    store = Store(f"sqlite:///{served.folder}/data/server/agentsim.sqlite")
    Accounts(store, SystemClock()).add("ana", PASSWORD, "admin")
    store.close()
    back = "http://127.0.0.1:9/back"
    client_id, client_secret = served.agent(redirect_uris=[back])
    asked = {"issuer": served.issuer, "audience": AUDIENCE, "redirect_uri": back}
    asked |= {"client_id": client_id, "client_secret": client_secret}
    process = subprocess.Popen(
        ["node", "code.mjs"],
        cwd=installed,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    sent_back = consents(served, process.stdout.readline().strip())
    out, errors = process.communicate(sent_back + "\n", timeout=60)
    assert process.returncode == 0, errors
    seen = json.loads(out)
    assert (seen["claims"]["sub"], seen["claims"]["act"]["sub"]) == ("user:ana", client_id)
    assert seen["tokens"]["task_id"] == "code walk"
