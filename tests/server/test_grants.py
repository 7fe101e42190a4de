"""Grants: bounded by the registration, by the parent's token, and by the policy's limits."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from agentsim.server import Admin, Client, Issue, IssueChild, Refresh, SigningKey, Verify
from agentsim.server.clock import SECOND
from agentsim.server.lineage import unpack
from agentsim.server.schema import GrantStateRow, IssuedToken
from agentsim.server.tokens import LONGEST_TOKEN


def claims_of(world: Any, token: str) -> dict[str, Any]:
    """What any JWT library reads from a token."""
    key = SigningKey.from_seed(world.seed)
    options = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(
        token, key.public, algorithms=["EdDSA"], audience=world.policy.audience, options=options
    )


def test_the_documents_root_token(world: Any) -> None:
    agent = world.agent()
    grant = world.root(
        agent,
        "Code Review",
        scope="file_read:github",
        task_description="Review the pull request",
        required_tools=["file_read"],
        required_resources=["github"],
        source_ip="192.0.2.7",
    )
    assert (grant.token_type, grant.task_bound, grant.expires_in) == ("Bearer", True, 300)
    assert (grant.scope, grant.task_id, grant.parent_task_id) == ("file_read:github", "Code Review", None)
    assert (grant.allowed_tools, grant.allowed_resources) == (["file_read"], ["github"])
    assert grant.expires_at == world.clock.now() + 300 * SECOND
    assert grant.refresh_token
    assert (grant.grant_id, grant.depth) == (grant.root_grant_id, 0)
    (row,) = world.rows(IssuedToken)
    assert row["task_description"] == "Review the pull request"
    assert (row["principal"], row["owner"], row["role"], row["actor_class"]) == (
        "acme",
        "acme",
        "agent",
        "agent",
    )
    (audit,) = world.audit(event_type="token_issued")
    assert (audit["status"], audit["token_id"], audit["source_ip"]) == (
        "granted",
        grant.grant_id,
        "192.0.2.7",
    )


def test_an_access_token_is_an_rfc_9068_jwt(world: Any) -> None:
    parent, helper = world.agent(), world.agent()
    root = world.root(parent, "Code Review", principal="alice")
    child = world.child(helper, root, "Review File")
    header = jwt.get_unverified_header(child.access_token)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    claims = claims_of(world, child.access_token)
    assert claims["iss"] == world.policy.issuer
    assert (claims["sub"], claims["client_id"], claims["jti"]) == (
        "alice",
        helper.client_id,
        str(child.grant_id),
    )
    assert (claims["iat"], claims["exp"]) == (world.clock.now() // SECOND, child.expires_at // SECOND)
    assert (claims["task_id"], claims["parent_task_id"]) == ("Review File", "Code Review")
    assert claims["lineage"] == {
        "grants": [str(root.grant_id), str(child.grant_id)],
        "tasks": ["Code Review", "Review File"],
    }
    # RFC 8693 section 4.1: the outermost actor is the current one.
    assert claims["act"] == {"sub": helper.client_id, "act": {"sub": parent.client_id}}


def test_the_documents_child_token(world: Any) -> None:
    parent, helper = world.agent(), world.agent()
    root = world.root(parent, "Code Review")
    child = world.child(
        helper,
        root,
        "Review File",
        scope="file_read:github/specific",
        parent_task_id="Code Review",
        task_description="Review one file",
        required_tools=["file_read"],
        required_resources=["github"],
    )
    assert (child.scope, child.scope_inheritance) == ("file_read:github/specific", "restricted")
    assert (child.task_id, child.parent_task_id) == ("Review File", "Code Review")
    assert (child.allowed_tools, child.allowed_resources) == (["file_read"], ["github"])
    assert (child.root_grant_id, child.depth) == (root.grant_id, 1)
    row = world.rows(IssuedToken)[1]
    assert (row["parent_grant_id"], row["parent_token_id"]) == (root.grant_id, root.grant_id)
    assert [grant for grant, _, _ in unpack(row["lineage"])] == [root.grant_id, child.grant_id]


ROOT = {
    "scope": "file_read:github file_read:jira/board file_write:github",
    "required_tools": ["file_read", "file_write"],
    "required_resources": ["github", "jira/board"],
}


@pytest.mark.parametrize(
    ("asked", "reason", "surplus"),
    [
        ({"scope": "file_read:github-evil"}, "scope_exceeds_parent", ["file_read:github-evil"]),
        ({"scope": "file_read:jira"}, "scope_exceeds_parent", ["file_read:jira"]),
        ({"scope": "file_write:jira/board"}, "scope_exceeds_parent", ["file_write:jira/board"]),
        ({"scope": "db_query:github"}, "scope_exceeds_parent", ["db_query:github"]),
        ({"scope": "email.read"}, "scope_exceeds_parent", ["email.read"]),
        (
            {"scope": "admin:everything file_delete:all"},
            "scope_exceeds_parent",
            ["admin:everything", "file_delete:all"],
        ),
        ({"scope": "file_read:github/../jira"}, "malformed_scope", "file_read:github/../jira"),
        ({"scope": "file_read:github", "required_tools": ["db_query"]}, "tools_exceed_parent", ["db_query"]),
        ({"scope": "file_read:github", "required_resources": ["jira"]}, "resources_exceed_parent", ["jira"]),
        ({"scope": "file_read:github", "scope_level": "standard"}, "level_exceeds_parent", "standard"),
        ({"scope": "file_read:github", "scope_level": "admin"}, "level_exceeds_registration", "admin"),
        ({"scope": "file_read:github", "scope_level": "godlike"}, "invalid_request", "godlike"),
        ({"scope": ""}, "malformed_scope", None),
        ({}, "malformed_scope", None),
        ({"scope": "file_read:github", "scope_inheritance": "everything"}, "invalid_request", "everything"),
    ],
)
def test_a_child_never_has_more_than_its_parent(
    world: Any, asked: dict[str, Any], reason: str, surplus: Any
) -> None:
    agent = world.agent(scope="email.read", max_scope_level="elevated")
    root = world.root(agent, scope_level="restricted", **ROOT)
    refused = world.refusal(IssueChild(by=agent, parent_token=root.access_token, task_id="c", **asked))
    assert refused.reason == reason
    assert refused.asked == surplus
    assert len(world.rows(IssuedToken)) == 1


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"scope": "file_write:github"}, "scope_exceeds_registration"),
        ({"scope": "file_read:jira/board"}, "scope_exceeds_registration"),
        ({"scope": "file_read:github", "required_tools": ["file_write"]}, "tools_exceed_registration"),
        (
            {"scope": "file_read:github", "required_resources": ["jira/board"]},
            "resources_exceed_registration",
        ),
        ({"scope": "file_read:github", "scope_level": "restricted"}, "level_exceeds_registration"),
    ],
)
def test_a_child_never_has_more_than_its_own_registration(
    world: Any, asked: dict[str, Any], reason: str
) -> None:
    root = world.root(world.agent(), **ROOT)
    helper = world.agent(allowed_tools=["file_read"], resource_access=["github"], max_scope_level="minimal")
    refused = world.refusal(IssueChild(by=helper, parent_token=root.access_token, task_id="c", **asked))
    assert (refused.error, refused.reason) == ("invalid_scope", reason)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"scope": "file_write:jira"}, "scope_exceeds_registration"),
        ({"scope": "anything:at:all"}, "scope_exceeds_registration"),
        ({"scope": "email.read"}, "scope_exceeds_registration"),
        ({"scope": "file_read:github", "required_tools": ["file_write"]}, "tools_exceed_registration"),
        ({"scope": "file_read:github", "required_resources": ["jira"]}, "resources_exceed_registration"),
        ({"required_tools": ["file_write"], "required_resources": ["github"]}, "scope_exceeds_registration"),
        ({"scope": "file_read:github", "scope_level": "standard"}, "level_exceeds_registration"),
        ({"scope": "file_read:github", "scope_level": ""}, "invalid_request"),
        ({"required_tools": ["file_read"]}, "malformed_scope"),
        ({"scope": "file_read:github/../x"}, "malformed_scope"),
    ],
)
def test_a_root_never_has_more_than_the_registration(world: Any, asked: dict[str, Any], reason: str) -> None:
    agent = world.agent(allowed_tools=["file_read"], resource_access=["github"])
    assert world.refusal(Issue(by=agent, task_id="t", **asked)).reason == reason
    assert world.rows(IssuedToken) == []


def test_tools_and_resources_make_the_scope_where_none_is_named(world: Any) -> None:
    grant = world.root(
        world.agent(), scope=None, required_tools=["file_read"], required_resources=["jira/x", "github"]
    )
    assert grant.scope == "file_read:github file_read:jira/x"
    assert (grant.allowed_tools, grant.allowed_resources) == (["file_read"], ["github", "jira/x"])


def test_full_inheritance_is_what_parent_and_registration_share(world: Any) -> None:
    root = world.root(world.agent(), **ROOT)
    helper = world.agent(allowed_tools=["file_read", "db_query"], resource_access=["github/docs", "jira"])
    child = world.child(helper, root, scope=None, scope_inheritance="full")
    assert child.scope == "file_read:github/docs file_read:jira/board"
    assert (child.allowed_tools, child.allowed_resources) == (["file_read"], ["github/docs", "jira/board"])
    assert child.scope_inheritance == "full"
    stranger = world.agent(allowed_tools=["db_query"], resource_access=["s3"])
    asked = IssueChild(by=stranger, parent_token=root.access_token, task_id="c", scope_inheritance="full")
    assert world.refusal(asked).reason == "malformed_scope"


def test_without_a_wish_the_level_is_the_highest_that_all_bounds_allow(world: Any) -> None:
    high, low = world.agent(max_scope_level="elevated"), world.agent(max_scope_level="standard")
    root = world.root(high)
    child = world.child(low, root)
    grandchild = world.child(high, child)
    assert [row["max_scope_level"] for row in world.rows(IssuedToken)] == ["elevated", "standard", "standard"]
    asked = IssueChild(
        by=high,
        parent_token=grandchild.access_token,
        task_id="c",
        scope="file_read:github",
        scope_level="elevated",
    )
    assert world.refusal(asked).reason == "level_exceeds_parent"


def test_a_tool_can_need_a_level(make_world: Callable[..., Any]) -> None:
    world = make_world(tool_levels={"file_write": "elevated"})
    agent = world.agent(max_scope_level="elevated")
    for asked in (
        {"scope": "file_write:github"},
        {"scope": "file_read:github", "required_tools": ["file_write"]},
    ):
        refused = world.refusal(Issue(by=agent, task_id="t", scope_level="standard", **asked))
        assert refused.reason == "level_too_low"
    assert world.root(agent, scope="file_write:github").allowed_tools == ["file_write"]


def test_a_level_that_the_policy_has_given_up_allows_nothing(world: Any) -> None:
    agent = world.agent(max_scope_level="elevated")
    root = world.root(agent)
    world.policy = world.policy.model_copy(update={"levels": ("low", "minimal", "high")})
    world.reopen()
    assert world.refusal(Issue(by=agent, task_id="t", scope="file_read:github")).reason == "invalid_request"
    for level in ("low", "high"):
        asked = Issue(by=agent, task_id="t", scope="file_read:github", scope_level=level)
        assert world.refusal(asked).reason == "level_exceeds_registration"
    newcomer = world.agent(max_scope_level="low")
    asked = IssueChild(
        by=newcomer, parent_token=root.access_token, task_id="t", scope="file_read:github", scope_level="low"
    )
    assert world.refusal(asked).reason == "level_exceeds_parent"


def test_a_child_expires_no_later_than_its_parents_token(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent)
    world.clock.advance(100 * SECOND + 1)
    child = world.child(agent, root)
    assert child.expires_at == root.expires_at
    assert child.expires_in == 199
    grandchild = world.child(agent, world.child(agent, world.refresh(agent, root)))
    assert grandchild.expires_at <= world.clock.now() + 300 * SECOND
    rows = {row["token_id"]: row for row in world.rows(IssuedToken)}
    for row in rows.values():
        if row["parent_token_id"] is not None:
            assert row["expires_at"] <= rows[row["parent_token_id"]]["expires_at"]
            assert row["grant_expires_at"] <= rows[row["parent_grant_id"]]["grant_expires_at"]


def test_depth_is_limited(make_world: Callable[..., Any]) -> None:
    world = make_world(max_depth=3)
    agent = world.agent()
    deepest = world.chain(agent, depth=3)[-1]
    refused = world.refusal(
        IssueChild(by=agent, parent_token=deepest.access_token, task_id="c", scope="file_read:github")
    )
    assert (refused.error, refused.reason) == ("access_denied", "depth_exceeded")
    assert (refused.asked, refused.allowed) == (4, 3)


def test_fan_out_is_limited_in_one_batch_and_in_many(make_world: Callable[..., Any]) -> None:
    world = make_world(max_fanout=3)
    agent = world.agent()
    root = world.root(agent)
    born = IssueChild(by=agent, parent_token=root.access_token, task_id="c", scope="file_read:github")
    unborn = IssueChild(by=agent, parent_token=root.access_token, task_id="c", scope="db_query:jira")
    world.child(agent, root)
    answers = world.server.execute([unborn, born, born, born])
    assert [getattr(answer, "reason", None) for answer in answers] == [
        "scope_exceeds_parent",
        None,
        None,
        "fanout_exceeded",
    ]
    # A refreshed token is the same parent.
    again = world.refresh(agent, root)
    later = IssueChild(by=agent, parent_token=again.access_token, task_id="c", scope="file_read:github")
    assert world.refusal(later).reason == "fanout_exceeded"
    assert len(world.rows(IssuedToken, parent_grant_id=root.grant_id)) == 3


@pytest.mark.parametrize(
    ("moment", "reason"), [(-1, None), (0, "parent_expired"), (SECOND, "parent_expired")]
)
def test_an_expired_parent_has_no_children(world: Any, moment: int, reason: str | None) -> None:
    agent = world.agent()
    root = world.root(agent)
    world.clock.set(root.expires_at + moment)
    asked = IssueChild(by=agent, parent_token=root.access_token, task_id="c", scope="file_read:github")
    if reason is None:
        assert world.server.execute([asked])[0].expires_at == root.expires_at
    else:
        assert world.refusal(asked).reason == reason


def test_the_parents_task_is_checked(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, "Code Review")
    asked = IssueChild(
        by=agent,
        parent_token=root.access_token,
        task_id="c",
        parent_task_id="Payroll",
        scope="file_read:github",
    )
    assert world.refusal(asked).reason == "parent_task_mismatch"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "rt_1_x"])
def test_a_parent_token_must_be_one(world: Any, token: str) -> None:
    asked = IssueChild(by=world.agent(), parent_token=token, task_id="c", scope="file_read:github")
    refused = world.refusal(asked)
    assert (refused.error, refused.reason) == ("invalid_grant", "parent_invalid")


def test_a_refresh_token_is_no_parent(world: Any) -> None:
    agent = world.agent()
    asked = IssueChild(
        by=agent, parent_token=world.root(agent).refresh_token, task_id="c", scope="file_read:github"
    )
    assert world.refusal(asked).reason == "parent_invalid"


def test_delegation_stays_within_the_organisation(world: Any) -> None:
    root = world.root(world.agent())
    foreigner = world.agent(by=Admin("globex"))
    asked = IssueChild(by=foreigner, parent_token=root.access_token, task_id="c", scope="file_read:github")
    refused = world.refusal(asked)
    assert (refused.error, refused.reason) == ("access_denied", "not_delegated")


def test_who_holds_a_parents_token_still_needs_credentials(world: Any) -> None:
    root = world.root(world.agent())
    asked = IssueChild(
        by=Client("agent_1", "x"), parent_token=root.access_token, task_id="c", scope="file_read:github"
    )
    assert world.refusal(asked).reason == "invalid_client"


def test_a_task_must_have_a_name(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent)
    assert world.refusal(Issue(by=agent, task_id="", scope="file_read:github")).reason == "invalid_request"
    asked = IssueChild(by=agent, parent_token=root.access_token, task_id="", scope="file_read:github")
    assert world.refusal(asked).reason == "invalid_request"


def test_a_narrowed_refresh_narrows_what_can_be_used_and_delegated(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, scope="file_read:github file_write:jira", required_resources=["github", "jira"])
    narrow = world.refresh(agent, root, scope="file_read:github/docs")
    assert (narrow.scope, narrow.allowed_tools, narrow.allowed_resources) == (
        "file_read:github/docs",
        ["file_read"],
        ["github/docs"],
    )
    assert world.why_not(narrow, required_tools=["file_write"]) == "tool_not_granted"
    assert world.why_not(narrow, required_resources=["jira"]) == "resource_not_granted"
    asked = IssueChild(by=agent, parent_token=narrow.access_token, task_id="c", scope="file_write:jira")
    assert world.refusal(asked).reason == "scope_exceeds_parent"
    # The grant itself keeps what it was given: a later refresh may have it all again (RFC 6749 section 6).
    wide = world.refresh(agent, narrow)
    assert (wide.scope, wide.allowed_tools) == (root.scope, root.allowed_tools)


def test_a_narrowed_refresh_keeps_tools_that_no_scope_named(world: Any) -> None:
    agent = world.agent()
    root = world.root(
        agent, scope="file_read:github file_write:github", required_tools=["db_query", "file_write"]
    )
    narrow = world.refresh(agent, root, scope="file_read:github")
    assert narrow.allowed_tools == ["db_query"]


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ("file_read:jira", "scope_widened"),
        ("file_read:github file_write:github", "scope_widened"),
        ("file_read:github-evil", "scope_widened"),
        ("file_read:github/../jira", "malformed_scope"),
        ("", "malformed_scope"),
    ],
)
def test_a_refresh_never_widens(world: Any, scope: str, reason: str) -> None:
    agent = world.agent()
    root = world.root(agent)
    assert world.refusal(Refresh(by=agent, refresh_token=root.refresh_token, scope=scope)).reason == reason
    # A refused refresh has not used the token up.
    assert world.refresh(agent, root, scope="file_read:github/x").scope == "file_read:github/x"


def test_a_token_that_nobody_would_take_is_not_given(world: Any) -> None:
    """What the server gives it also accepts, however long task ids and scopes are."""
    agent = world.agent(allowed_tools=[f"tool_{n}" for n in range(100)], resource_access=["github"])
    tools = [f"tool_{n}" for n in range(100)]
    root = world.root(agent, "界" * 1024, scope=None, required_tools=tools, required_resources=["github"])
    assert world.why_not(root) is None
    asked = IssueChild(
        by=agent,
        parent_token=root.access_token,
        task_id="界" * 1024,
        required_tools=tools,
        required_resources=["github"],
    )
    refused = world.refusal(asked)
    assert (refused.reason, refused.allowed) == ("invalid_request", LONGEST_TOKEN)
    assert len(world.rows(IssuedToken)) == 1
    assert '"children"' not in world.rows(GrantStateRow, grant_id=root.grant_id)[0]["state"]


def test_many_tools_with_many_resources_do_not_exhaust_the_server(world: Any) -> None:
    agent = world.agent()
    names = [f"{n}" for n in range(1_000)]
    asked = Issue(by=agent, task_id="t", required_tools=names, required_resources=names)
    assert world.refusal(asked).reason == "malformed_scope"
    asked = Issue(
        by=agent, task_id="t", scope="file_read:github", required_tools=names, required_resources=names
    )
    assert world.refusal(asked).reason == "tools_exceed_registration"


def test_operations_of_one_batch_build_on_each_other(world: Any) -> None:
    """The tokens are the same whatever a batch holds, so a batch can even use what it has itself given."""
    twin = type(world)(seed=world.seed)
    registration = twin.register()
    agent = Client(registration.client_id, registration.client_secret)
    confirm = twin.server.execute([_confirm(registration)])
    root = twin.root(agent)
    child = twin.child(agent, root)
    again = twin.refresh(agent, child)
    story = [
        _register(world),
        _confirm(registration),
        Issue(by=agent, task_id="Code Review", scope="file_read:github"),
        IssueChild(by=agent, parent_token=root.access_token, task_id="Review File", scope="file_read:github"),
        Refresh(by=agent, refresh_token=child.refresh_token),
        Verify(token=again.access_token),
    ]
    answers = world.server.execute(story)
    assert answers[:2] == [registration, *confirm]
    assert answers[2:5] == [root, child, again]
    assert answers[5].is_valid
    twin.server.close()


def _register(world: Any) -> Any:
    from agentsim.server import Register

    return Register(
        by=world.admin,
        agent_name="an agent",
        allowed_tools=("file_read", "file_write", "db_query"),
        resource_access=("github", "jira"),
    )


def _confirm(registration: Any) -> Any:
    from agentsim.server import Confirm

    return Confirm(registration_token=registration.registration_token)
