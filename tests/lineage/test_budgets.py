"""A Run in which budgets were given, spent and returned; and what is found where somebody spent too much."""

import json
import shutil

import pytest

from agentsim.lineage import check
from agentsim.run import Run
from agentsim.server import Policy
from agentsim.server.policy import Budgets

COSTS = {"file_read": 5, "web": 1}


def tell(story):
    lead, worker = story.agent("lead"), story.agent("worker")
    root = story.root(lead, "plan", budget=100)
    first = story.child(worker, root, "first", scope="file_read:github", budget=60)
    second = story.child(worker, root, "second", scope="file_read:github", budget=40)
    assert story.verify(first).is_valid
    assert story.verify(second).is_valid
    assert not story.verify(root).is_valid
    story.revoke(token=first.access_token)
    story.fill()
    assert story.verify(root).is_valid
    free = story.root(lead, "free")
    assert story.verify(free).is_valid
    return story


@pytest.fixture
def budgeted_run(story, write):
    story.server.policy = Policy(tool_costs=COSTS)
    return write(tell(story))


def change_details(**wanted):
    def change(frame):
        chosen = frame["event_type"] == wanted["event_type"]
        row = frame.index[chosen & (frame["status"] == "granted")][wanted.get("number", 0)]
        details = json.loads(frame.at[row, "details"])
        frame.at[row, "details"] = json.dumps(wanted["change"](details), separators=(",", ":"))

    return change


#: What is changed in the audit, and the words that tell it.
TAMPERINGS = {
    "a call that cost more than the grant has": (
        change_details(event_type="token_verified", number=1, change=lambda d: d | {"cost": 41}),
        "used 41 of a budget of 40",
    ),
    "a child that was given more than its parent had": (
        change_details(event_type="child_token_issued", number=1, change=lambda d: d | {"budget": 41}),
        "used 101 of a budget of 100",
    ),
    "more back than there was": (
        change_details(event_type="budget_returned", change=lambda d: d | {"units": 200}),
        "more came back than it had given",
    ),
    "a tree that spent more than its root was given": (
        change_details(event_type="token_verified", change=lambda d: d | {"cost": 101}),
        "its root was given 100",
    ),
    "a call that was not counted": (
        change_details(
            event_type="token_verified", change=lambda d: {k: v for k, v in d.items() if k != "cost"}
        ),
        "a call of a budgeted grant without its cost",
    ),
}


def test_a_run_in_which_everybody_kept_within_the_budget(budgeted_run):
    assert check(budgeted_run) == []
    assert budgeted_run.read("tokens")["budget"].drop_null().to_pylist() == [100, 60, 40]


@pytest.mark.parametrize("name", TAMPERINGS)
def test_who_spends_too_much_is_found(name, budgeted_run, tmp_path, tamper, reseal):
    change, words = TAMPERINGS[name]
    shutil.copytree(budgeted_run.path, tmp_path / "copy")
    found = check(reseal(tamper(Run(tmp_path / "copy"), "audit", change)))
    assert words in " | ".join(str(one) for one in found if one.rule == "budgets")
    assert {one.rule for one in found} == {"budgets"}


def test_of_a_shared_pool_children_are_not_counted_against_their_parents(story, write):
    story.server.policy = story.policy = Policy(tool_costs=COSTS, budgets=Budgets(model="shared-pool"))
    lead, worker = story.agent("lead"), story.agent("worker")
    root = story.root(lead, "plan", budget=100)
    for task in ("one", "two"):
        child = story.child(worker, root, task, scope="file_read:github", budget=100)
        assert story.verify(child).is_valid
    assert check(write(story)) == []
