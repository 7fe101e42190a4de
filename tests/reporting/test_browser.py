"""Every kind of page, and the index, in a real browser: quiet, alone, and of use to everybody."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agentsim.reporting import make_report, rebuild_index
from agentsim.reporting.catalogue import NOTEBOOKS
from agentsim.simulation import replay

KINDS = [name for name, notebook in NOTEBOOKS.items() if notebook.kind == "page"]
#: So that a page takes seconds; kinds that only read a small Run need nothing.
SMALL = {
    "scale": {"tree_grants": "20", "exposure_agents": "60"},
    "anomaly": {
        "alert_budget": "3000",
        "companion_agents": "200",
        "contain_agents": "200",
        "contain_points": "2",
    },
}
#: What names may be: markup that would do something, an end of whatever they stand in, no place to break, other ways to read.
HOSTILE = (
    "<script>window.hostile=1</script>",
    "</script></style></title><img src=x onerror=window.hostile=1>",
    "\"'><a href=javascript:window.hostile=1>{{7*7}}$\\frac",
    "W" * 160,
    "\u202eمرحبا بالعالم שלום",
)
#: Where pictures of all pages go, for those who want to look at them.
PICTURES = os.environ.get("AGENTSIM_PICTURES")

CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']"


@pytest.fixture(scope="session")
def hostile(chromium_path, tmp_path_factory):
    """A Run whose agents, tasks, tools and folder have names that mean harm."""
    random = np.random.default_rng(5)
    # The importer refuses what turns text around.
    names = [name.lstrip("\u202e") for name in HOSTILE]
    rows = []
    for number in range(120):
        fooled = number % 3 > 0 and random.random() < 0.3
        for step, tool in enumerate(
            ["read", f"{names[number % 5][:40]}{number % 2}", *(["pay"] if fooled else [])]
        ):
            delegated = number % 4 == 0 and step == 1
            rows.append(
                {
                    "dataset": names[0],
                    "run_id": f"{names[number % 5]}-{number}",
                    "agent": names[number % 5],
                    "suite": names[number % 2],
                    "task_id": f"{names[2]} helper" if delegated else names[number % 5],
                    "parent_task_id": names[number % 5] if delegated else None,
                    "step": step,
                    "t": np.nan,
                    "tool": tool,
                    "args_digest": "0" * 12,
                    "n_args": 1,
                    "arg_chars": 5,
                    "result_chars": 9,
                    "error": False,
                    "label": int(fooled),
                    "label_detail": names[1],
                    "utility": True,
                    "attack_attempted": number % 3 > 0,
                }
            )
    folder = tmp_path_factory.mktemp("traces")
    pd.DataFrame(rows).to_parquet(folder / "made.parquet")
    return replay(folder / "made.parquet", folder / HOSTILE[0].replace("/", "\\"))


@pytest.fixture(scope="session")
def reports(chromium_path, run, hostile, tmp_path_factory):
    """A folder with a report of each kind on both Runs, and one on both where a kind wants several."""
    out = tmp_path_factory.mktemp("reports")
    made = {}
    for name in KINDS:
        if NOTEBOOKS[name].runs == "several":
            made[name, "both"] = make_report(name, [run.path, hostile.path], SMALL.get(name, {}), out)
            continue
        for which, about in (("simulated", run), ("hostile", hostile)):
            made[name, which] = make_report(name, about.path, SMALL.get(name, {}), out)
    return {key: paths.html for key, paths in made.items()}


@pytest.fixture(scope="session")
def index(chromium_path, tmp_path_factory):
    """An index of a dozen reports of all kinds, some of them broken."""
    out = tmp_path_factory.mktemp("index")
    verdict = "Half of the attacks are seen within five minutes, the rest hardly ever; acting on it ends 1.3% of honest work"
    numbers = [
        {
            "value": f"{number},000/s",
            "label": "operations honoured by the token server after their end",
            "note": "few",
        }
        for number in (1, 22, 333)
    ]
    for number in range(12):
        name = HOSTILE[number] if number < len(HOSTILE) else f"run-{number}"
        left = {
            "made_at": f"2026-03-{number + 1:02}T10:00:00+00:00",
            "page": True,
            "report": ("scale", "anomaly", "lineage", "compare")[number % 4],
            "title": f"Scale: {name}",
            "verdict": f"{verdict}: {name}"
            if number < len(HOSTILE)
            else f"{verdict} of the Zürich office, again and again.",
            "tone": ("good", "watch", "bad")[number % 3],
            "numbers": numbers,
            "run": name,
            "kind": "simulation",
            "seed": number,
            "run_at": "2026-03-01T10:00:00+00:00",
            "reproduce": [f"agentsim report scale --run {name}"],
        }
        file = out / f"scale-{number}.ipynb"
        file.write_text(json.dumps({"cells": [], "metadata": {"agentsim": left}}))
        if number != 9:
            file.with_suffix(".html").write_text("<!DOCTYPE html><html lang=en><title>page</title></html>")
    (out / "scale-broken.ipynb").write_text("{")
    return rebuild_index(out)


@pytest.fixture
def view(reports, index, chromium):
    """Opens a page as its reader does; what the console says and what is asked for is kept."""
    contexts = []

    def open_it(file, width=1280, *, scripts=True):
        context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(file.as_uri())
        page.asked = [url for url in page.asked if url != file.as_uri() and not url.startswith("data:")]
        return page

    yield open_it
    for context in contexts:
        context.close()


ALL = [
    *((name, which) for name in KINDS for which in ("simulated", "hostile") if NOTEBOOKS[name].runs == "one"),
    *((name, "both") for name in KINDS if NOTEBOOKS[name].runs == "several"),
    ("index", ""),
]


@pytest.fixture(params=ALL, ids="-".join)
def file(request, reports, index) -> Path:
    return index if request.param[0] == "index" else reports[request.param]


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


def shown(page):
    return page.locator(".reports > li:visible").count()


def test_the_search_shows_what_has_all_the_words(index, view):
    page = view(index)
    told = page.locator(".search output")
    assert (shown(page), told.inner_text()) == (12, "12 reports")
    page.keyboard.press("/")
    page.keyboard.type("zurich RUN-1")
    assert (shown(page), told.inner_text()) == (2, "2 of 12 reports")
    page.keyboard.type("1 ")
    assert (shown(page), told.inner_text()) == (1, "1 of 12 reports")
    assert "run-11" in page.locator(".reports > li:visible").inner_text()
    # A slash in the field is a slash.
    page.keyboard.type("/")
    assert (shown(page), told.inner_text()) == (0, "0 of 12 reports")
    page.keyboard.press("Escape")
    assert (shown(page), told.inner_text()) == (12, "12 reports")
    page.keyboard.type("<script>window")
    assert shown(page) == 1
    assert page.said == []


def test_without_scripts_the_list_is_whole_and_no_control_is_dead(index, view):
    page = view(index, scripts=False)
    assert shown(page) == 12
    assert page.locator("input:visible").count() == 0


def test_the_summary_prints_on_one_page(index, view):
    page = view(index)
    page.evaluate(
        "for (const rest of document.querySelectorAll('main > section:not(.latest)')) rest.remove()"
    )
    assert page.locator(".latest article").count() == 4
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
