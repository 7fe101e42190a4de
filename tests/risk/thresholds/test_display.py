"""How a notebook shows thresholds: the way they are chosen, what they do, the file that keeps them."""

import datetime

from bs4 import BeautifulSoup

from agentsim.risk import ThresholdFile, ThresholdPolicy, alert_budget, report
from agentsim.risk.thresholds.cut import one_for_all

HOSTILE = "<script>alert(1)</script>"


def shown(item):
    soup = BeautifulSoup(item._repr_html_(), "html.parser")
    assert soup.find_all(["script", "style"]) == []
    told = {row.th.text: row.td.text for row in soup.find_all("table")[0].find_all("tr")}
    return (
        soup.strong.text,
        told,
        [[cell.text for cell in row.find_all("td")] for row in soup.select("thead ~ tbody tr")],
    )


def test_a_policy_shows_its_way_and_its_settings():
    title, told, _ = shown(alert_budget(50))
    assert title == "Thresholds by budget: so many alerts a day at most"
    assert told == {"alerts": "50/day"}
    costs = {"missed": {HOSTILE: 5000, "token_theft": 2.5}, "missed_otherwise": 10, "false_alarm": 1}
    _, told, _ = shown(ThresholdPolicy.model_validate({"by": "cost", "costs": costs}))
    assert told["costs: missed"] == f"{HOSTILE} 5,000, token_theft 2.5"
    assert (told["costs: false_alarm"], len(told)) == ("1", 3)
    _, told, _ = shown(ThresholdPolicy.model_validate({"by": "recall", "floors": {HOSTILE: 0.8}}))
    assert told == {f"floors: {HOSTILE}": "0.8"}


def test_a_report_shows_what_is_found_and_what_weakens_it(make_case):
    _, told, recall = shown(report(one_for_all(5), make_case([9, 0, 9, 0], theft_1=[0], theft_2=[1])))
    assert told["attacks found"] == "1 of 2"
    assert told["of these"] == "2 grants"
    assert told["alerts that are attacks"].startswith("50%")
    assert recall[0][:3] == ["theft", "2", "1"]
    assert "too few attacks" in report(one_for_all(5), make_case([9], theft_1=[0]))._repr_html_()


def test_a_report_without_days_says_what_cannot_be_told(make_case):
    _, told, _ = shown(report(one_for_all(5), make_case([9, 0], days=float("nan"))))
    assert told["alerts a day"] == "cannot be told"
    assert "cost a day" not in told


def test_a_file_shows_where_alerts_begin_and_until_when_it_holds():
    day = datetime.date(2026, 1, 1)
    file = ThresholdFile.model_validate(
        {
            "schema": 1,
            "made": day,
            "expires": day + datetime.timedelta(90),
            "detector": HOSTILE,
            "thresholds": {"grant": 2.5, "tree": None},
            "roles": {HOSTILE: {"grant": 3.0}},
            "actions": {"step_up": 4.0},
            "chosen": {"by": "fixed", "score": 2.5},
            "expected": {"alerts_per_day": 12.0, "recall": {"token_theft": 0.5}},
            "provenance": {"agentsim": "1", "runs": []},
        }
    )
    _, told, rows = shown(file)
    assert (told["detector"], told["may be used until"]) == (HOSTILE, "2026-04-01")
    assert told["chosen by"] == "fixed, score 2.5"
    assert told["expected to find"] == "token_theft 50%"
    assert rows == [
        ["all", "grant", "2.5"],
        ["all", "tree", "never"],
        [HOSTILE, "grant", "3"],
        ["step_up", "4"],
    ]
