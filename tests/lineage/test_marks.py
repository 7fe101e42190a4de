"""What the trail says was granted after a mark is found, whichever tenant it is of."""

from agentsim.lineage import check


def grant_what_was_refused(frame):
    for row in frame.index[frame["reason"] == "parent_revoked"]:
        frame.at[row, "status"] = "granted"
        # A refusal is about the grant that was not enough; a child that was given names it as its parent's.
        frame.at[row, "parent_grant_id"], frame.at[row, "grant_id"] = frame.at[row, "grant_id"], None


def revoked_before_a_child_was_asked_for(story):
    lead, coder = story.agent("lead"), story.agent("coder")
    root = story.root(lead, "plan")
    story.revoke(token=root.access_token)
    story.child(coder, root, "late")
    story.fill()
    return story


def test_a_child_born_below_a_mark_is_found_in_each_tenant(story, write, tamper, reseal):
    other = type(story)(tenant=1)
    run = write(revoked_before_a_child_was_asked_for(story), revoked_before_a_child_was_asked_for(other))
    assert check(run) == []
    late = run.sql("SELECT tenant, log_id FROM audit WHERE reason = 'parent_revoked' ORDER BY log_id")
    assert len(late) == 2
    found = check(reseal(tamper(run, "audit", grant_what_was_refused)))
    assert [str(one) for one in found if one.rule == "marks" and "the parent's grant" in one.message] == [
        f"marks: tenant {tenant}, audit row {log_id} (child_token_issued): "
        "granted after the parent's grant was revoked"
        for tenant, log_id in late.itertuples(index=False)
    ]
