"""``agentsim admin``: who was granted what, by whom, and how it is used, while a site serves and after."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentsim.server import Admin, Hold, Noted, Server, Store
from tests.outcomes import Outcome

ADMIN = "agentsim admin"


class Told(NamedTuple):
    """A site that serves on, and what happened there."""

    site: Any
    lead: str
    reviewer: str
    pending: str
    root: dict[str, Any]


@pytest.fixture(scope="module")
def told(served: Any) -> Told:
    """A lead hands on to a reviewer, whose token is verified and then revoked; one grant stays; one is refused."""
    lead = served.agent(client_name="lead")
    reviewer = served.agent(client_name="reviewer", owner="other")
    root = served.root(lead, task_id="review", may_act=reviewer[0])
    child = served.child(reviewer, root, task_id="review/1")
    for _ in range(2):
        served.post("/verify", headers=served.as_admin, json={"token": child["access_token"]})
    served.post("/revoke", auth=reviewer, data={"token": child["access_token"]})
    served.post("/token", auth=reviewer, data={"grant_type": "client_credentials", "scope": "db_drop:prod"})
    profile = {"client_name": "newcomer", "allowed_tools": ["file_read"], "resource_access": ["github"]}
    pending = served.post("/register", headers=served.as_admin, json=profile).json()["client_id"]
    return Told(served, lead[0], reviewer[0], pending, root)


@pytest.fixture
def admin(told: Told, cli: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Call ``agentsim admin`` on the database of the site that serves."""
    database = f"sqlite:///{told.site.folder / 'data/server/agentsim.sqlite'}"
    return lambda *words: cli("admin", *words, "--db", database)


@pytest.fixture
def page(admin: Callable[..., Outcome]) -> Callable[..., dict[str, Any]]:
    def call(*words: object) -> dict[str, Any]:
        outcome = admin(*words, "--json")
        assert (outcome.status, outcome.err) == (0, "")
        return dict(json.loads(outcome.out))

    return call


def test_agents_as_a_table(admin: Callable[..., Outcome], told: Told) -> None:
    outcome = admin("agents")
    head, *rows = outcome.out.splitlines()
    assert head.split("  ")[0] == "client id"
    assert [row.split()[0] for row in rows] == [told.lead, told.reviewer, told.pending]
    assert [word for row in rows for word in row.split() if word in ("active", "pending")] == [
        "active",
        "active",
        "pending",
    ]


def test_grants_tell_by_whom_for_what_and_how_they_are_used(
    admin: Callable[..., Outcome], told: Told
) -> None:
    child, root = admin("grants").out.splitlines()[1:]
    assert child.split()[1:5] == ["reviewer", told.reviewer, told.lead, "review/1"]
    assert "  revoked  " in child
    assert child.split()[-1] == "2"
    assert root.split()[1:3] == ["lead", told.lead]
    assert "  active  " in root
    assert root.split()[-1] == "0"


def test_a_tree_is_shown_from_any_of_its_grants(
    admin: Callable[..., Outcome], page: Callable[..., dict[str, Any]]
) -> None:
    child, root = page("grants")["grants"]
    for grant in (child, root):
        shown = page("tree", grant["grant_id"])
        assert [row["grant_id"] for row in shown["grants"]] == [root["grant_id"], child["grant_id"]]
    drawn = admin("tree", child["grant_id"]).out.splitlines()[1:]
    # A child stands further in than its parent.
    assert drawn[1].index("reviewer") == drawn[0].index("lead") + 2


def test_the_audit_trail_tells_every_decision(page: Callable[..., dict[str, Any]], told: Told) -> None:
    trail = page("audit", "--client", told.reviewer)["audit"]
    # What the fill adds comes when there is time for it.
    assert [(row["event_type"], row["status"]) for row in trail if row["event_type"] != "token_ended"] == [
        ("token_issued", "refused"),
        ("token_revoked", "granted"),
        ("token_verified", "granted"),
        ("token_verified", "granted"),
        ("child_token_issued", "granted"),
        ("agent_confirmed", "granted"),
        ("agent_registered", "granted"),
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("agents --status pending", ["newcomer"]),
        ("agents --owner other", ["reviewer"]),
        ("agents --owner nobody", []),
        ("grants --task review/1", ["reviewer"]),
        ("grants --client LEAD", ["lead"]),
        ("grants --owner nobody", []),
        ("grants --principal nobody", []),
    ],
)
def test_filters(page: Callable[..., dict[str, Any]], told: Told, words: str, found: list[str]) -> None:
    command, *options = words.replace("LEAD", told.lead).split()
    assert [row["agent_name"] for row in page(command, *options)[command]] == found


def test_the_audit_trail_is_filtered(page: Callable[..., dict[str, Any]]) -> None:
    (child, _) = page("grants")["grants"]
    for options, wanted in (
        (["--status", "refused"], {"status": "refused"}),
        (["--event", "token_verified"], {"event_type": "token_verified"}),
        (["--grant", child["grant_id"]], {"grant_id": child["grant_id"]}),
    ):
        rows = page("audit", *options)["audit"]
        assert rows
        assert all(row[name] == value for row in rows for name, value in wanted.items())


def test_pages_go_on_where_the_last_one_ended(
    admin: Callable[..., Outcome], page: Callable[..., dict[str, Any]]
) -> None:
    for command, option, key in (
        ("agents", "--after", "client_id"),
        ("grants", "--before", "grant_id"),
        ("audit", "--before", "log_id"),
    ):
        whole = [row[key] for row in page(command)[command]]
        pages: list[str] = []
        where: list[str] = []
        for _ in whole:
            found = page(command, "--limit", 1, *where)
            pages += [row[key] for row in found[command]]
            where = [option, found["next"]]
        assert pages == whole
        assert page(command, "--limit", 1, *where) == {command: [], "next": None}
        more = page(command, "--limit", 1)["next"]
        assert admin(command, "--limit", 1).out.endswith(f"There may be more: go on with {option} {more}\n")


def test_http_gives_the_same_pages(page: Callable[..., dict[str, Any]], told: Told) -> None:
    (child, _) = page("grants")["grants"]
    for words, path, query in (
        ("agents --limit 2", "agents", {"limit": "2"}),
        ("agents --status active --owner other", "agents", {"status": "active", "owner": "other"}),
        (f"grants --client {told.lead}", "grants", {"client_id": told.lead}),
        (f"tree {child['grant_id']}", f"grants/{child['grant_id']}/tree", {}),
        (f"audit --client {told.lead}", "audit", {"client_id": told.lead}),
    ):
        over_http = told.site.get(f"/admin/{path}", headers=told.site.as_admin, params=query)
        assert over_http.json() == page(*words.split())


def test_it_reads_beside_a_server_that_writes(page: Callable[..., dict[str, Any]], told: Told) -> None:
    before = len(page("agents")["agents"])
    made = told.site.agent(client_name="latecomer", owner="late")
    assert len(page("agents")["agents"]) == before + 1
    assert told.site.root(made)["task_id"] == "Code Review"
    assert [row["agent_name"] for row in page("grants", "--owner", "late")["grants"]] == ["latecomer"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("agents --status asleep", "unknown status: asleep (one of active, pending, disabled)"),
        ("grants --client robot", "client_id is not an agent's: robot"),
        ("tree 5", "GRANT_ID 5: there is no such grant"),
        ("tree root", "Invalid value for 'GRANT_ID'"),
        ("audit --limit 0", "Invalid value for '--limit'"),
        ("agents --limit 1001", "Invalid value for '--limit'"),
        ("grant", "No such command 'grant'"),
    ],
)
def test_a_mistake_is_one_message(admin: Callable[..., Outcome], words: str, message: str) -> None:
    outcome = admin(*words.split())
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"agentsim: {message}")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("command", ["agents", "grants", "tree 1", "audit"])
def test_no_database_is_made_by_looking(cli: Callable[..., Outcome], tmp_path: Path, command: str) -> None:
    file = tmp_path / "nowhere" / "agentsim.sqlite"
    outcome = cli("admin", *command.split(), "--db", f"sqlite:///{file}")
    assert outcome.status == 2
    assert outcome.err.endswith("no such file; `agentsim serve` makes it\n")
    assert not file.parent.exists()


def test_a_database_of_something_else_stays_as_it_is(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    file = tmp_path / "empty.sqlite"
    file.touch()
    outcome = cli("admin", "agents", "--db", f"sqlite:///{file}")
    assert outcome.status == 2
    assert "the database holds no tables of agentsim" in outcome.err


def test_help_gives_examples(cli: Callable[..., Outcome]) -> None:
    for command in ("agents", "grants", "tree", "audit"):
        assert f"Example: {ADMIN} {command}" in cli("admin", command, "--help").out


def test_a_held_grant_is_let_go_beside_the_server_that_serves(
    serve: Callable[..., Any], cli: Callable[..., Outcome]
) -> None:
    site = serve()
    database = f"sqlite:///{site.folder / 'data/server/agentsim.sqlite'}"
    asked = {"token": site.root(site.agent())["access_token"]}
    ((grant,), as_admin) = site.get("/admin/grants", headers=site.as_admin).json()["grants"], site.as_admin
    # Nobody judges at this site: it is held as by somebody who follows the trail.
    store = Store(database)
    Server(store).ask(Hold(by=Admin("admin", everywhere=True), grant_id=int(grant["grant_id"])), Noted)
    store.close()
    refused = site.post("/verify", headers=as_admin, json=asked).json()
    assert (refused["error"], refused["reason"]) == ("insufficient_user_authentication", "step_up_required")

    reauthorize = partial(cli, "admin", "reauthorize", grant["grant_id"], "--db", database)
    assert reauthorize() == (0, f"Grant {grant['grant_id']} may be used again.\n", "")
    assert site.post("/verify", headers=as_admin, json=asked).json()["is_valid"]
    again = reauthorize()
    assert (again.status, again.out) == (2, "")
    assert "the grant is not held" in again.err
