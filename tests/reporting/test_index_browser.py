"""The index in a real browser: its search, and what is left without a script and on paper."""

import re


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
