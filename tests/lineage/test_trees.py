"""One tree as a graph: every grant, every refused attempt, and what is known of each."""

import networkx as nx
import pytest

from agentsim.lineage import (
    delegations_by_agent,
    delegations_by_role,
    find_root,
    pick_tree,
    tree_graph,
    tree_metrics,
)
from agentsim.run import Manifest, RunError, RunWriter


def root_of(run, task_id, tenant=0):
    tokens = run.frame("tokens")
    return int(tokens[(tokens["task_id"] == task_id) & (tokens["tenant"] == tenant)]["root_grant_id"].iloc[0])


def by_task(graph):
    return {attributes["task_id"]: attributes for _, attributes in graph.nodes(data=True)}


def test_the_graph_is_the_tree_and_the_attempts_to_grow_it(told_run):
    graph = tree_graph(told_run, root_of(told_run, "release"))
    assert nx.is_arborescence(graph)
    kinds = [kind for _, kind in graph.nodes(data="kind")]
    assert sorted(kinds) == ["attempt", "attempt", "grant", "grant", "grant", "grant"]
    names = nx.get_node_attributes(graph, "task_id")
    edges = sorted((names[above], names[below]) for above, below in graph.edges)
    assert edges == [
        ("read", "grab"), ("release", "review"), ("review", "grab"), ("review", "read"), ("review", "read-more"),
    ]  # fmt: skip
    assert graph.graph == {"root": root_of(told_run, "release"), "tenant": 0, "run": "story"}


def test_what_is_known_of_a_grant(told_run):
    graph = tree_graph(told_run, root_of(told_run, "release"))
    review = by_task(graph)["review"]
    tokens = told_run.frame("tokens")
    issues = tokens[(tokens["task_id"] == "review") & (tokens["tenant"] == 0)].sort_values("token_id")
    assert review["agent_name"] == review["role"] == "coder"
    assert review["client_id"] == issues["client_id"].iloc[0]
    assert review["scope"] == "file_read:docs file_read:github web:docs"
    assert (review["tools"], review["resources"], review["level"]) == (
        "file_read web",
        "docs github",
        "standard",
    )
    assert (review["depth"], review["parent_task_id"], review["refreshes"]) == (1, "release", 2)
    assert review["issued_at"] == issues["issued_at"].iloc[0]
    assert review["expires_at"] == issues["expires_at"].iloc[-1]
    assert review["revoked"] is True
    assert review["reason"] == "incident"
    assert review["revoked_at"] == issues["revoked_at"].iloc[0]
    assert review["refused"] == 1
    assert by_task(graph)["read"]["refused"] == 2
    ((time, reason),) = by_task(graph)["read"]["refusals"]
    assert (time > review["issued_at"], reason) == (True, "tool_not_granted")


def test_a_quiet_tree_has_nothing_to_tell(told_run):
    (quiet,) = by_task(tree_graph(told_run, root_of(told_run, "quiet"))).values()
    assert (quiet["revoked"], quiet["revoked_at"], quiet["reason"], quiet["refused"]) == (
        False,
        None,
        None,
        0,
    )
    assert quiet["parent_task_id"] is None


def test_what_is_known_of_an_attempt(told_run):
    graph = tree_graph(told_run, root_of(told_run, "release"))
    attempts = [one for _, one in graph.nodes(data=True) if one["kind"] == "attempt"]
    assert {one["reason"] for one in attempts} == {"scope_exceeds_parent"}
    assert {one["agent_name"] for one in attempts} == {"helper"}
    assert sorted(one["depth"] for one in attempts) == [2, 3]


def test_an_unknown_root_is_named(told_run):
    with pytest.raises(RunError, match="no root grant 42"):
        tree_graph(told_run, 42)


def test_a_child_is_no_root(told_run):
    tokens = told_run.frame("tokens")
    child = int(tokens[tokens["task_id"] == "review"]["grant_id"].iloc[0])
    with pytest.raises(RunError, match="no root grant"):
        tree_graph(told_run, child)


def test_the_tree_to_draw_is_the_largest_that_fits_and_has_something_to_show(told_run):
    metrics = tree_metrics(told_run)
    assert pick_tree(told_run) == root_of(told_run, "release")
    assert pick_tree(told_run, most=3, metrics=metrics) == root_of(told_run, "report")
    quiet = metrics.assign(refused=0, stopped_grants=0)
    assert pick_tree(told_run, metrics=quiet) == root_of(told_run, "release")
    large = metrics.assign(size=metrics["size"] + 1000)
    chosen = large.set_index("root_grant_id").loc[pick_tree(told_run, metrics=large)]
    assert chosen["size"] == 1001


def test_a_run_without_grants_has_no_tree_to_draw(tmp_path):
    manifest = Manifest(kind="simulation", name="empty", source={}, policy={}, reproduce="", created_at="")
    with RunWriter(tmp_path / "run", manifest) as writer:
        run = writer.finish(start=0, wall_seconds=0.0)
    with pytest.raises(RunError, match="no grants"):
        pick_tree(run)


def test_a_tree_is_found_by_a_task_or_a_grant_in_it(story, write):
    lead, helper = story.agent("lead"), story.agent("helper")
    root = story.root(lead, "plan")
    child = story.child(helper, root, "part")
    other = story.root(lead, "other")
    story.child(helper, other, "part")
    run = write(story)
    assert find_root(run, "plan") == find_root(run, str(child.grant_id)) == root.grant_id
    with pytest.raises(RunError, match="task 'part' is in 2 trees; name one of its grants"):
        find_root(run, "part")
    with pytest.raises(RunError, match='no task or grant "\' OR 1=1 --"'):
        find_root(run, "' OR 1=1 --")


def test_who_delegated_to_whom_is_counted_along_edges(told_run):
    roles = delegations_by_role(told_run).set_index(["giver", "taker"])["grants"]
    agents = delegations_by_agent(told_run)
    tokens = told_run.frame("tokens")
    first = tokens[tokens["token_id"] == tokens["grant_id"]]
    assert roles.sum() == agents["grants"].sum() == first["parent_grant_id"].notna().sum()
    # In each of two tenants: coder passed on read and read-more to helper.
    assert roles["coder", "helper"] == 4
    pair = agents[(agents["giver_name"] == "coder") & (agents["taker_name"] == "helper")]
    assert pair["grants"].tolist() == [2, 2]
    assert pair["giver"].nunique() == 2
