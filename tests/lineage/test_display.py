"""How a notebook shows a forest."""

import numpy as np
from bs4 import BeautifulSoup

from agentsim.lineage import Forest


def tables(forest):
    """The facts and the grants by depth that are shown."""
    soup = BeautifulSoup(forest._repr_html_(), "html.parser")
    told = {row.th.text: row.td.text for row in soup.find_all("table")[0].find_all("tr")}
    return told, [[cell.text for cell in row.find_all("td")] for row in soup.select("thead ~ tbody tr")]


def test_a_forest_shows_its_trees_and_how_deep_they_are():
    forest = Forest.from_ids(np.array([1, 2, 3, 4, 5]), np.array([0, 1, 2, 1, 0]))
    told, depths = tables(forest)
    assert told["grants"] == "5"
    assert told["trees"] == "2"
    assert told["trees of one grant"] == "1"
    assert told["grants in a tree"] == "median 1, 95 % have at most 4, the largest 4"
    assert told["most children of one grant"] == "2"
    assert depths == [["root", "2"], ["1", "2"], ["2", "1"]]
    assert "grants in a loop" not in told
    assert repr(forest) == "Forest(5 grants in 2 trees)"


def test_what_is_wrong_with_a_forest_is_shown():
    told, _ = tables(Forest.from_ids(np.array([1, 2, 3]), np.array([2, 1, 9])))
    assert told["grants in a loop"] == "2"
    assert told["parents that the Run does not hold"] == "1"


def test_deep_chains_are_cut_short():
    _, depths = tables(Forest.from_ids(np.arange(1, 21), np.arange(20)))
    assert depths[-1] == ["8 to 19", "12"]
    assert sum(int(grants) for _, grants in depths) == 20


def test_an_empty_forest_is_shown_too():
    nothing = np.zeros(0, np.int64)
    told, depths = tables(Forest.from_ids(nothing, nothing))
    assert (told["grants"], depths) == ("0", [])
