"""Simulations behind docs/measurement.md: does a 95 % interval cover, are equal entries told apart?

python docs/experiments/coverage.py > docs/experiments/coverage.json    a minute; seeded
"""

import json
import sys

import numpy as np

from harness.stats import History, geometric_mean_interval, mean_error, passes_for, times_less

DRAWS = 4000
HISTORY = 30  # degrees of freedom of the machine's history


def coverage(passes: int, scatter: float, history: bool, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Share of intervals that hold the truth, and their mean half-width over that of Student's t alone.

    `scatter`: standard deviation of a pass's log ratio, in that of the machine's history (.01).
    """
    rng = np.random.default_rng([seed, passes, int(100 * scatter)])
    covered, half, alone = 0, 0.0, 0.0
    for _ in range(draws):
        logs = rng.normal(0.0, 0.01 * scatter, passes)
        known = History(0.01**2 * rng.chisquare(HISTORY) / HISTORY, HISTORY) if history else None
        interval, plain = geometric_mean_interval(logs, mean_error(logs, known)), geometric_mean_interval(logs)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1.0 <= interval.high
        half += interval.half_width or 0.0
        alone += plain.half_width or 0.0
    return covered / draws, half / alone


def official(scatter: float, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Coverage and mean number of passes of official runs: a pilot of 5 fixes K for a half-width of 1 %, at most 40."""
    rng = np.random.default_rng([seed, int(1e4 * scatter)])
    covered, passes = 0, 0
    for _ in range(draws):
        logs = rng.normal(0.0, scatter, 40)
        count = min(max(passes_for(logs[:5], 0.01), 5), 40)
        interval = geometric_mean_interval(logs[:count], mean_error(logs[:count], None, 5))
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1.0 <= interval.high
        passes += count
    return covered / draws, passes / draws


def splits(entries: int, passes: int, boards: int = 600, seed: int = 0) -> float:
    """Share of boards of equal entries in which any two are told apart."""
    rng = np.random.default_rng([seed, entries, passes])
    told = 0
    for _ in range(boards):
        logs = rng.normal(0.0, 0.01, (entries, passes))
        errors = logs.std(axis=1, ddof=1) / np.sqrt(passes)
        told += times_less(logs.mean(axis=1), errors, np.full(entries, passes - 1))[0].any()
    return told / boards


def main() -> None:
    """Prints all of it as JSON."""
    covered = [
        {"passes": n, "scatter": s, "history": h, "coverage": c, "width": round(w, 3)}
        for n in (3, 5, 10, 20)
        for s in (0.3, 0.5, 1.0, 1.5, 3.0)
        for h in (False, True)
        for c, w in [coverage(n, s, h)]
    ]
    told = [{"entries": m, "passes": n, "told_apart": splits(m, n)} for m in (5, 10, 20) for n in (5, 10)]
    fixed = [
        {"scatter": s, "coverage": c, "passes": round(n, 1)} for s in (0.003, 0.01, 0.02) for c, n in [official(s)]
    ]
    json.dump({"draws": DRAWS, "coverage": covered, "official": fixed, "equal_entries": told}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
