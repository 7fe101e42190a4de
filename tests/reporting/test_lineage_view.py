"""The rows of a tree in a real browser: all there without a script, folded and searched with it."""

from typing import Any

import networkx as nx
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from agentsim.reporting import interactive
from agentsim.reporting.lineage.view import tree_view
from agentsim.reporting.page import faults, to_page

SECOND = 1_000_000
START = 1_780_000_000 * SECOND
HOSTILE = "</script><script>document.title='broken'</script>\"'&<b>\u202e" + "x" * 90


def a_tree(parents: dict[int, int], names: dict[int, str] | None = None) -> Any:
    """Grants by number with their parents; grant 1 is the root. Each begins a second after the one before."""
    graph: Any = nx.DiGraph(root=1, tenant=0, run="shown")
    for node in (1, *parents):
        above = parents.get(node)
        graph.add_node(
            node,
            kind="grant",
            agent_name=(names or {}).get(node, f"agent-{node}"),
            role="coder" if node % 2 else "analyst",
            depth=0 if above is None else graph.nodes[above]["depth"] + 1,
            task_id=f"task-{node}",
            scope="read:a read:b" if above is None else "read:a",
            issued_at=START + node * SECOND,
            expires_at=START + 900 * SECOND,
            revoked=False,
            revoked_at=None,
            reason=None,
            refusals=[],
        )
        if above is not None:
            graph.add_edge(above, node)
    return graph


@pytest.fixture
def show(open_page, tmp_path, monkeypatch):
    """Opens the page of a tree; all that goes wrong in the browser is kept."""

    def open_tree(graph, attacked=None, *, width=1280, scripts=True):
        outputs = []
        monkeypatch.setattr(
            interactive,
            "display",
            lambda data, metadata, raw: outputs.append(new_output("display_data", data, metadata=metadata)),
        )
        tree_view(graph, attacked or {})._ipython_display_()
        cell = new_code_cell("show", outputs=outputs)
        made = to_page(new_notebook(cells=[new_markdown_cell("# One tree"), cell]), "One tree")
        assert faults(made) == []
        file = tmp_path / "tree.html"
        file.write_text(made, encoding="utf-8")
        page = open_page(width, scripts=scripts)
        page.wrong = []
        page.on("console", lambda message: page.wrong.append(message.text))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith("file:") else page.wrong.append(request.url),
        )
        page.goto(file.as_uri())
        return page

    return open_tree


def names(page):
    """Whose rows are to be seen."""
    return page.locator("tbody tr:visible th bdi").all_text_contents()


def fold(page, name):
    return page.locator("tbody tr", has=page.locator(f"th bdi:text-is('{name}')")).locator("button")


SMALL = {2: 1, 3: 2, 4: 2, 5: 1, 6: 5, 7: 6}


def test_without_a_script_all_rows_are_there_and_no_control(show):
    page = show(a_tree(SMALL), scripts=False)
    assert names(page) == ["agent-1", "agent-2", "agent-3", "agent-4", "agent-5", "agent-6", "agent-7"]
    assert page.locator("input:visible, button:visible").count() == 0


def test_a_fold_hides_all_below_and_says_so(show):
    page = show(a_tree(SMALL))
    button = fold(page, "agent-5")
    assert button.get_attribute("aria-expanded") == "true"
    assert button.get_attribute("aria-label") == "2 below agent-5"
    button.click()
    assert names(page) == ["agent-1", "agent-2", "agent-3", "agent-4", "agent-5"]
    assert button.get_attribute("aria-expanded") == "false"
    assert page.get_by_role("status").text_content() == "5 of 7 rows shown"
    # What was folded within stays folded when what is above is unfolded.
    fold(page, "agent-1").click()
    assert names(page) == ["agent-1"]
    fold(page, "agent-1").click()
    assert names(page) == ["agent-1", "agent-2", "agent-3", "agent-4", "agent-5"]
    button.click()
    assert len(names(page)) == 7
    assert page.get_by_role("status").text_content() == ""
    assert page.wrong == []


def test_all_can_be_folded_and_unfolded_at_once(show):
    page = show(a_tree(SMALL))
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert names(page) == ["agent-1", "agent-2", "agent-5"]
    page.get_by_role("button", name="Unfold all").click()
    assert len(names(page)) == 7


def test_a_search_shows_what_was_found_with_all_above_it(show):
    page = show(a_tree(SMALL, {7: "Payer", 4: "payer"}))
    fold(page, "agent-5").click()
    page.get_by_label("Agent, role or task").fill("PAYER")
    assert names(page) == ["agent-1", "agent-2", "payer", "agent-5", "agent-6", "Payer"]
    assert page.locator("tr.found:visible th bdi").all_text_contents() == ["payer", "Payer"]
    assert page.get_by_role("status").text_content() == "2 rows of 2 agents found, with all above them"
    assert fold(page, "agent-5").get_attribute("aria-expanded") == "true"
    # What is beside the found can be had: folded and unfolded again, all below shows.
    fold(page, "agent-2").click()
    assert "payer" not in names(page)
    fold(page, "agent-2").click()
    assert names(page)[1:4] == ["agent-2", "agent-3", "payer"]
    # Without the search, folds are as they were.
    page.get_by_label("Agent, role or task").fill("")
    assert names(page) == ["agent-1", "agent-2", "agent-3", "payer", "agent-5"]
    page.get_by_label("Agent, role or task").fill("nobody")
    assert names(page) == []
    assert page.get_by_role("status").text_content() == "Nothing found"


def test_roles_and_tasks_are_found_too(show):
    page = show(a_tree(SMALL))
    page.get_by_label("Agent, role or task").fill("task-7")
    assert names(page) == ["agent-1", "agent-5", "agent-6", "agent-7"]
    assert page.get_by_role("status").text_content() == "1 row of 1 agent found, with all above them"
    page.get_by_label("Agent, role or task").fill("analyst")
    assert page.locator("tr.found").count() == 3


def test_the_keyboard_reaches_every_control(show):
    page = show(a_tree(SMALL))
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.textContent.trim() || e.type)(document.activeElement)"
            )
        )
    assert {"search", "Fold all", "Unfold all", "Grants, each below its parent"} <= set(reached)
    assert {f"{count} below agent-{node}" for node, count in ((1, 6), (2, 2), (5, 2), (6, 1))} <= set(reached)
    fold(page, "agent-2").focus()
    page.keyboard.press("Enter")
    assert "agent-3" not in names(page)
    page.keyboard.press("Space")
    assert "agent-3" in names(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_five_hundred_grants_scroll_within_their_frame(show, violations, width):
    graph = a_tree({node: max(1, node // 3) for node in range(2, 501)}, {9: HOSTILE})
    page = show(graph, {400: "token_theft"}, width=width)
    assert len(names(page)) == 500
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    rows = page.locator(".rows")
    assert rows.evaluate("e => e.scrollHeight > e.clientHeight") is True
    assert rows.evaluate("e => e.getBoundingClientRect().height") <= 900
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert len(names(page)) == 1 + sum(1 for _ in graph.successors(1))
    page.get_by_label("Agent, role or task").fill("agent-400")
    path = [1, 4, 14, 44, 133, 400]
    assert names(page) == [f"agent-{node}" for node in path]
    assert [row for row in violations(page) if row["impact"] in ("serious", "critical")] == []
    assert page.wrong == []


def test_the_path_of_an_attack_is_marked_and_told_in_words(show):
    page = show(a_tree(SMALL), {6: "token_theft"}, scripts=False)
    assert page.locator("tr.path th bdi").all_text_contents() == ["agent-1", "agent-5", "agent-6"]
    assert page.locator("tr.attacked td").nth(1).text_content() == "attacked, by the labels: token theft"


def test_one_grant_alone_is_shown_without_anything_to_fold(show):
    page = show(a_tree({}))
    assert names(page) == ["agent-1"]
    assert page.locator("tbody button").count() == 0


def test_hostile_names_stay_text(show):
    page = show(a_tree(SMALL, {2: HOSTILE}))
    assert names(page)[1] == HOSTILE
    assert page.title() == "One tree"
    assert page.locator("b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.wrong == []
