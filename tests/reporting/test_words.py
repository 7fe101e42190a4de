import pytest

from agentsim.reporting import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (120, "120"),
        (12345.6, "12,346"),
        (-2.5, "-2.5"),
        (float("nan"), "–"),
    ],
)
def test_numbers_keep_three_digits(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.0001, "<0.1%"), (0.123, "12.3%"), (0.5, "50%"), (0.9999, ">99.9%"), (1, "100%")],
)
def test_what_is_there_never_reads_as_nothing_or_all(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (340, "340 µs"),
        (2_100, "2.1 ms"),
        (3_400_000, "3.4 s"),
        (119_000_000, "119 s"),
        (600_000_000, "10 min"),
        (7_200_000_000, "2 hours"),
        (3 * 86_400_000_000, "3 days"),
    ],
)
def test_time_spans_take_the_unit_that_fits(microseconds, text):
    assert words.duration(microseconds) == text


def test_sizes_are_decimal():
    assert [words.size(n) for n in (12, 7_320, 3_000_000, 1_200_000_000)] == [
        "12 bytes",
        "7.32 kB",
        "3 MB",
        "1.2 GB",
    ]


def test_nouns_follow_their_number():
    assert [words.plural(n, "tree") for n in (0, 1, 2_000)] == ["0 trees", "1 tree", "2,000 trees"]
    assert words.plural(2, "entry", "entries") == "2 entries"
