from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agentsim.settings.durations import (
    Duration,
    Rate,
    format_duration,
    format_rate,
    parse_duration,
    parse_rate,
)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("5m", 300_000_000),
        ("90s", 90_000_000),
        ("1h30m", 5_400_000_000),
        ("1h 30m", 5_400_000_000),
        ("250ms", 250_000),
        ("7us", 7),
        ("0.5s", 500_000),
        ("1.5h", 5_400_000_000),
        ("2d", 172_800_000_000),
        ("0s", 0),
        (timedelta(minutes=5, microseconds=1), 300_000_001),
    ],
)
def test_durations_people_write(text: str, microseconds: int) -> None:
    assert parse_duration(text) == microseconds


@pytest.mark.parametrize(
    "value",
    [300, 1.5, True, None, "300", "", "five minutes", "-5m", "5 min", "5m!", "1e3s", [], "9" * 400 + "s"],
)
def test_what_is_no_duration_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match=r"1h30m"):
        parse_duration(value)


@given(st.integers(0, 2**53))
def test_a_duration_is_written_as_it_is_read(microseconds: int) -> None:
    assert parse_duration(format_duration(microseconds)) == microseconds


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50/s", 50.0),
        ("600/h", 1 / 6),
        ("30/m", 0.5),
        ("0.5 / s", 0.5),
        ("86400/day", 1.0),
        ("2/hour", 1 / 1800),
    ],
)
def test_rates_people_write(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("value", [50, "50", "50/w", "/s", "-1/s", "50/s/s", None])
def test_what_is_no_rate_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="50/s"):
        parse_rate(value)


@given(st.floats(1e-6, 1e9))
def test_a_rate_is_written_as_it_is_read(rate: float) -> None:
    assert parse_rate(format_rate(rate)) == rate


def test_a_model_holds_numbers_and_writes_text() -> None:
    class Model(BaseModel):
        window: Duration
        rate: Rate

    model = Model.model_validate({"window": "1h30m", "rate": "30/m"})
    assert (model.window, model.rate) == (5_400_000_000, 0.5)
    assert Model.model_validate(model.model_dump(mode="json")) == model
    assert Model.model_json_schema()["properties"]["window"]["type"] == "string"
    with pytest.raises(ValidationError, match="needs its unit"):
        Model.model_validate({"window": 5, "rate": "30/m"})


def test_a_duration_beyond_what_is_stored_is_refused() -> None:
    assert parse_duration("106751991d") < 1 << 63
    for text in ("106751992d", "999999999999d", "106751991d 999999999999h"):
        with pytest.raises(ValueError, match="longer than what can be kept"):
            parse_duration(text)
