"""The numbers of the lineage report, held against the Run's own tables."""

import shutil
from importlib import import_module

import networkx as nx
import numpy as np
import pytest

from agentsim.reporting import ReportError, lineage
from agentsim.reporting.charts import by_size
from agentsim.reporting.figures import Note, Picture
from agentsim.reporting.interactive import Interactive
from agentsim.run import Run, RunError
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

HOSTILE = "$\\frac{<script>alert(1)</script>"


@pytest.fixture(scope="module")
def facts(run):
    return lineage.Lineage(run)


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    return Run(tmp_path / "copy")


def shown(facts, most_rows=5):
    """All that the report shows of the forest."""
    forest = facts.forest
    return [
        lineage.tree_sizes(forest),
        lineage.depths(forest),
        lineage.fan_outs(forest),
        lineage.frequent_shapes(forest, most_rows),
        *lineage.narrowing(facts),
        *lineage.afterwards(facts),
        *lineage.delegations(facts, most_rows),
    ]


def first_issues(run):
    tokens = run.frame("tokens")
    return tokens[tokens["token_id"] == tokens["grant_id"]].set_index("grant_id")


def test_sizes_depths_and_children_are_those_of_the_graph(facts, run):
    first = first_issues(run)
    children = first["parent_grant_id"].dropna()
    graph = nx.DiGraph(zip(children, children.index, strict=True))
    graph.add_nodes_from(first.index)
    sizes = [len(part) for part in nx.weakly_connected_components(graph)]
    table = lineage.tree_sizes(facts.forest).table
    assert table["trees"].tolist() == by_size(np.array(sizes))[1]
    assert f"the largest has {max(sizes)}" in lineage.tree_sizes(facts.forest).finding
    assert lineage.depths(facts.forest).table["grants"].sum() == len(first)
    assert facts.deepest == nx.dag_longest_path_length(graph)
    parents = [count for _, count in graph.out_degree() if count]
    assert lineage.fan_outs(facts.forest).table["grants"].sum() == len(parents)
    assert f"{max(parents)} at most" in lineage.fan_outs(facts.forest).finding


def test_rows_of_shapes_are_as_many_as_wanted(facts):
    picture = lineage.frequent_shapes(facts.forest, 3)
    assert len(picture.table) == 3
    assert picture.table["trees of this shape"].is_monotonic_decreasing
    assert "the commonest 3 cover" in picture.finding


def test_a_child_is_narrower_if_it_lacks_a_member_of_its_parents_scope(facts, run):
    first, tokens = first_issues(run), run.frame("tokens").set_index("token_id")
    children = first[first["parent_grant_id"].notna()]
    held = tokens["scope"].loc[children["parent_token_id"]].to_numpy()
    narrower = [
        not set(above.split()) <= set(own.split()) for above, own in zip(held, children["scope"], strict=True)
    ]
    assert facts.narrower == pytest.approx(np.mean(narrower))
    assert 0 < facts.narrower < 1
    kept = lineage.narrowing(facts)[0].table
    assert kept["delegated grants"].sum() == len(children)
    same = (kept["same as parent (%)"] * kept["delegated grants"]).sum() / 100
    assert same == pytest.approx(len(children) - sum(narrower))


def test_nothing_beyond_its_scope_is_ever_used(facts):
    assert (facts.grants["used"] <= facts.grants["held"]).all()
    assert facts.grants["used"].sum() > 0


def test_revocations_are_told_with_the_trees_that_they_hit(facts, run):
    marks = run.frame("revocations")
    stopped = marks[marks["reason"] != "completed"]
    assert len(facts.revocations) == len(stopped) > 0
    assert facts.revocations["grants"].sum() <= stopped["affected_grants"].sum()
    reached, tried, exposed = lineage.afterwards(facts)
    assert reached.table["revocations"].sum() == tried.table["revocations"].sum() == len(stopped)
    assert isinstance(exposed, Note)


def test_role_and_agent_matrices_count_every_delegation(facts, run):
    first = first_issues(run)
    children = first[first["parent_grant_id"].notna()]
    by_role, by_agent = lineage.delegations(facts, 5)
    roles = by_role.table.set_index(["delegated by", "to"])["grants"]
    given = first["role"].astype(str).loc[children["parent_grant_id"]].to_numpy()
    counted = children.groupby([given, children["role"].astype(str)]).size()
    assert roles.to_dict() == counted.to_dict()
    assert by_agent.table["delegated by"].nunique() == 5
    most = children.groupby(first["client_id"].loc[children["parent_grant_id"]].to_numpy()).size().max()
    assert f"delegated most, {most} grants" in by_agent.finding


def test_agents_that_met_again_are_named_and_the_rest_is_put_together(facts, monkeypatch):
    # The package's function of the same name stands before the module.
    delegations = import_module("agentsim.reporting.lineage.delegations")
    edges = delegations.delegations_by_agent(facts.run).head(40)
    edges.loc[:, "giver"], edges.loc[:, "giver_name"] = 1, "boss"
    edges.loc[edges.index[0], "grants"] = 9
    monkeypatch.setattr(delegations, "delegations_by_agent", lambda run: edges)
    picture = delegations.by_agent(facts, 5)
    assert f"the closest pair is boss and {edges['taker_name'].iloc[0]}" in picture.finding
    heads = [text.get_text() for text in picture.figure.axes[0].get_xticklabels()]
    assert len(heads) == 12
    assert heads[-1] == "all others"
    assert picture.table["grants"].sum() == edges["grants"].sum()


def test_the_tree_that_is_shown_unasked_has_an_attack_in_it(facts, run):
    root = lineage.find_tree(facts, "")
    labels = run.frame("labels")
    assert root in set(labels["root_grant_id"])
    picture, view = lineage.one_tree(facts, "")
    assert "labels call" in picture.finding
    assert isinstance(view, Interactive)
    assert "attacked, by the labels" in view.html
    assert (
        picture.table["grants"].sum() == facts.forest.size[facts.forest.index_of(root)] == view.data["grants"]
    )


def test_a_tree_is_shown_for_the_grant_that_is_asked_for(facts):
    leaf = int(facts.forest.grant_id[facts.forest.depth.argmax()])
    root = int(facts.forest.grant_id[facts.forest.root[facts.forest.depth.argmax()]])
    assert lineage.find_tree(facts, str(leaf)) == root
    with pytest.raises(RunError, match="no task or grant 'nothing'"):
        lineage.find_tree(facts, "nothing")


def test_a_tree_that_is_too_large_is_refused_in_one_line(facts, monkeypatch):
    monkeypatch.setattr("agentsim.reporting.lineage.one.MOST_SHOWN", 1)
    deepest = int(facts.forest.grant_id[facts.forest.depth.argmax()])
    with pytest.raises(ReportError, match="at most 1 can be shown"):
        lineage.find_tree(facts, str(deepest))


def test_every_picture_has_words_and_numbers(facts):
    for item in shown(facts):
        if isinstance(item, Picture):
            assert len(item.alt) > 40
            assert item.alt.endswith(".")
            assert not item.finding.endswith(".")
            assert len(item.table) > 0


def test_the_verdict_says_what_the_numbers_say(facts):
    first, second, third = lineage.numbers(facts)
    assert lineage.verdict(facts).startswith(
        f"{first.value} of the delegated grants hold less than their parent"
    )
    assert second.value == str(facts.deepest)
    assert third.value == "at once"
    assert lineage.tone(facts) == "good"


def test_a_use_that_was_let_through_after_a_revocation_turns_the_verdict(copy, rewrite):
    refused = copy.sql(
        "select min(log_id) as id from audit where event_type = 'token_verified' and reason = 'revoked'"
    )
    late = int(refused["id"].iloc[0])

    def let_it_pass(audit):
        audit.loc[audit["log_id"] == late, ["status", "reason"]] = ["granted", None]
        return audit

    facts = lineage.Lineage(rewrite(copy, "audit", let_it_pass))
    assert lineage.tone(facts) == "bad"
    assert "1 use was honoured after the grant's end, which must not happen" in lineage.verdict(facts)


def test_what_resource_servers_honoured_too_late_is_measured(tmp_path, run):
    scenario = parse_scenario(
        {**run.manifest.source, "name": "offline", "resource_servers": {"verification": "offline"}}
    )
    facts = lineage.Lineage(simulate(scenario, tmp_path / "offline"))
    exposures = facts.run.frame("exposures")
    assert facts.revocations["exposed"].sum() <= exposures["honoured"].sum()
    assert 0 < facts.longest_exposure <= exposures["last_us"].max()
    assert lineage.tone(facts) == "watch"
    assert "honoured by resource servers for up to" in lineage.verdict(facts)
    assert isinstance(lineage.afterwards(facts)[2], Picture)


def test_hostile_names_are_drawn_as_text(copy, rewrite):
    facts = lineage.Lineage(rewrite(copy, "agents", lambda agents: agents.assign(agent_name=HOSTILE)))
    for item in (*shown(facts), *lineage.one_tree(facts, "")):
        if isinstance(item, Picture):
            item.figure.draw_without_rendering()
        if isinstance(item, Interactive):
            assert "<script" not in item.html
            assert "&lt;script&gt;alert(1)" in item.html


def test_a_run_in_which_nothing_happened_has_notes_instead_of_pictures(copy, rewrite):
    for table in ("tokens", "audit", "revocations", "windows", "labels"):
        rewrite(copy, table, lambda rows: rows.head(0))
    facts = lineage.Lineage(Run(copy.path))
    assert {type(item) for item in (*shown(facts), *lineage.one_tree(facts, ""))} == {Note}
    assert lineage.verdict(facts) == "No grant was issued in this run."
    assert [number.value for number in lineage.numbers(facts)] == ["–", "0", "–"]


def test_method_and_limits_say_seed_and_that_attacks_are_invented(facts):
    assert "seed 11" in " ".join(lineage.method(facts))
    assert "our own invention" in " ".join(lineage.limits(facts))
