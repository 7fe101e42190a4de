"""A page stands alone: it fetches nothing and describes its pictures."""

import pytest

from agentsim.reporting.page import faults


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="HTTP://cdn.example/x.css">',
        '<img alt="a tree" src="http://example.org/x.png">',
        '<img alt="a tree" src="data:image/png;base64,AA" srcset="data:x 1x, https://example.org/x.png 2x">',
        '<iframe src="https://example.org"></iframe>',
        "<style>@import 'https://example.org/x.css';</style>",
        '<p style="background: url( //example.org/x.png )">x</p>',
        '<svg><use xlink:href="https://example.org/x.svg#a"></use></svg>',
        '<form action="https://example.org"></form>',
    ],
)
def test_whatever_would_be_fetched_is_found(html):
    assert any("fetches" in fault for fault in faults(html))


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<script type="module">alert(1)</script>',
        '<img alt="a tree" src="data:image/png;base64,AA" onerror="alert(1)">',
        '<a href=" JavaScript:alert(1)">x</a>',
    ],
)
def test_whatever_would_run_is_found(html):
    (fault,) = faults(html)
    assert "runs a script that is not agentsim's" in fault


@pytest.mark.parametrize("alt", ["", 'alt=""', 'alt="No description has been provided for this image"'])
def test_a_picture_without_a_text_of_its_own_is_found(alt):
    assert faults(f'<img src="data:image/png;base64,AA" {alt}>') == [
        "an image has no text that says what it shows"
    ]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.org">a link that somebody may follow</a>',
        '<img alt="a tree" src="data:image/png;base64,//AA">',
        "<pre>src=https://example.org</pre>",
        '<a href="other.html">beside it</a>',
        '<script type="application/json">{"src": "https://example.org"}</script>',
    ],
)
def test_what_is_not_fetched_is_no_fault(html):
    assert faults(html) == []
