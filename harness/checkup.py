"""What this machine's checkups say: records of the baseline against itself, made by `harness doctor`. Pure."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np

from harness.record import BoardKey, Record
from harness.stats import History, standard_error

LEAST_PASSES = 10  # of all checkups together, before they say anything
RECENT_DAYS = 7


class Habits(NamedTuple):
    """How the machine scatters. `between`: standard deviation of log ratios from one run to the next, above passes'."""

    history: History | None  # within a run
    between: float | None  # None from fewer than two checkups
    checkups: int
    bias: float | None  # mean log ratio of the baseline against itself, over all; None without checkups


def habits(checkups: Iterable[Record], key: BoardKey, since_utc: str, any_baseline: bool = False) -> Habits:
    """Of the checkups under one board key since a moment (ISO 8601 in UTC); noisy ones do not count.

    With `any_baseline` those of other baselines count too: for a duel, which has none.

    The variance of a pass is pooled over each checkup's own mean, with the sum of their degrees of freedom.
    """
    logs = [
        np.array(record.result.log_ratios)
        for record in sorted(checkups, key=lambda r: (r.created_utc, r.digest))
        if record.result is not None
        and _same(record.key(), key, any_baseline)
        and record.created_utc >= since_utc
        and "noisy" not in record.result.flags
    ]
    if not logs:
        return Habits(None, None, 0, None)
    passes, degrees = sum(its.size for its in logs), sum(its.size - 1 for its in logs)
    means = np.array([its.mean() for its in logs])
    bias = float(np.concatenate(logs).mean())
    if passes < LEAST_PASSES or degrees < 1:
        return Habits(None, None, len(logs), bias)
    variance = sum(float(((its - its.mean()) ** 2).sum()) for its in logs) / degrees
    return Habits(History(variance, degrees), _between(means, variance, [its.size for its in logs]), len(logs), bias)


def _same(its: BoardKey, key: BoardKey, any_baseline: bool) -> bool:
    return its == (msgspec.structs.replace(key, baseline=its.baseline) if any_baseline else key)


def _between(means: "np.typing.NDArray[np.float64]", variance: float, sizes: list[int]) -> float | None:
    """Root of what the means' variance is above that which the passes explain; None for a single checkup."""
    error = standard_error(means)
    if error is None:
        return None
    within = variance * float(np.mean([1.0 / size for size in sizes]))
    return math.sqrt(max(error**2 * means.size - within, 0.0))
