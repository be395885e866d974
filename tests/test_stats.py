"""The statistics against tables, definitions and seeded simulations."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.metrics import Floats, Ints
from harness.stats import (
    bootstrap_f1,
    geometric_mean_interval,
    less_rows,
    percentile,
    quantile_interval,
    simultaneous_critical,
    standard_error,
    t_critical,
    widening,
)
from harness.student import t_quantile
from tests.conftest import in_subprocess


def significantly_less(values: Floats, errors: Floats, degrees: Ints) -> NDArray[np.bool_]:
    """The whole table of less_rows."""
    rows = list(less_rows(values, errors, degrees))
    return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.bool_)


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (1000, 1.962)]
)
def test_t_is_that_of_the_tables(degrees: int, value: float) -> None:
    assert t_critical(degrees) == pytest.approx(value, abs=0.0005)


def test_t_at_another_confidence_is_that_of_the_tables() -> None:
    assert t_critical(4, 0.99) == pytest.approx(4.604, abs=0.0005)


def test_the_percentile_is_load_gens() -> None:
    hundred = np.arange(1.0, 101.0)
    assert percentile(hundred, 0.50) == 51.0  # sorted[50]
    assert percentile(hundred, 0.99) == 100.0  # sorted[99]
    assert percentile(np.array([3.0]), 0.99) == 3.0


def test_a_percentile_of_too_few_times_is_not_given() -> None:
    assert percentile(np.arange(63.0), 0.9, least=64) is None
    assert percentile(np.arange(64.0), 0.9, least=64) == 57.0
    assert percentile(np.array([]), 0.5) is None


def test_one_pass_gives_a_value_and_no_interval() -> None:
    one = geometric_mean_interval(np.log([0.75]))
    assert one.value == pytest.approx(0.75)
    assert one.low is one.high is one.half_width is None
    assert standard_error(np.array([1.0])) is None


def test_the_geometric_mean_treats_a_ratio_and_its_inverse_alike() -> None:
    there, back = geometric_mean_interval(np.log([0.5, 0.8, 0.6])), geometric_mean_interval(-np.log([0.5, 0.8, 0.6]))
    assert there.value * back.value == pytest.approx(1.0)
    assert there.low is not None
    assert back.high is not None
    assert there.low * back.high == pytest.approx(1.0)


def test_the_interval_of_five_passes_covers_the_truth_in_95_of_100() -> None:
    rng, truth, n = np.random.default_rng(1), math.log(0.8), 2000
    ends = [geometric_mean_interval(rng.normal(truth, 0.01, 5)) for _ in range(n)]
    covered = sum((i.low or math.inf) <= 0.8 <= (i.high or 0.0) for i in ends) / n
    assert 0.93 < covered < 0.97


def test_photos_of_correlated_crops_give_a_wider_bootstrap_than_crops_on_their_own() -> None:
    rng = np.random.default_rng(2)
    photos = np.repeat(np.arange(40), 10)
    easy = np.repeat(rng.random(40) < 0.7, 10)  # a photo is right or wrong as a whole
    truth = rng.integers(0, 3, 400)
    answers = np.where(easy, truth, (truth + 1) % 3)
    confusions = np.zeros((400, 3, 3))
    confusions[np.arange(400), truth, answers] = 1.0
    by_photo, by_crop = bootstrap_f1(confusions, photos, 0), bootstrap_f1(confusions, np.arange(400), 0)
    assert by_photo.std() > 2 * by_crop.std()
    assert by_photo.shape == (1000,)


def test_a_bootstrap_is_the_same_for_the_same_seed() -> None:
    confusions = np.tile(np.eye(2), (6, 1, 1)) + np.arange(6.0)[:, None, None]
    photos = np.array([0, 0, 1, 1, 2, 3])
    assert bootstrap_f1(confusions, photos, 5).tolist() == bootstrap_f1(confusions, photos, 5).tolist()
    assert bootstrap_f1(confusions, photos, 5).tolist() != bootstrap_f1(confusions, photos, 6).tolist()


def test_the_quantile_interval_holds_95_of_100_draws() -> None:
    interval = quantile_interval(0.5, np.linspace(0.0, 1.0, 1001))
    assert interval.value == 0.5
    assert interval.low == pytest.approx(0.025)
    assert interval.high == pytest.approx(0.975)


def _split_share(m: int, errors: Floats, degrees: Ints, boards: int, seed: int) -> float:
    """Share of simulated boards of m equally good entries on which any two are told apart."""
    rng = np.random.default_rng(seed)
    split = 0
    for _ in range(boards):
        passes = [rng.normal(0.0, error * math.sqrt(k + 1), k + 1) for error, k in zip(errors, degrees, strict=True)]
        values = np.array([p.mean() for p in passes])
        estimated = np.array([p.std(ddof=1) / math.sqrt(p.size) for p in passes])
        split += bool(significantly_less(values, estimated, degrees).any())
    return split / boards


@pytest.mark.parametrize("m", [5, 10])
def test_equal_entries_are_told_apart_on_at_most_5_of_100_boards(m: int) -> None:
    share = _split_share(m, np.full(m, 0.01), np.full(m, 4, dtype=np.int64), boards=400, seed=m)
    assert share <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 400)


def test_equal_entries_of_unequal_noise_and_passes_are_not_told_apart_more_often() -> None:
    errors, degrees = np.array([0.001, 0.01, 0.03, 0.002, 0.02, 0.01]), np.array([2, 4, 9, 30, 2, 4])
    share = _split_share(6, errors, degrees, boards=400, seed=3)
    assert share <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 400)


def test_entries_that_differ_by_far_are_told_apart() -> None:
    less = significantly_less(np.array([0.8, 0.9, 0.9]), np.full(3, 0.002), np.full(3, 4, dtype=np.int64))
    assert less.tolist() == [[False, True, True], [False] * 3, [False] * 3]


def test_an_entry_of_two_passes_does_not_make_the_others_tie() -> None:
    values, errors = np.array([0.80, 0.85, 0.82]), np.array([0.005, 0.005, 0.005])
    assert significantly_less(values, errors, np.array([19, 19, 1]))[0, 1]


def test_an_infinite_error_ties_with_everybody_and_leaves_the_others_alone() -> None:
    values, errors = np.array([0.5, 0.8, 0.9]), np.array([math.inf, 0.001, 0.001])
    less = significantly_less(values, errors, np.full(3, 4, dtype=np.int64))
    assert less.tolist() == [[False] * 3, [False, False, True], [False] * 3]


def test_entries_without_any_noise_are_told_apart_by_any_difference() -> None:
    less = significantly_less(np.array([1.0, 1.0, 1.1]), np.zeros(3), np.full(3, 4, dtype=np.int64))
    assert less.tolist() == [[False, False, True], [False, False, True], [False] * 3]


def test_the_bound_for_large_boards_is_never_below_the_simulated_value() -> None:
    degrees = np.full(65, 8, dtype=np.int64)
    assert simultaneous_critical(np.full(65, 0.01), degrees) >= simultaneous_critical(np.full(64, 0.01), degrees[:64])


def test_boards_of_no_or_one_entry_have_no_pairs() -> None:
    assert simultaneous_critical(np.array([]), np.array([], dtype=np.int64)) == 0.0
    assert significantly_less(np.array([1.0]), np.array([0.1]), np.array([4])).tolist() == [[False]]
    assert significantly_less(np.array([]), np.array([]), np.array([], dtype=np.int64)).shape == (0, 0)


def test_the_critical_value_is_the_same_each_time() -> None:
    errors, degrees = np.array([0.01, 0.02, 0.03]), np.array([4, 4, 4])
    assert simultaneous_critical(errors, degrees) == simultaneous_critical(errors, degrees)


def test_fewer_passes_widen_an_error_more() -> None:
    factors = widening(np.array([1, 2, 4, 20, 1000])).tolist()
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.975, 0.9995, 0.999975, 1 - 1e-7])
def test_students_quantile_is_scipys(probability: float) -> None:
    degrees = [*range(1, 60), 99, 100, 500, 999, 1000, 1001, 1500, 10_000, 1_000_000]
    ours = [t_quantile(probability, its) for its in degrees]
    assert ours == pytest.approx(stdtrit(degrees, probability).tolist(), rel=1e-8, abs=1e-12)


def test_a_leaderboard_loads_no_scipy() -> None:
    code = (
        "import sys\nfrom harness.cli import run\n"
        "run(['leaderboard', '--data', 'embedded'])\nprint('scipy' in sys.modules, file=sys.stderr)"
    )
    assert in_subprocess(code).stderr.splitlines()[-1] == "False"
