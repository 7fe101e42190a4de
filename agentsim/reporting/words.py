"""Numbers as a reader wants them: three digits, thousands separated, a unit that fits."""

import math

_SHORT = (("s", 1e6), ("ms", 1e3), ("µs", 1.0))
_LONG = (("days", 86_400.0, 172_800), ("hours", 3_600.0, 7_200), ("min", 60.0, 120))
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def count(value: float) -> str:
    """A whole number with its thousands separated: ``12,345``."""
    return f"{round(value):,}"


def number(value: float) -> str:
    """Three significant digits, thousands separated: ``0.0123``, ``1.23``, ``12.3``, ``12,346``."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share between 0 and 1 in per cent, to a tenth: ``12.3%``; what is there never reads as 0% or 100%."""
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{100 * share:.1f}%".replace(".0%", "%")


def duration(microseconds: float) -> str:
    """A time span in the unit that fits, from ``340 µs`` to ``3.2 days``."""
    if not math.isfinite(microseconds):
        return "–"
    seconds = microseconds / 1e6
    for unit, length, least in _LONG:
        if abs(seconds) >= least:
            return f"{number(seconds / length)} {unit}"
    for unit, length in _SHORT:
        if abs(microseconds) >= length:
            return f"{number(microseconds / length)} {unit}"
    return f"{number(microseconds)} µs"


def size(octets: float) -> str:
    """A number of bytes in decimal units: ``1.2 GB``."""
    for unit, factor in _SIZES:
        if octets >= factor:
            return f"{number(octets / factor)} {unit}"
    return f"{count(octets)} bytes"


def plural(value: int, singular: str, several: str | None = None) -> str:
    """A count with its noun: ``1 tree``, ``2 trees``, ``0 entries``."""
    return f"{count(value)} {singular if value == 1 else several or singular + 's'}"
