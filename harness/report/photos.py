"""The range of ranks that other test photos would give: every entry on the same drawn photos. Pure.

Beside the rerun's ranks, never mixed with them: times are as measured here, only the photos change.
"""

from collections.abc import Sequence

import numpy as np

from harness.metrics import Floats, Ints
from harness.record import Result
from harness.score import ScoreRule, score
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
    draws = range(min(f1.shape[1], baseline_f1.size))
    scores = np.array(
        [
            [score(float(its[d]), float(ratio), float(baseline_f1[d]), rule) for d in draws]
            for its, ratio in zip(f1, time_ratios, strict=True)
        ]
    )
    ordered = np.sort(scores, axis=0)  # a rank is 1 + how many are better
    ranks = np.array([[1 + np.searchsorted(ordered[:, d], its[d]) for d in draws] for its in scores])
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (np.quantile(ranks, q, axis=1, method="nearest").astype(np.int64) for q in (tail, 1.0 - tail))
    return low, high
