"""The range of ranks that other test photos would give: every entry on the same drawn photos. Pure.

Beside the rerun's ranks, never mixed with them: times are as measured here, only the photos change.
"""

from collections.abc import Sequence

import numpy as np

from harness.metrics import Floats, Ints
from harness.record import Result
from harness.score import ScoreRule
from harness.stats import CONFIDENCE


def drawn_f1(results: Sequence[Result]) -> Floats:
    """(draws,): F1 on the drawn photos, the mean of a package's records; all records draw alike."""
    return _mean([result.drawn_f1 for result in results])


def drawn_baseline_f1(results: Sequence[Result]) -> Floats:
    """(draws,): the baseline's F1 on the drawn photos, the mean of a board's records."""
    return _mean([result.drawn_baseline_f1 for result in results])


def _mean(drawn: Sequence[Sequence[float]]) -> Floats:
    """Of as many draws as all have: another version of harness may have kept fewer."""
    common = min(map(len, drawn))
    mean: Floats = np.mean([its[:common] for its in drawn], axis=0)
    return mean


def photo_ranks(f1: Floats, time_ratios: Floats, baseline_f1: Floats, rule: ScoreRule) -> tuple[Ints, Ints]:
    """Best and worst rank of m entries in 95 % of the draws, ties sharing the best; each of shape (m,).

    `f1`: (m, draws), `baseline_f1`: (draws,), both on the same drawn photos; `time_ratios`: (m,).
    """
    draws = min(f1.shape[1], baseline_f1.size)
    scores = _scores(f1[:, :draws], time_ratios, baseline_f1[:draws], rule)
    ordered = np.sort(scores, axis=0)  # a rank is 1 + how many are better
    ranks = np.stack([1 + np.searchsorted(ordered[:, d], scores[:, d]) for d in range(draws)], axis=1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (np.quantile(ranks, q, axis=1, method="nearest").astype(np.int64) for q in (tail, 1.0 - tail))
    return low, high


def _scores(f1: Floats, time_ratios: Floats, baseline_f1: Floats, rule: ScoreRule) -> Floats:
    """harness/score.py's, of m entries on all draws at once: a board of 1,000 has 200,000 of them; (m, draws)."""
    x = rule.f1_slope * (baseline_f1 - f1)
    tail = np.exp(-np.abs(x))
    found: Floats = rule.time_weight * time_ratios[:, None] + np.where(x >= 0.0, 1.0, tail) / (1.0 + tail)
    return found
