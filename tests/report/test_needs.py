"""What the next rank would take, checked by giving it."""

import math

import pytest

from harness.report.needs import next_rank
from harness.score import score
from tests.builders import make_field, make_record, make_result, make_rules
from tests.report.making import board_of

RULES = make_rules()


def test_the_milliseconds_and_the_f1_that_are_said_are_enough() -> None:
    board = board_of(*make_field([0.6, 0.8], sd=0.002, seed=0))
    row = next(row for row in board.rows if row.submission.name == "entry1")
    needs = next_rank(row, board, RULES)
    assert needs is not None
    assert (needs.rank, needs.name) == (1, "entry0")
    assert row.time_ratio is not None
    assert row.f1 is not None
    assert needs.ms is not None
    assert needs.f1 is not None
    assert board.baseline_f1 is not None
    faster = row.time_ratio.value - needs.ms / 5.0  # the baseline takes 5 ms a crop
    assert score(row.f1.value, faster, board.baseline_f1, RULES.score) == pytest.approx(needs.score)
    better = row.f1.value + needs.f1
    assert score(better, row.time_ratio.value, board.baseline_f1, RULES.score) == pytest.approx(needs.score)


def test_the_first_and_those_that_are_not_ranked_need_nothing() -> None:
    board = board_of(*make_field([0.6, 0.8], sd=0.002, seed=0), make_record("weak", result=make_result(f1=0.1)))
    rows = {row.submission.name: row for row in board.rows}
    assert next_rank(rows["entry0"], board, RULES) is None
    assert next_rank(rows["weak"], board, RULES) is None


def test_what_cannot_be_bought_is_not_offered() -> None:
    logs = [math.log(4.0) + d for d in (-0.001, 0.0, 0.001)]
    slow = make_record("slow", result=make_result(logs, f1=0.85))
    fast = make_record("fast", result=make_result([math.log(0.1) + d for d in (-0.001, 0.0, 0.001)], f1=0.85))
    board = board_of(slow, fast)
    row = next(row for row in board.rows if row.submission.name == "slow")
    needs = next_rank(row, board, RULES)
    assert needs is not None
    assert needs.f1 is None  # time is worth more than all of F1's share
    assert needs.ms is not None
