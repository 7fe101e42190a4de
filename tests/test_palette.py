"""The colours can be told apart by colour-blind eyes and in grey.

What dichromats see is simulated with the matrices of Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
"""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from agentsim import palette

EYES = {
    "all": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(axis=1)
DATA = ("MAIN", "ACCENT", "OTHER", "PALE", "ALARM")
PAIRS = list(itertools.combinations(DATA, 2))


def lab(name, eyes="all"):
    """CIE L*a*b* of a colour, as some eyes see it."""
    given = np.array(to_rgb(getattr(palette, name)))
    linear = np.where(given <= 0.04045, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)
    share = TO_XYZ @ np.clip(EYES[eyes] @ linear, 0, 1) / WHITE
    root = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def luminance(name):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(getattr(palette, name))
    ]
    return float(TO_XYZ[1] @ linear)


def test_black_and_white_are_where_they_belong(monkeypatch):
    for name, colour, lightness in (("K", "#000000", 0), ("W", "#ffffff", 100)):
        monkeypatch.setattr(palette, name, colour, raising=False)
        assert lab(name) == pytest.approx([lightness, 0, 0], abs=0.01)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_grey_print_tells_them_apart(one, other):
    assert abs(lab(one)[0] - lab(other)[0]) >= 13


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_colour_blind_eyes_tell_them_apart(one, other, eyes):
    # 2.3 is the least difference that is noticed at all.
    assert np.linalg.norm(lab(one, eyes) - lab(other, eyes)) >= 18


@pytest.mark.parametrize(
    ("name", "least"), [("INK", 7), ("SOFT", 4.5), ("MAIN", 4.5), ("ALARM", 4.5), ("ACCENT", 3)]
)
def test_texts_and_marks_stand_out_from_white_paper(name, least):
    assert 1.05 / (luminance(name) + 0.05) >= least
