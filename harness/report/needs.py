"""What the next rank would take: milliseconds a crop or macro F1, and what this machine can tell apart. Pure."""

import math
from typing import NamedTuple

from harness.report.board import Board, Row
from harness.rules import Rules
from harness.score import sigmoid


class Needs(NamedTuple):
    """To reach the score of the entry just above, more than a share of its rank takes.

    `ms` and `f1` are None where that alone cannot do it.
    """

    rank: int
    name: str
    score: float
    ms: float | None  # less time a crop, in ms
    f1: float | None  # more macro F1
    resolved: float | None  # a rerun here moves this row's score by so much, at 95 %


def next_rank(row: Row, board: Board, rules: Rules) -> Needs | None:
    """What `row` needs for the next better rank of its board; None where it is first or not ranked."""
    if row.rank is None or row.score is None or row.f1 is None or row.time_ratio is None or board.baseline_f1 is None:
        return None
    above = (
        other
        for other in reversed(board.rows)  # the worst first; an erratic entry may share a better rank at a worse score
        if other.rank is not None and other.rank < row.rank and other.score and other.score.value < row.score.value
    )
    rival = next(above, None)
    if rival is None or rival.score is None or rival.rank is None:
        return None
    gap = row.score.value - rival.score.value
    return Needs(
        rank=rival.rank,
        name=rival.submission.name,
        score=rival.score.value,
        ms=_less_ms(gap, row, board, rules),
        f1=_more_f1(gap, row.f1.value, board.baseline_f1, rules),
        resolved=row.score.half_width,
    )


def _less_ms(gap: float, row: Row, board: Board, rules: Rules) -> float | None:
    """ms a crop that are worth `gap` of the score; None where the row does not take as long."""
    baseline = next((line.latency for line in board.references if line.latency is not None), None)
    if baseline is None or row.latency is None or not rules.score.time_weight:
        return None
    ms = gap / rules.score.time_weight * baseline.mean_ms
    return ms if ms < row.latency.mean_ms else None


def _more_f1(gap: float, f1: float, baseline_f1: float, rules: Rules) -> float | None:
    """F1 that is worth `gap` of the score; None where even an F1 of 1 is not."""
    slope = rules.score.f1_slope
    wanted = sigmoid(slope * (baseline_f1 - f1)) - gap
    if not 0.0 < wanted < 1.0 or not slope:
        return None
    needed = baseline_f1 - math.log(wanted / (1.0 - wanted)) / slope
    return needed - f1 if needed <= 1.0 else None
