"""Ranking: pooled, tied, ordered, and the same for any order of the records."""

import math

import msgspec
import numpy as np
import pytest

from harness.report.rank import boards
from harness.rules import Eligibility, Frozen
from harness.score import score
from harness.stats import Interval, standard_error
from tests.builders import (
    digest_of,
    make_data,
    make_failed,
    make_latency,
    make_package,
    make_record,
    make_result,
    make_rules,
)
from tests.report.making import board_of, row_of

RULES = make_rules()


# --- one package, its records pooled


def test_a_row_of_one_record_has_the_records_own_numbers() -> None:
    record = make_record()
    row, result = row_of(record), record.result
    assert result is not None
    assert row.time_ratio == result.time_ratio
    assert row.f1 == result.f1
    assert row.latency == result.submission_latency
    assert row.score is not None
    assert row.score.value == result.score.value
    assert row.score_error == pytest.approx(result.score_error)
    assert row.score.high == pytest.approx(result.score.high)
    assert row.score_photos == result.score_photos
    assert (row.passes, row.runs, row.eligible, row.target_met, row.steady) == (5, 1, True, False, True)
    assert row.records == (record.digest,)


def test_all_records_of_a_package_are_pooled_so_that_reruns_cannot_be_fished_for() -> None:
    lucky, slow = [-0.30, -0.31, -0.29], [-0.20, -0.21, -0.19]
    row = row_of(
        make_record(seed=1, result=make_result(lucky, f1=0.80)), make_record(seed=2, result=make_result(slow, f1=0.82))
    )
    logs = np.array(lucky + slow)
    assert (row.runs, row.passes) == (2, 6)
    assert row.time_ratio is not None
    assert row.time_ratio.value == pytest.approx(math.exp(logs.mean()))
    assert row.f1 is not None
    assert row.f1.value == pytest.approx(0.81)
    assert row.score is not None
    assert row.score.value == pytest.approx(score(0.81, math.exp(logs.mean()), 0.80))


def test_the_pooled_error_is_the_times_by_the_delta_method() -> None:
    parts = [-0.30, -0.31, -0.29], [-0.28, -0.32, -0.30]
    row = row_of(*(make_record(seed=i, result=make_result(part)) for i, part in enumerate(parts)))
    logs = np.array([*parts[0], *parts[1]])
    assert row.score_error == pytest.approx(0.5 * math.exp(logs.mean()) * (standard_error(logs) or math.nan))


def test_answers_that_change_on_a_rerun_widen_the_pooled_error() -> None:
    same = [make_record(seed=i, result=make_result()) for i in range(4)]
    moving = [make_record(seed=i, result=make_result(f1=0.78 + i * 0.01)) for i in range(4)]
    own = make_record(result=make_result(score_error=0.05))
    assert row_of(*moving).score_error > 2 * row_of(*same).score_error  # type: ignore[operator]
    assert row_of(own).score_error == pytest.approx(0.05)


def test_the_same_record_given_twice_counts_once() -> None:
    assert row_of(make_record(), make_record()).runs == 1


def test_equal_f1_values_stay_exactly_equal_when_they_are_pooled() -> None:
    for f1 in (0.1, 0.7, 0.8046199686346566, 1 / 3):
        reruns = [make_record(seed=i, result=make_result((-0.3, -0.31), f1=f1, baseline_f1=f1)) for i in range(7)]
        assert row_of(*reruns).target_met


def test_another_package_of_the_same_name_has_its_own_row() -> None:
    board = board_of(make_record(), make_record(submission=make_package("mbv3_cut", digest_of("later weights"))))
    assert [row.runs for row in board.rows] == [1, 1]


def test_a_disturbed_record_is_left_out_where_the_package_has_another() -> None:
    disturbed = make_record(seed=2, result=make_result((-0.9, -0.9, -0.9), flags=("baseline_disturbed",)))
    row = row_of(make_record(seed=1), disturbed)
    assert (row.runs, row.left_out, row.rank, row.flags) == (1, 1, 1, ())


def test_a_package_whose_records_are_all_disturbed_is_shown_and_not_ranked() -> None:
    row = row_of(make_record(result=make_result(flags=("baseline_disturbed", "answers_differ"))))
    assert row.rank is None
    assert row.reason is not None
    assert row.reason.startswith("baseline_disturbed")
    assert row.flags == ("answers_differ", "baseline_disturbed")
    assert row.score is not None


def test_records_that_are_not_published_mark_their_row_local() -> None:
    here, there = make_record("here"), make_record("there")
    (board,) = boards([here, there], RULES, local={here.digest})
    assert {row.submission.name: row.local for row in board.rows} == {"here": True, "there": False}


def test_latencies_are_means_and_missing_percentiles_stay_missing() -> None:
    quick, slow = make_latency(4.0), msgspec.structs.replace(make_latency(6.0), p90_ms=None)
    row = row_of(*(make_record(seed=i, result=make_result(submission_latency=x)) for i, x in enumerate((quick, slow))))
    assert row.latency is not None
    assert (row.latency.mean_ms, row.latency.p90_ms, row.latency.p99_ms) == (5.0, quick.p90_ms, None)


# --- eligibility, target, reference lines


def test_an_ineligible_row_is_shown_and_never_ranked() -> None:
    board = board_of(make_record("good"), make_record("fast", result=make_result((-5.0, -5.1, -5.0), f1=0.6)))
    good, fast = board.rows
    assert (good.submission.name, good.rank) == ("good", 1)
    assert (fast.rank, fast.eligible, fast.target_met) == (None, False, False)
    assert fast.score is not None
    assert good.score is not None
    assert fast.score.value != good.score.value
    assert fast.reason == "not eligible: F1 0.6000 is below 0.7200"


def test_the_target_is_met_with_the_baselines_f1_in_the_targets_time() -> None:
    times = {"at": 0.8 - 1e-9, "above": 0.801}
    for name, ratio in times.items():
        logs = (math.log(ratio),) * 3
        assert row_of(make_record(result=make_result(logs))).target_met == (name == "at")
    assert not row_of(make_record(result=make_result((-1.0, -1.0), f1=0.799))).target_met


def test_the_baseline_and_the_target_are_lines_to_compare_with() -> None:
    board = board_of(make_record())
    target, baseline = board.references
    assert (target.name, target.time_ratio) == ("target", 0.8)
    assert target.score == pytest.approx(0.9)
    assert (baseline.name, baseline.score, baseline.f1) == ("reference", 1.0, 0.8)
    assert baseline.latency is not None
    assert baseline.latency.mean_ms == 5.0


def test_a_frozen_f1_is_what_every_row_is_scored_against() -> None:
    record = make_record(result=make_result(f1=0.85, baseline_f1=0.80))
    key = record.key()
    row = row_of(record, board=(Frozen(data=key.data, baseline=key.baseline, baseline_f1=0.85),))
    assert row.score is not None
    assert row.time_ratio is not None
    assert row.score.value == pytest.approx(0.5 * row.time_ratio.value + 0.5)


def test_records_under_other_rules_keep_their_own_scores_and_say_so() -> None:
    record = make_record(result=make_result(score=Interval(0.123, 0.1, 0.2)))
    (board,) = boards([record], make_rules(eligible=Eligibility(f1_drop=0.0, f1_share=1.0)))
    assert board.rows[0].score is not None
    assert board.rows[0].score.value == 0.123
    assert board.rows[0].rank == 1
    assert (board.references, board.least_f1) == ((), None)
    assert "other rules" in board.notes[0]


@pytest.mark.parametrize(("f1", "said"), [(0.79, True), (0.5, False)])
def test_an_eligible_canary_is_told_on_the_board(f1: float, said: bool) -> None:
    board = board_of(make_record(), make_record("colour_histogram", result=make_result(f1=f1)))
    note = "the canary colour_histogram is eligible: this data set is too small or too easy to rank on"
    assert (note in board.notes) == said
    assert len(board.rows) == 2


def test_a_canary_that_is_the_baseline_is_no_news() -> None:
    board = board_of(make_record("colour_histogram", baseline=make_package("colour_histogram")))
    assert board.notes == ()


# --- failures


def test_a_package_that_only_failed_has_one_row_for_its_newest_failure() -> None:
    old = make_failed(message="the first time", created_utc="2026-11-23T08:45:32Z")
    row = row_of(old, make_failed(message="it raised again"))
    assert (row.status, row.rank, row.runs, row.score) == ("failed", None, 0, None)
    assert row.reason == "submission: raised: it raised again"


def test_a_failure_of_a_package_with_a_result_is_not_shown() -> None:
    assert row_of(make_record("mine"), make_failed("mine", created_utc="2027-01-01T00:00:00Z")).status == "ok"


def test_rows_are_ranked_then_not_ranked_then_failed() -> None:
    board = board_of(
        make_failed("a"),
        make_failed("b", status="interrupted"),
        make_record("c", result=make_result(f1=0.1)),
        make_record("d"),
    )
    assert [(row.submission.name, row.status) for row in board.rows] == [
        ("d", "ok"),
        ("c", "ok"),
        ("a", "failed"),
        ("b", "interrupted"),
    ]


def test_a_run_without_a_worker_is_shown_on_the_board_that_is_else_equal() -> None:
    board = board_of(make_record("good"), make_failed("dead", isolation=None))
    assert [row.submission.name for row in board.rows] == ["good", "dead"]
    (alone,) = boards([make_failed("dead", isolation=None)], RULES)
    assert alone.key.isolation == "none"
    assert alone.baseline_f1 is None


def test_messages_and_names_are_cleaned_once_for_all_formats() -> None:
    evil = "\x1b[31mred\x1b[0m\u202e\nline|two\x07"
    record = make_failed(message=evil, submission=make_package(evil, authors=evil), data=make_data(evil))
    board = board_of(record, make_record(result=None, data=make_data(evil)))
    texts = [board.data, board.rows[-1].submission.name, board.rows[-1].submission.authors, str(board.rows[-1].reason)]
    assert all(text.endswith("red line|two") for text in texts)
