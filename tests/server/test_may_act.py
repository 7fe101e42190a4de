"""``may_act``: a grant names the one agent of another owner that may work below it (RFC 8693 section 4.4)."""

from typing import Any

import pytest

from agentsim.server import Admin, Introspect, Introspection, Issue, IssueChild, OAuthError, Refresh, Revoke
from agentsim.server.answers import AgentRecord
from agentsim.server.lineage import task_key
from agentsim.server.operations.agents import Disable, Enable
from agentsim.server.schema import IssuedToken, RevocationMark

GLOBEX, INITECH = Admin("globex"), Admin("initech")
SCOPE = "file_read:github"


def below(by: Any, parent: Any, **terms: Any) -> IssueChild:
    return IssueChild(by=by, parent_token=parent.access_token, **({"scope": SCOPE} | terms))


def test_only_the_agent_that_is_named_may_work_below_another_owners_grant(world: Any) -> None:
    lead, helper, other = world.agent(), world.agent(GLOBEX), world.agent(GLOBEX)
    unnamed, named = world.root(lead), world.root(lead, "shared", may_act=helper.client_id)
    for by, parent in ((helper, unnamed), (other, unnamed), (other, named)):
        refused = world.refusal(below(by, parent))
        assert (refused.error, refused.reason) == ("access_denied", "not_delegated")
    child = world.child(helper, named)
    told = world.ask(Introspect(token=child.access_token), Introspection)
    assert (told.client_id, told.sub) == (helper.client_id, "acme")
    assert told.act == {"sub": helper.client_id, "act": {"sub": lead.client_id}}
    # Agents of the tree's own owner need no naming, and naming another agent keeps none of them out.
    assert world.child(world.agent(), named).depth == 1


def test_the_child_stands_in_the_tree_of_the_parents_owner(world: Any) -> None:
    lead, helper = world.agent(), world.agent(GLOBEX)
    world.child(helper, world.root(lead, may_act=helper.client_id, principal="ana"), "job")
    row = world.rows(IssuedToken)[-1]
    assert (row["owner"], row["principal"], row["task_key"]) == ("acme", "ana", task_key("acme", "job"))


def test_the_child_is_bounded_by_both_registrations(world: Any) -> None:
    lead = world.agent(allowed_tools=["file_read"], resource_access=["github", "docs"])
    helper = world.agent(GLOBEX, allowed_tools=["file_read", "shell"], resource_access=["github"])
    root = world.root(lead, scope="file_read:github file_read:docs", may_act=helper.client_id)
    assert world.refusal(below(helper, root, scope="shell:github")).reason == "scope_exceeds_parent"
    assert world.refusal(below(helper, root, scope="file_read:docs")).reason == "scope_exceeds_registration"
    assert world.child(helper, root, scope=None, scope_inheritance="full").scope == SCOPE


def test_the_permission_is_not_handed_down(world: Any) -> None:
    lead, helper, other = world.agent(), world.agent(GLOBEX), world.agent(GLOBEX)
    root = world.root(lead, may_act=helper.client_id)
    child = world.child(helper, root)
    assert world.refusal(below(helper, child)).reason == "not_delegated"
    assert world.refusal(below(other, child)).reason == "not_delegated"
    on = world.child(helper, root, may_act=other.client_id)
    leaf = world.child(other, on)
    assert (leaf.depth, leaf.root_grant_id) == (2, root.grant_id)
    assert world.refusal(below(world.agent(INITECH), on)).reason == "not_delegated"


def test_the_permission_is_the_grants_own_through_its_refreshes(world: Any) -> None:
    lead, helper = world.agent(), world.agent(GLOBEX)
    named, unnamed = world.root(lead, may_act=helper.client_id), world.root(lead, "other")
    newer = world.refresh(lead, world.refresh(lead, named), scope=SCOPE)
    assert world.child(helper, newer).depth == 1
    # The helper's own token carries it no further, refreshed or not.
    child = world.refresh(helper, world.child(helper, named))
    assert world.refusal(below(helper, child)).reason == "not_delegated"
    assert world.refusal(below(helper, world.refresh(lead, unnamed))).reason == "not_delegated"


@pytest.mark.parametrize("name", ["", "helper", "agent_", "agent_07", "globex", "x" * 5_000])
def test_may_act_must_name_an_agent(world: Any, name: str) -> None:
    refused = world.refusal(Issue(by=world.agent(), scope=SCOPE, may_act=name))
    assert refused.reason == "invalid_request"
    assert len(world.audit()[-1]["details"]) < 500
    assert world.rows(IssuedToken) == []


def test_an_agent_ends_what_it_holds_below_another_owners_grant_and_nothing_above(world: Any) -> None:
    lead, helper = world.agent(), world.agent(GLOBEX)
    root = world.root(lead, may_act=helper.client_id)
    child = world.child(helper, root)
    assert world.refusal(Revoke(by=helper, token=root.access_token)).reason == "not_entitled"
    assert world.refusal(Revoke(by=GLOBEX, token=child.access_token)).reason == "not_entitled"
    world.revoke(child, by=helper)
    assert (world.why_not(root), world.why_not(child)) == (None, "revoked")
    assert world.rows(RevocationMark)[0]["owner"] == "acme"


def test_tasks_and_principals_are_the_trees_owners_to_end(world: Any) -> None:
    lead, helper = world.agent(), world.agent(GLOBEX)
    root = world.root(lead, may_act=helper.client_id)
    child = world.child(helper, root, "job")
    at_home = world.root(helper, "job")
    world.revoke(task_id="job", by=GLOBEX)
    world.revoke(principal="globex", by=GLOBEX)
    assert (world.why_not(child), world.why_not(at_home)) == (None, "revoked")
    world.revoke(task_id="job")
    assert world.why_not(child) == "revoked"
    assert world.refusal(below(helper, root, task_id="job")).reason == "task_terminated"
    assert world.why_not(root) is None


def test_disabling_the_helper_ends_its_grants_in_every_owners_trees(world: Any) -> None:
    lead, helper = world.agent(), world.agent(GLOBEX)
    elsewhere = world.agent(INITECH)
    root, third = (world.root(by, may_act=helper.client_id) for by in (lead, elsewhere))
    own = world.root(helper, "own")
    children = [world.child(helper, root), world.child(helper, third)]
    leaves = [world.child(lead, children[0], "leaf"), world.child(elsewhere, children[1], "leaf")]
    ask = below(helper, root)
    off = Disable(by=GLOBEX, client_id=helper.client_id)
    on = Enable(by=GLOBEX, client_id=helper.client_id)
    before, _, refused, _, after = world.server.execute([ask, off, ask, on, ask])
    ended = [own, *children, *leaves, before]
    assert [world.why_not(grant) for grant in ended] == ["revoked"] * 6
    assert [world.why_not(grant) for grant in (root, third, after)] == [None] * 3
    assert isinstance(refused, OAuthError)
    for grant, by in zip(leaves, (lead, elsewhere), strict=True):
        assert world.refusal(Refresh(by=by, refresh_token=grant.refresh_token)).reason == "refresh_revoked"
    (closed,) = world.fill()
    assert (closed.affected_grants, closed.affected_tokens) == (6, 6)
    assert {row["grant_id"] for row in world.rows(IssuedToken, is_revoked=True)} == {
        grant.grant_id for grant in ended
    }


def test_disabling_the_lead_ends_what_the_helper_holds_below_it(world: Any) -> None:
    lead, helper = world.agent(), world.agent(GLOBEX)
    root = world.root(lead, may_act=helper.client_id)
    child, own = world.child(helper, root), world.root(helper)
    assert world.refusal(Disable(by=GLOBEX, client_id=lead.client_id)).reason == "not_entitled"
    world.ask(Disable(by=world.admin, client_id=lead.client_id), AgentRecord)
    assert (world.why_not(child), world.why_not(own)) == ("revoked", None)
    assert world.refusal(below(helper, root)).reason == "parent_revoked"
