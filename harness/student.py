"""Quantiles of Student's t for whole degrees of freedom. Pure Python: a leaderboard need not load scipy for them."""

import functools
import math
from statistics import NormalDist

_MANY = 1000  # degrees from which the expansion is exact to 1e-11


@functools.cache
def t_quantile(probability: float, degrees: int) -> float:
    """The value that t of `degrees` >= 1 is below with this probability, from .5 to below 1.

    Newton's method on the distribution's finite sum (Abramowitz and Stegun 26.7.3 and 26.7.4), from the expansion about
    the normal quantile (26.7.5).

    >>> round(t_quantile(0.975, 4), 6), round(t_quantile(0.975, 1), 4)
    (2.776445, 12.7062)
    """
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2.0 * probability - 1.0) / math.sqrt(2.0 * probability * (1.0 - probability))
    value = _expansion(NormalDist().inv_cdf(probability), degrees)
    if degrees > _MANY:
        return value
    for _ in range(50):
        step = (_below(value, degrees) - probability) / _density(value, degrees)
        value -= step
        if abs(step) <= 1e-14 * max(abs(value), 1.0):
            break
    return value


def _expansion(z: float, n: int) -> float:
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )


def _below(value: float, degrees: int) -> float:
    """P(t < value), value >= 0."""
    angle = math.atan(value / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    odd = degrees % 2
    term = total = math.cos(angle) if odd else 1.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= square * (k - 1) / k
        total += term
    inside = math.sin(angle) * total
    return 0.5 + 0.5 * (2.0 / math.pi * (angle + inside) if odd else inside)


def _density(value: float, degrees: int) -> float:
    half = degrees / 2
    constant = math.exp(math.lgamma(half + 0.5) - math.lgamma(half)) / math.sqrt(degrees * math.pi)
    return float(constant * (1.0 + value**2 / degrees) ** -(half + 0.5))
