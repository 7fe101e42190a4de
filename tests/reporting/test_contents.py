"""Headings that can be linked to, and their list."""

import pytest
from bs4 import BeautifulSoup

from agentsim.reporting.contents import PLACE, with_contents


def page(*headings):
    return f"<h1>t</h1>{PLACE}" + "".join(f"<h2>{heading}</h2><p>x</p>" for heading in headings)


def test_a_long_page_lists_its_parts_under_the_summary():
    soup = BeautifulSoup(
        with_contents(
            page("What <em>it</em> cost", "What it cost", "What it cost-1", "…", "R&amp;D &lt;b&gt;")
        ),
        "html.parser",
    )
    listed = [(link["href"][1:], link.text) for link in soup.nav.find_all("a")]
    assert [text for _, text in listed] == ["What it cost", "What it cost", "What it cost-1", "…", "R&D <b>"]
    assert len({anchor for anchor, _ in listed}) == 5
    assert listed[0][0] == "what-it-cost"
    for anchor, text in listed:
        assert soup.find("h2", id=anchor).text == text
    assert soup.h2.em.text == "it"


@pytest.mark.parametrize("count", [0, 3])
def test_a_short_page_has_anchors_and_no_list(count):
    made = with_contents(page(*map(str, range(count))))
    assert "<nav" not in made
    assert PLACE not in made
    assert made.count("<h2 id=") == count
