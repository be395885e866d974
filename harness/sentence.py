"""A result in one sentence, as it stands in the record, under the verdict and on the board. Pure."""

from harness.stats import Interval


def speed(ratio: float) -> str:
    """A time ratio in words.

    >>> speed(0.5), speed(1.25), speed(0.998)
    ('2.00x faster than the baseline', '1.25x slower than the baseline', '1.00x the time of the baseline')
    """
    if f"{max(ratio, 1 / ratio):.2f}" == "1.00":
        return "1.00x the time of the baseline"
    return f"{1 / ratio:.2f}x faster than the baseline" if ratio < 1 else f"{ratio:.2f}x slower than the baseline"


def sentence(time_ratio: Interval, f1_difference: Interval, score: Interval, score_photos: Interval) -> str:
    """Time, F1 and score, each with what is uncertain of it.

    >>> sentence(Interval(0.8, 0.79, 0.82), Interval(-0.004, -0.03, 0.02), Interval(0.84, 0.83, 0.85),
    ...     Interval(0.84, 0.77, 0.93))
    '1.25x faster than the baseline (1.22-1.27); F1 -.004 (-.030 to +.020 on other photos: a tie); score .840 \
(rerun +-.010; other photos .770 to .930)'
    """
    return "; ".join(
        [
            speed(time_ratio.value) + _speeds(time_ratio),
            f"F1 {_signed(f1_difference.value)}{_others(f1_difference)}",
            f"score {_short(score.value)} ({_score_ends(score, score_photos)})",
        ]
    )


def _speeds(ratio: Interval) -> str:
    """The interval, in the direction of `speed`."""
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return " (one pass: no interval)"
    tie = ": a tie" if ratio.low <= 1.0 <= ratio.high else ""
    if "faster" in speed(ratio.value):
        return f" ({1 / ratio.high:.2f}-{1 / ratio.low:.2f}{tie})"
    return f" ({ratio.low:.2f}-{ratio.high:.2f}{tie})"


def _others(difference: Interval) -> str:
    if difference.low is None or difference.high is None:
        return ""
    tie = ": a tie" if difference.low <= 0 <= difference.high else ""
    return f" ({_signed(difference.low)} to {_signed(difference.high)} on other photos{tie})"


def _score_ends(score: Interval, photos: Interval) -> str:
    said = "one pass" if score.half_width is None else f"rerun +-{_short(score.half_width)}"
    if photos.low is None or photos.high is None:
        return said
    return f"{said}; other photos {_short(photos.low)} to {_short(photos.high)}"


def _short(value: float) -> str:
    """Three decimals, without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text
