"""The threshold that a reader of the page moves, in a browser, and the map of recall by kind and stealth."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from agentsim.experiments import judge
from agentsim.reporting import anomaly, interactive, words
from agentsim.reporting.figures import Note, Picture
from agentsim.reporting.interactive import Interactive
from agentsim.reporting.page import to_page
from agentsim.risk import report
from agentsim.risk.thresholds import Costs, operating_points
from agentsim.risk.thresholds.cut import one_for_all


@pytest.fixture(scope="module")
def result(run):
    return judge(run, alert_budget=2000, companion_agents=250)


@pytest.fixture(scope="module")
def played() -> pd.DataFrame:
    """What acting did at two thresholds, made up."""
    return pd.DataFrame(
        {"threshold": [np.nan, 1.0, 3.0], "honoured_share": [1, 0.2, 0.5], "honest_killed_share": [0, 0.1, 0]}
    )


@pytest.fixture(scope="module")
def part(result, played) -> Interactive:
    return anomaly.movable(result, played)


@pytest.fixture(scope="module")
def page(part, tmp_path_factory):
    outputs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            interactive,
            "display",
            lambda data, metadata, raw: outputs.append(
                new_output("display_data", data=data, metadata=metadata)
            ),
        )
        part._ipython_display_()
    cell = new_code_cell("anomaly.movable(result, played)", outputs=outputs)
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(to_page(new_notebook(cells=[cell]), "a page"), encoding="utf-8")
    return file


@pytest.fixture
def open_page(view, page):
    return partial(view, page)


def told(result, threshold) -> dict[str, str]:
    """What :func:`agentsim.risk.report` says of a threshold, in the words of the page."""
    said = report(one_for_all(threshold), result.case)
    return {
        "alerts_per_day": words.number(said.alerts_per_day.value),
        "found": f"{said.found} of {said.attacks} ({words.percent(said.overall.value)})",
        "precision": words.percent(said.precision.value),
        "false_alarms": words.number(said.false_alarms.value),
        "seconds": words.duration(said.recall["microseconds"].get("all", np.nan)),
    }


def shown(page) -> dict[str, str]:
    return {
        each.get_attribute("data-figure"): each.text_content() for each in page.locator("[data-figure]").all()
    }


def thresholds(result) -> list[float]:
    points = operating_points(result.case, points=200, keep=[result.threshold, np.inf])
    return points.figures["threshold"].tolist()


def test_without_script_the_chosen_threshold_is_told_and_there_is_no_control(open_page, result):
    page = open_page(scripts=False)
    assert shown(page) == told(result, result.threshold)
    assert page.locator("input:visible, button:visible, output:visible").count() == 0
    assert page.get_by_text(f"Alerts from a score of {result.threshold:.3f} on").is_visible()


def test_the_keyboard_moves_the_threshold_and_the_figures_are_those_of_the_package(open_page, result, part):
    page, every = open_page(), thresholds(result)
    assert len(every) == len(part.data["score"]) <= 202
    place = part.data["default"]
    assert shown(page) == told(result, result.threshold)
    page.get_by_label("The threshold").focus()
    for key, step in (
        ("ArrowRight", 1),
        ("ArrowRight", 1),
        ("ArrowLeft", -1),
        ("End", None),
        ("Home", -len(every)),
    ):
        page.keyboard.press(key)
        place = len(every) - 1 if step is None else max(0, place + step)
        assert shown(page) == told(result, every[place])
        assert page.get_by_label("The threshold").get_attribute("aria-valuetext").endswith("alerts a day")
        assert told(result, every[place])["found"] in page.locator("output").text_content()
    assert page.locator("[data-shown=score]").text_content() == "No alerts at all"
    assert "nobody acts" in page.locator("[data-shown=stopped]").text_content()
    assert page.said == []


def test_recall_of_each_kind_moves_along(open_page, result):
    page = open_page()
    page.get_by_label("The threshold").press("End")
    recall = report(one_for_all(thresholds(result)[-1]), result.case).recall
    for row in page.locator("tbody tr").all():
        kind, text = row.locator("th").text_content(), row.locator("[data-kind]").text_content()
        found = recall.loc[kind.replace(" ", "_")]
        assert text.startswith(
            f"{found['found']:.0f} of {found['attacks']:.0f} ({words.percent(found['recall'])}"
        )


def test_a_budget_leads_to_the_lowest_threshold_that_keeps_it(open_page, result):
    page = open_page()
    for budget in (0.5, 900, 1e9):
        page.get_by_label("Alerts a day, at most").fill(str(budget))
        fits = [
            each
            for each in thresholds(result)
            if report(one_for_all(each), result.case).alerts_per_day.value <= budget
        ]
        assert shown(page) == told(result, fits[-1])


def test_costs_are_those_of_the_package_and_the_least_is_found(open_page, result):
    page = open_page()
    page.get_by_label("A missed attack costs").fill("500")
    page.get_by_label("A false alarm costs").fill("30")
    costs = Costs(missed_otherwise=500.0, false_alarm=30.0)
    per_day = [
        report(one_for_all(each), result.case, costs=costs).cost_per_day for each in thresholds(result)
    ]
    for name, place in (("Back to the chosen", None), ("Go where it costs least", int(np.argmin(per_day)))):
        page.get_by_role("button", name=name).click()
        spent = per_day[place] if place is not None else per_day[thresholds(result).index(result.threshold)]
        assert page.locator("[data-shown=cost]").text_content() == f"{spent:,.0f}"


def test_a_narrow_screen_does_not_scroll_sideways(open_page):
    page = open_page(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_nearest_threshold_that_was_played_is_told(part, result):
    told = dict(zip(thresholds(result), part.data["stopped"], strict=True))
    low = min(told)
    assert "acting was played is 1: ending the tree of each alert stopped 80%" in told[low]
    assert "killed 10% of the honest" in told[low]


def test_what_was_not_played_is_left_out(result):
    part = anomaly.movable(result, Note("left out"))
    assert set(part.data["stopped"]) == {""}
    assert "stopped" not in part.html.split("</style>")[1]


def test_there_is_nothing_to_move_without_attacks_or_days(result):
    nobody = result.case.attacks
    calm = replace(
        result.case, attacks=replace(nobody, operations=nobody.operations[:0], touched=nobody.touched[:0])
    )
    assert isinstance(anomaly.movable(replace(result, case=calm), Note("none")), Note)
    assert isinstance(anomaly.movable(replace(result, case=None), Note("none")), Note)


def test_recall_is_mapped_where_attacks_are_of_several_degrees(result):
    rows = pd.DataFrame(
        {
            "attack": ["theft", "theft", "hijack"],
            "stealth": [0.0, 1.0, 1.0],
            "attacks": [10, 5, 5],
            "found": [9, 1, 0],
            "recall": [0.9, 0.2, 0.0],
            "low": 0.0,
            "high": 1.0,
        }
    )
    (picture,) = (
        item
        for item in anomaly.findings(replace(result, by_stealth=rows))
        if isinstance(item, Picture) and "quietest" in item.finding
    )
    assert "(stealth 0) 90% are found, of the quietest (1) 10%" in picture.finding
    assert "hijack at 1 0 of 5" in picture.alt
    assert picture.table["found"].sum() == 10
    assert picture.figure.axes[0].get_yticklabels()[0].get_text() == "hijack"
    one = replace(result, by_stealth=rows[rows["stealth"] == 1])
    assert not any("quietest" in getattr(item, "finding", "") for item in anomaly.findings(one))


def test_recall_by_stealth_counts_every_attack_once(result):
    rows = result.by_stealth
    assert rows["stealth"].unique().tolist() == [0.2]
    assert rows.set_index("attack")[["attacks", "found"]].equals(
        result.report.recall.drop(index="all")[["attacks", "found"]].sort_index()
    )
