"""Estimates and their intervals. Pure numpy (and scipy.special off a leaderboard's way); seeded, so deterministic.

The unit of replication is the pass, never the block or the crop: DESIGN in docs/measurement.md.
"""

import functools
import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.metrics import Floats, Ints, macro_f1
from harness.student import t_quantile

CONFIDENCE = 0.95
_ASSURED = 0.8  # that a pilot's variance is not above what passes are planned for
# Quantiles of F between which the variance of K passes agrees with the machine's history: then they are pooled, from
# so many degrees of freedom on. Simulated (docs/experiments/coverage.py): coverage .94-.95 whether a submission
# scatters half or three times as much as the baseline did. Pooled whatever they say: .89, or half as wide again.
_AGREES, _LEAST_DEGREES = (0.2, 0.6), 4
_CHUNK = 250  # rows or draws at a time: the memory of a board of 10,000 entries


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An estimate with the ends of its 95 % interval; None where one observation cannot give an interval."""

    value: float
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Half of high - low, in the unit of `value`."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2.0


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What runs of the baseline against itself said of a pass here: the variance of log r and its degrees."""

    variance: float
    degrees: int


class MeanError(NamedTuple):
    """Standard error of a mean and its degrees of freedom; None and 1 where one value gives none."""

    error: float | None
    degrees: int


def t_critical(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Two-sided critical value of Student's t for `degrees` >= 1 of freedom.

    >>> round(t_critical(4), 3)
    2.776
    """
    return t_quantile(0.5 + confidence / 2.0, degrees)


def standard_error(values: Floats) -> float | None:
    """Standard error of the mean of independent values; None for fewer than two.

    >>> round(standard_error(np.array([1.0, 2.0, 3.0])), 4)
    0.5774
    """
    if values.size < 2:
        return None
    return float(values.std(ddof=1) / math.sqrt(values.size))


def mean_error(values: Floats, history: History | None = None, pilot: int = 0) -> MeanError:
    """Standard error of the mean of K passes: their own, pooled with the machine's history where both agree.

    `pilot`: so many first values fixed K; then their variance alone counts (Stein 1945: with that of all K, an
    interval of 95 % covers 93).

    >>> mean_error(np.array([1.0, 3.0]))
    MeanError(error=1.0, degrees=1)
    >>> mean_error(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), History(2.5, 20)).degrees
    24
    """
    its = values[:pilot] if pilot else values
    own = its.size - 1
    if own < 1:
        return MeanError(None, 1)
    variance = float(its.var(ddof=1))
    error = math.sqrt(variance / values.size)
    if history is None or history.degrees < 1 or own < _LEAST_DEGREES or not _agree(variance, own, history):
        return MeanError(error, own)
    degrees = own + history.degrees
    pooled = (own * variance + history.degrees * history.variance) / degrees
    return MeanError(math.sqrt(pooled / values.size), degrees)


def _agree(variance: float, degrees: int, history: History) -> bool:
    from scipy.special import fdtri  # noqa: PLC0415 (170 ms that a leaderboard need not pay)

    low, high = (float(fdtri(degrees, history.degrees, q)) * history.variance for q in _AGREES)
    return low <= variance <= high


def geometric_mean_interval(log_ratios: Floats, spread: MeanError | None = None) -> Interval:
    """exp of the mean of K log ratios with Student's t interval. `spread`: of `mean_error`; else the passes' own.

    Simulated coverage with K = 5 passes: .95 (bootstraps .84-.87).

    >>> geometric_mean_interval(np.log([2.0, 2.0])).value
    2.0
    """
    mean, (error, degrees) = float(log_ratios.mean()), spread or mean_error(log_ratios)
    if error is None:
        return Interval(math.exp(mean), None, None)
    half = t_critical(degrees) * error
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def error_interval(value: float, error: float | None, degrees: int) -> Interval:
    """`value` with the ends that its standard error and Student's t give; none where there is no error."""
    if error is None:
        return Interval(value, None, None)
    half = t_critical(degrees) * error
    return Interval(value, value - half, value + half)


def passes_for(log_ratios: Floats, half_width: float) -> int:
    """Passes after which the interval's half-width is about `half_width` (relative): ceil((t s / h)^2).

    `log_ratios`: of a pilot, two passes or more.

    >>> passes_for(np.array([0.01, -0.01, 0.01, -0.01, 0.0]), 0.01)
    8
    """
    spread = float(log_ratios.std(ddof=1))
    return math.ceil((t_critical(log_ratios.size - 1) * spread / math.log1p(half_width)) ** 2)


def seen(variance: float, passes: int, power: float = 0.8) -> float:
    """The relative difference that so many passes see with this probability, at 5 %: like 0.02 for 2 %.

    `variance`: of a pass's log ratio.

    >>> round(seen(0.01**2, 5), 3), round(seen(0.01**2, 20), 3)
    (0.017, 0.007)
    """
    from scipy.special import stdtrit  # noqa: PLC0415 (170 ms that a leaderboard need not pay)

    degrees = passes - 1
    return math.expm1((t_critical(degrees) + float(stdtrit(degrees, power))) * math.sqrt(variance / passes))


def passes_to_see(variance: float, difference: float, least: int, most: int, power: float = 0.8) -> int | None:
    """The fewest passes from `least` to `most` that see a relative difference; None where `most` do not.

    >>> passes_to_see(0.01**2, 0.02, 3, 40), passes_to_see(0.1**2, 0.02, 3, 40)
    (5, None)
    """
    return next((n for n in range(max(least, 2), most + 1) if seen(variance, n, power) <= difference), None)


def cautious_variance(log_ratios: Floats) -> float:
    """A pilot's variance as it is at most, with probability .8 (chi-square): few passes know little of it.

    `log_ratios`: two passes or more. Passes planned from the variance as it was seen fall short in half of the runs;
    source: Kupper and Hafner, "How Appropriate Are Popular Sample Size Formulas?", The American Statistician 43 (1989).

    >>> round(cautious_variance(np.array([0.01, -0.01, 0.01, -0.01, 0.0])) * 1e4, 2)
    2.43
    """
    from scipy.special import chdtri  # noqa: PLC0415 (170 ms that a leaderboard need not pay)

    degrees = log_ratios.size - 1
    return float(log_ratios.var(ddof=1)) * degrees / float(chdtri(degrees, _ASSURED))


def percentile(sorted_values: Floats, p: float, least: int = 1) -> float | None:
    """LoadGen's percentile: sorted[int(n * p)]; None below `least` values, where it says nothing.

    >>> percentile(np.arange(100.0), 0.9)
    90.0
    """
    n = sorted_values.size
    if n < max(least, 1):
        return None
    return float(sorted_values[min(int(n * p), n - 1)])


def bootstrap_f1(confusions: Floats, photos: Ints, seed: int, draws: int = 1000) -> Floats:
    """`draws` macro F1 values of test sets drawn again by source photo: shape (draws,).

    `confusions`: (crops, classes, classes), one matrix a crop. `photos`: (crops,), the number of the
    photo that each crop was cut from; crops of one photo are drawn together.
    """
    names, inverse = np.unique(photos, return_inverse=True)
    classes = confusions.shape[-1]
    by_photo: Floats = np.zeros((names.size, classes * classes))
    np.add.at(by_photo, inverse, confusions.reshape(len(confusions), -1))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(names.size, np.full(names.size, 1.0 / names.size), size=draws)
    drawn: Floats = counts.astype(np.float64) @ by_photo
    return macro_f1(drawn.reshape(draws, classes, classes))


def quantile_interval(value: float, draws: Floats) -> Interval:
    """`value` with the 2.5 % and 97.5 % quantiles of bootstrap draws of it."""
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Interval(value, float(low), float(high))


def welch_degrees(errors: Floats, degrees: Ints) -> float:
    """Degrees of freedom of a difference of two estimates: errors and degrees of both, shape (2,) (Welch 1947).

    >>> welch_degrees(np.array([1.0, 1.0]), np.array([4, 4]))
    8.0
    """
    squares = np.square(errors)
    total = float(squares.sum())
    return total**2 / float((squares**2 / degrees).sum()) if total else float(degrees.sum())


def times_less(values: Floats, errors: Floats, degrees: Ints, seed: int = 0) -> tuple[Ints, Ints]:
    """How many others each is less than, and greater than, beyond doubt; (m,) both: see `less_rows`."""
    less, greater = np.zeros(values.size, dtype=np.int64), np.zeros(values.size, dtype=np.int64)
    start = 0
    for rows in less_rows(values, errors, degrees, seed):
        less[start : start + len(rows)] = rows.sum(axis=1)
        greater += rows.sum(axis=0)
        start += len(rows)
    return less, greater


def less_rows(values: Floats, errors: Floats, degrees: Ints, seed: int = 0) -> Iterator[NDArray[np.bool_]]:
    """Rows of an (m, m) table, some at a time: [i, j] is True where value i is less than value j beyond doubt.

    `values`, `errors`, `degrees`: (m,), independent estimates, their standard errors and degrees of freedom; all
    pairs are taken together: of m equally good entries any pair at all is told apart in at most 5 % of boards. An
    infinite error tells nothing: no pair of that entry is True.
    """
    known = np.isfinite(errors)
    wide = np.full(values.size, math.inf)
    if known.sum() > 1:
        wide[known] = errors[known] * widening(degrees[known])
        critical = simultaneous_critical(errors[known], degrees[known], seed)
    else:
        critical = 1.0
    for start in range(0, values.size, _CHUNK):
        stop = start + _CHUNK
        yield values[start:stop, None] + critical * np.hypot(wide[start:stop, None], wide) < values


def simultaneous_critical(errors: Floats, degrees: Ints, seed: int = 0) -> float:
    """Critical value c with P(max over pairs |z| > c) = .05 when all m entries are equally good.

    `errors`: (m,) standard errors of the entries' scores; `degrees`: (m,) degrees of freedom of each.
    Entries' errors are independent Student t; z of a pair is its difference over the root of its summed
    squares, each error first multiplied by its `widening`. Exact (simulated) up to 64 entries; above, an
    upper bound that needs no pairs. 0 for fewer than two entries: no pairs.
    """
    return 0.0 if errors.size < 2 else _critical(tuple(errors.tolist()), tuple(degrees.tolist()), seed)


@functools.lru_cache(maxsize=64)  # of a board's errors it is asked twice: for its ranks, and for the page
def _critical(its_errors: tuple[float, ...], its_degrees: tuple[int, ...], seed: int, draws: int = 4000) -> float:
    errors, degrees = np.array(its_errors), np.array(its_degrees, dtype=np.int64)
    m = errors.size
    rng = np.random.default_rng(seed)
    widths = widening(degrees)
    largest = np.zeros(draws)
    if m <= 64:
        wide = errors * widths
        scaled = rng.standard_t(np.maximum(degrees, 1), size=(draws, m)) / widths * wide  # of the widened errors
        for i in range(m - 1):
            spread = np.hypot(wide[i], wide[i + 1 :])
            z = np.abs(scaled[:, i + 1 :] - scaled[:, i : i + 1]) / np.where(spread > 0, spread, 1.0)
            np.maximum(largest, z.max(axis=1), out=largest)
    else:
        # |a e_i - b e_j| with a^2 + b^2 = 1 is at most the root of e_i^2 + e_j^2, reached for opposite signs.
        for start in range(0, draws, _CHUNK):
            part = largest[start : start + _CHUNK]
            noise = rng.standard_t(np.maximum(degrees, 1), size=(part.size, m)) / widths
            part[:] = np.hypot(np.maximum(noise.max(axis=1), 0.0), np.maximum(-noise.min(axis=1), 0.0))
    return float(np.quantile(largest, CONFIDENCE))


def widening(degrees: Ints) -> Floats:
    """Factors, shape (m,), that make errors of few degrees of freedom as rarely exceeded as normal ones.

    Without them one entry of two passes sets the critical value of all pairs, and nothing is told apart.
    The quantile is Bonferroni's for m entries; any factor keeps the 5 %, as the critical value is simulated.

    >>> widening(np.array([2, 4, 10_000])).round(1).tolist()
    [3.2, 1.7, 1.0]
    """
    level = 1.0 - (1.0 - CONFIDENCE) / (2.0 * max(degrees.size, 1))
    normal = NormalDist().inv_cdf(level)
    return np.array([t_quantile(level, max(its, 1)) / normal for its in degrees.tolist()], dtype=np.float64)
