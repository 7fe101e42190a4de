"""How pictures and tables are shown."""

import base64

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from agentsim.reporting import figures
from agentsim.reporting.charts import bars, clock
from agentsim.reporting.figures import (
    Note,
    Picture,
    canvas,
    show,
    table_html,
)

HOSTILE = "<script>alert(1)</script> $\\frac{ & 'quoted'"


@pytest.fixture
def shown(monkeypatch):
    """Everything that is displayed, as (data, metadata)."""
    seen = []

    def keep(item, metadata=None, raw=False):
        seen.append((item if raw else {"text/html": item.data}, metadata or {}))

    monkeypatch.setattr(figures, "display", keep)
    return seen


def plot(label="a bar"):
    with canvas(2) as (figure, axes):
        bars(axes, [label, "other"], [3, 1], ["3", "1"])
        axes.set_xlabel("count")
    return figure


def test_a_picture_has_a_title_a_text_and_its_numbers(shown):
    show(plot(), "One is larger", alt="Two bars, 3 and 1.", table=pd.DataFrame({"what": ["a"], "n": [3]}))
    title, picture, table = shown
    assert title[0]["text/html"] == "<h3>One is larger</h3>"
    assert base64.b64decode(picture[0]["image/png"]).startswith(b"\x89PNG")
    assert picture[1]["image/png"]["alt"] == "Two bars, 3 and 1."
    soup = BeautifulSoup(table[0]["text/html"], "html.parser")
    assert soup.details.summary.text
    assert [cell.text for cell in soup.find_all("td")] == ["a", "3"]


@pytest.mark.parametrize(("finding", "alt"), [("", "bars"), ("bars", " ")])
def test_a_picture_without_words_is_refused(shown, finding, alt):
    with pytest.raises(ValueError, match="needs a finding and a text"):
        show(plot(), finding, alt=alt, table=pd.DataFrame())
    assert shown == []


def test_the_last_line_of_a_cell_shows_a_picture_or_a_note(shown):
    Picture(plot(), "One is larger", "Two bars.", pd.DataFrame({"n": [1]}))._ipython_display_()
    Note("Nothing < something.")._ipython_display_()
    assert len(shown) == 4
    assert shown[-1][0]["text/html"] == "<p>Nothing &lt; something.</p>"


def test_names_are_text_wherever_they_stand(shown):
    show(plot(HOSTILE), HOSTILE, alt=HOSTILE, table=pd.DataFrame({HOSTILE: [HOSTILE]}))
    html = "".join(data.get("text/html", "") for data, _ in shown)
    assert "<script" not in html
    soup = BeautifulSoup(html, "html.parser")
    assert soup.h3.text == HOSTILE
    assert soup.td.text == HOSTILE
    assert soup.th.text == HOSTILE


def test_numbers_in_tables_are_short_and_missing_ones_a_dash():
    table = pd.DataFrame(
        {
            "count": pd.array([1234567, None], dtype="Int64"),
            "share": [0.123456, np.nan],
            "name": ["a", None],
        }
    )
    cells = [cell.text for cell in BeautifulSoup(table_html(table, "t"), "html.parser").find_all("td")]
    assert cells == ["1,234,567", "0.123", "a", "–", "–", "–"]


def test_a_wide_table_scrolls_by_itself_and_by_keyboard():
    soup = BeautifulSoup(table_html(pd.DataFrame([range(8)]).add_prefix("c"), "wide one"), "html.parser")
    assert soup.div["tabindex"] == "0"
    assert "wide one" in soup.div["aria-label"]


@pytest.mark.parametrize(
    ("seconds", "name"), [(50, "seconds"), (600, "minutes"), (7_300, "hours"), (200_000, "days")]
)
def test_axes_of_time_take_the_unit_that_fits(seconds, name):
    assert clock(np.array([0, seconds * 1e6]))[1] == name
