"""Lines of a verdict: a name, then a text of at most 80 columns in all. Pure."""

from harness.report.clean import wrap
from harness.stats import Interval

WIDTH = 80
_INDENT = 14  # columns before a text


def field(name: str, text: str) -> list[str]:
    """Lines of at most WIDTH columns, the name before the first.

    >>> field("flag", "noisy")
    ['  flag        noisy']
    """
    first, *more = wrap(text, WIDTH - _INDENT)
    return [f"  {name:<{_INDENT - 2}}{first}", *(" " * _INDENT + line for line in more)]


def with_ends(interval: Interval, form: str) -> str:
    """A value and its interval.

    >>> with_ends(Interval(0.8, 0.79, 0.81), ".3f"), with_ends(Interval(0.8, None, None), ".3f")
    ('0.800 (0.790 to 0.810)', '0.800 (no interval from one pass)')
    """
    return f"{interval.value:{form}} ({ends(interval, form)})"


def ends(interval: Interval, form: str) -> str:
    """The ends of an interval, in words where there are none."""
    if interval.low is None or interval.high is None:
        return "no interval from one pass"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def count(value: int | None) -> str:
    """Like "295 k" or "4.21 M".

    >>> count(294_854), count(4_210_000), count(12), count(None)
    ('295 k', '4.21 M', '12', '')
    """
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value is not None and value >= unit:
            return f"{value / unit:.3g} {name}"
    return "" if value is None else str(value)


def size(value: int | None) -> str:
    """Bytes, like "1.2 MB"."""
    return "" if value is None else f"{value / 1e6:.1f} MB" if value >= 100_000 else f"{value / 1e3:.0f} kB"
