"""The colours of every picture.

Told apart by lightness as well as by hue, so also by colour-blind readers and on a grey print: any two of the
first five differ by 13 or more of the 100 steps between black and white (CIE L*). A test simulates both.
"""

#: From dark to light: data, what is set against it, a second series, and what is only there to compare with.
MAIN, ACCENT, OTHER, PALE = "#084473", "#c97200", "#86c0e6", "#d9e0e6"
#: Attacks, and what must not be; lighter than ``MAIN`` and darker than ``ACCENT``.
ALARM = "#c0281f"
#: Texts, and texts beside the point.
INK, SOFT = "#1b2733", "#52606d"
#: Lines of a grid, and lines that lead from one thing to another.
GRID, GUIDE = "#e4e9ee", "#aeb9c3"
