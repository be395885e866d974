"""Ranks and their ties, and the probability of a pair."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.record import Record
from harness.report.formats import FORMATS
from harness.report.rank import boards, p_better
from tests.builders import (
    CREATED,
    make_data,
    make_failed,
    make_field,
    make_isolation,
    make_machine,
    make_record,
    make_result,
    make_rules,
)
from tests.report.making import board_of, ranks, row_of

RULES = make_rules()


# --- ranks


def test_entries_that_are_far_apart_are_ranked_one_by_one() -> None:
    board = board_of(*make_field([0.5, 0.7, 0.9, 1.1], sd=0.005, seed=0))
    assert list(ranks(board).values()) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [row.submission.name for row in board.rows] == ["entry0", "entry1", "entry2", "entry3"]


def test_entries_that_a_rerun_could_swap_share_their_best_rank() -> None:
    board = board_of(*make_field([0.5, 0.8, 0.8, 1.1], sd=0.005, seed=1))
    shown = ranks(board)
    assert shown["entry0"] == (1, 1)
    assert shown["entry1"] == shown["entry2"] == (2, 3)
    assert shown["entry3"] == (4, 4)
    assert [row.rank for row in board.rows] == [1, 2, 2, 4]


def test_a_row_of_one_pass_ties_with_everybody_and_leaves_the_others_alone() -> None:
    board = board_of(*make_field([0.5, 0.9], sd=0.003, seed=2), make_record("once", result=make_result((-0.4,))))
    assert ranks(board) == {"entry0": (1, 2), "entry1": (2, 3), "once": (1, 3)}
    assert {row.submission.name: row.score_error is None for row in board.rows}["once"]


def test_reruns_make_a_row_more_certain() -> None:
    few, many = (make_field([0.80, 0.81], 0.01, 3, passes) for passes in (3, 200))
    assert ranks(board_of(*few))["entry1"][0] == 1
    assert ranks(board_of(*many))["entry1"][0] == 2


def test_equal_entries_are_split_on_at_most_5_of_100_boards() -> None:
    split = sum(any(row.rank != 1 for row in board_of(*make_field([0.8] * 5, 0.01, seed)).rows) for seed in range(200))
    assert split <= 200 * 0.05 + 2.5 * math.sqrt(200 * 0.05 * 0.95)


def test_records_of_different_keys_are_never_ranked_together() -> None:
    made = boards(
        [
            make_record("a"),
            make_record("b", isolation=make_isolation("landlock")),
            make_record("c", machine=make_machine(cpu="another")),
            make_record("d", scenario="batch"),
            make_record("e", data=make_data("paper")),
        ],
        RULES,
    )
    assert [len(board.rows) for board in made] == [1] * 5
    assert {row.rank for board in made for row in board.rows} == {1}


def test_no_records_make_no_boards() -> None:
    assert boards([], RULES) == ()


FIELD = [
    *make_field([0.6, 0.61, 0.8, 0.8, 1.2], 0.01, 4),
    *make_field([0.62, 0.6], 0.01, 5, passes=3),  # reruns of the first two
    make_record("once", result=make_result((-0.4,))),
    make_record("weak", result=make_result(f1=0.2)),
    make_record("odd", result=make_result(flags=("baseline_disturbed",))),
    make_record("colour_histogram", created_utc="2026-11-25T08:45:32Z"),
    make_record("elsewhere", isolation=make_isolation("process")),
    make_failed("dead"),
    make_failed("dead", message="another", seed=5),
    make_failed("nowhere", isolation=None),
]
EXPECTED = boards(FIELD, RULES)


@given(st.permutations(FIELD))
@settings(max_examples=40, deadline=None)
def test_a_board_does_not_depend_on_the_order_of_the_records(shuffled: list[Record]) -> None:
    assert boards(shuffled, RULES) == EXPECTED
    for form in FORMATS.values():
        assert form(boards(shuffled, RULES)) == form(EXPECTED)


def test_three_hundred_records_are_ranked_well_within_a_second() -> None:
    names = [f"entry{i}" for i in range(300)]
    rng = np.random.default_rng(6)
    field = [make_record(n, result=make_result(rng.normal(-0.2, 0.1, 5).tolist())) for n in names]
    start = time.perf_counter()
    (board,) = boards(field, RULES)
    assert time.perf_counter() - start < 1.0
    assert len(board.rows) == 300


# --- a pair


def test_the_probability_of_a_pair_adds_up_to_one() -> None:
    a, b = board_of(*make_field([0.80, 0.81], 0.01, 7)).rows
    assert p_better(a, b) + p_better(b, a) == pytest.approx(1.0)
    assert p_better(a, b) > 0.5
    assert p_better(a, a) == 0.5


def test_the_probability_of_a_pair_knows_certainty_and_ignorance() -> None:
    quick, slow, once = (
        row_of(make_record(result=make_result(logs))) for logs in ((-0.5, -0.5), (-0.4, -0.4), (-0.6,))
    )
    assert p_better(quick, slow) == 1.0
    assert p_better(slow, quick) == 0.0
    assert p_better(quick, quick) == 0.5
    assert p_better(quick, once) == 0.5


def test_a_failed_row_has_no_probability() -> None:
    with pytest.raises(ValueError, match="two rows with scores"):
        p_better(row_of(make_record()), row_of(make_failed()))


def test_the_probability_of_equal_entries_is_spread_evenly() -> None:
    pairs = [board_of(*make_field([0.8, 0.8], 0.01, seed)).rows for seed in range(150)]
    values = sorted(p_better(*sorted(pair, key=lambda row: row.submission.name)) for pair in pairs)
    assert sum(p < 0.05 for p in values) < 17
    assert 0.4 < float(np.mean(values)) < 0.6
    assert pairs[0][0].created_utc == CREATED
