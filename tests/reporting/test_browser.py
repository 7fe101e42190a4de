"""Every kind of page, and the index, in a real browser: quiet, alone, and of use to everybody."""

import os
from pathlib import Path

import pytest

from agentsim.reporting.catalogue import NOTEBOOKS

KINDS = [name for name, notebook in NOTEBOOKS.items() if (notebook.kind, notebook.about) == ("page", "run")]
#: Where pictures of all pages go, for those who want to look at them.
PICTURES = os.environ.get("AGENTSIM_PICTURES")

CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']"


ALL = [
    *(
        (name, which)
        for name in KINDS
        for which in ("simulated", "recorded")
        if NOTEBOOKS[name].runs == "one"
    ),
    *((name, "both") for name in KINDS if NOTEBOOKS[name].runs == "several"),
    ("reliability", "soak"),
    ("index", ""),
]


@pytest.fixture(params=ALL, ids="-".join)
def file(request, index) -> Path:
    # The index wants a browser, and what is many seconds' work only where there is one.
    return index if request.param[0] == "index" else request.getfixturevalue("reports")[request.param]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_is_quiet_asks_for_nothing_fits_and_can_be_used_by_everybody(file, view, violations, width):
    page = view(file, width)
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{PICTURES}/{file.parent.name}-{file.stem[:60]}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # What is folded has to fit, too.
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (page.said, page.asked) == ([], [])
    assert violations(page) == []


def test_pictures_say_what_they_show(file, view):
    texts = view(file).evaluate("Array.from(document.images, (image) => image.alt)")
    assert all(len(text) > 40 for text in texts)
    assert texts or file.name == "index.html"


def test_the_keyboard_reaches_every_control(file, view):
    page = view(file)
    count = page.evaluate(
        """(controls) => {
            const seen = Array.from(document.querySelectorAll(controls)).filter((each) => each.checkVisibility());
            seen.forEach((each, place) => { each.dataset.place = place; });
            return seen.length;
        }""",
        CONTROLS,
    )
    reached = []
    for _ in range(count):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.place"))
    # The first of all leads past what is on every page.
    assert reached == [str(place) for place in range(count)]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_enter_unfolds_what_is_folded(file, view):
    page = view(file)
    folded = page.locator("details").first
    folded.locator("summary").focus()
    page.keyboard.press("Enter")
    assert folded.get_attribute("open") is not None


def test_names_that_mean_harm_are_text(file, view):
    page = view(file)
    assert page.evaluate("window.hostile") is None
    assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    if "window.hostile" in file.read_text():
        assert "<script>window.hostile=1<" in page.evaluate("document.body.textContent")


def test_whatever_slips_into_a_page_does_not_run(file, view, tmp_path):
    slipped = "<script>window.hostile=1</script><img src='x' onerror='window.hostile=1' alt='x'><script src='y.js'></script>"
    harmed = tmp_path / "harmed.html"
    harmed.write_text(file.read_text().replace("</h1>", f"</h1>{slipped}", 1))
    (tmp_path / "y.js").write_text("window.hostile = 1")
    page = view(harmed)
    assert page.evaluate("window.hostile") is None
    assert len([text for text in page.said if "Content Security Policy" in text]) >= 3


def test_links_within_a_page_lead_somewhere(file, view):
    page = view(file)
    broken = page.evaluate(
        """Array.from(document.querySelectorAll('a[href^="#"]'), (link) => decodeURIComponent(link.hash.slice(1)))
           .filter((name) => !document.getElementById(name))"""
    )
    assert broken == []
    ids = page.evaluate("Array.from(document.querySelectorAll('[id]'), (each) => each.id)")
    assert len(ids) == len(set(ids))
