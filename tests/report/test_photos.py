"""The range of ranks that other photos would give."""

import numpy as np

from harness.report.photos import photo_ranks
from harness.score import ScoreRule, score
from tests.builders import make_record, make_result, make_rules
from tests.report.making import board_of

RULE = ScoreRule()
BASE = np.full(100, 0.7)


def test_entries_whose_photos_decide_have_a_range() -> None:
    rng = np.random.default_rng(0)
    f1 = 0.7 + rng.normal(0, 0.03, (2, 100))  # independent: each wins about half of the draws
    low, high = photo_ranks(f1, np.array([0.8, 0.8]), BASE, RULE)
    assert low.tolist() == [1, 1]
    assert high.tolist() == [2, 2]


def test_the_draws_are_paired() -> None:
    shared = np.random.default_rng(0).normal(0, 0.03, 100)
    f1 = np.stack([0.7 + shared, 0.69 + shared])  # always .01 apart, though each moves by more
    low, high = photo_ranks(f1, np.array([0.8, 0.8]), BASE, RULE)
    assert low.tolist() == high.tolist() == [1, 2]


def test_equal_entries_share_a_rank() -> None:
    f1 = np.full((3, 100), 0.7)
    low, high = photo_ranks(f1, np.array([0.8, 0.8, 0.9]), BASE, RULE)
    assert low.tolist() == high.tolist() == [1, 1, 3]


def test_ranks_are_by_the_score_of_each_draw() -> None:
    rng = np.random.default_rng(0)
    f1, base = rng.uniform(0.0, 1.0, (5, 40)), rng.uniform(0.0, 1.0, 40)
    ratios = rng.uniform(0.1, 3.0, 5)
    rule = ScoreRule(time_weight=0.3, f1_slope=900.0)  # so steep that exp would overflow
    scores = [[score(f1[i, d], ratios[i], base[d], rule) for d in range(40)] for i in range(5)]
    ranks = np.array([[1 + sum(scores[j][d] < scores[i][d] for j in range(5)) for d in range(40)] for i in range(5)])
    low, high = photo_ranks(f1, ratios, base, rule)
    assert low.tolist() == np.quantile(ranks, 0.025, axis=1, method="nearest").tolist()
    assert high.tolist() == np.quantile(ranks, 0.975, axis=1, method="nearest").tolist()


def test_a_board_shows_the_range_beside_the_rank_of_reruns() -> None:
    close = [make_record(f"e{n}", result=make_result([-0.22 + 0.01 * n] * 4 + [-0.2201], f1=0.8)) for n in range(2)]
    wide = np.linspace(-0.05, 0.05, 20)
    moved = make_result([-0.21] * 5, f1=0.8, drawn_f1=tuple((0.8 - wide).tolist()))
    board = board_of(*close, make_record("moved", result=moved))
    shown = {row.submission.name: (row.photo_rank_low, row.photo_rank_high) for row in board.rows}
    assert shown["moved"] == (1, 3)
    assert shown["e0"][0] == 1


def test_rules_that_are_not_known_give_no_range() -> None:
    board = board_of(make_record("a", rules="0" * 64))
    assert board.rows[0].photo_rank_low is None
    assert make_rules().digest() != "0" * 64
