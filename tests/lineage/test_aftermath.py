"""What came after each revocation, on a Run whose every step is known and takes a second."""

import pytest

from agentsim.lineage import Forest, aftermath

SECOND = 1_000_000


@pytest.fixture
def ended(told_run):
    frame = aftermath(told_run)
    return frame[frame["tenant"] == 0].reset_index(drop=True)


def test_every_mark_is_told_once(told_run):
    marks = told_run.frame("revocations")
    frame = aftermath(told_run, Forest.from_run(told_run))
    assert frame["revocation_id"].tolist() == sorted(marks["revocation_id"])
    assert frame["honoured"].sum() == 0


def test_what_a_mark_ended_and_where(story, write):
    lead, helper = story.agent("lead"), story.agent("helper")
    root = story.root(lead, "plan")
    other = story.root(lead, "other")
    child = story.child(helper, root, "part")
    story.child(helper, child, "detail")
    story.child(helper, root, "beside")
    story.child(helper, other, "elsewhere")
    story.revoke(token=child.access_token)
    story.revoke(client_id=helper.client_id)
    told = aftermath(write(story))
    # The second mark ends what the first had left: one grant in each of two trees.
    columns = ["kind", "grants", "trees", "tree_grants", "levels"]
    assert told[columns].to_numpy().tolist() == [["grant", 2, 1, 4, 1], ["client", 2, 2, 6, 0]]


def test_later_uses_are_counted_with_the_time_of_the_last(story, write):
    lead, helper = story.agent("lead"), story.agent("helper")
    root = story.root(lead, "plan")
    child = story.child(helper, root, "part")
    assert story.verify(child).is_valid
    story.revoke(token=root.access_token)
    assert not story.verify(child).is_valid
    story.refresh(helper, child)
    story.child(helper, child, "more")
    told = aftermath(write(story)).iloc[0]
    assert (told["refused"], told["honoured"]) == (3, 0)
    assert told["last_use"] == 3 * SECOND


def test_a_use_that_was_let_through_too_late_is_told(run, tamper):
    refused = run.sql(
        "SELECT min(log_id) AS id FROM audit WHERE event_type = 'token_verified' AND reason = 'revoked'"
    )
    late = int(refused["id"].iloc[0])

    def let_through(audit):
        audit.loc[audit["log_id"] == late, ["status", "reason"]] = ["granted", None]

    assert aftermath(tamper(run, "audit", let_through))["honoured"].sum() == 1


def test_the_replay_that_brought_a_mark_about_is_no_later_use(ended):
    stolen = ended[ended["reason"] == "refresh_token_reuse"].iloc[0]
    # After it one verification was tried, and that was refused.
    assert (stolen["grants"], stolen["refused"], stolen["last_use"]) == (1, 1, SECOND)


def test_a_run_without_revocations_has_an_empty_table(story, write):
    story.root(story.agent("lead"), "plan")
    told = aftermath(write(story))
    assert told.empty
    assert {"grants", "honoured", "last_use", "exposed"} <= set(told)
