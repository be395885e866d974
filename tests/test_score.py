"""The score against every published result, and what it refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.score import ScoreRule, score, sigmoid, time_ratio

BASELINE_F1, BASELINE_TIME_S = 0.7000, 43.16  # the original competition's constants
PUBLISHED = [  # entry, F1, time in s, published score, its tolerance (3 published digits: .002)
    ("target", 0.7000, 60.0000, 1.1950, 0.0005),
    ("mobilenetv3 cut, 150 epochs, public", 0.7005, 58.3412, 1.1732, 0.0005),
    ("mobilenetv3 cut, 200 epochs, public", 0.7012, 58.1225, 1.1676, 0.0005),
    ("mobilenetv3 cut, 200 epochs, private", 0.6986, 58.1225, 1.1804, 0.0005),
    ("mobilenetv3 cut, 100 epochs", 0.6870, 63.0780, 1.2950, 0.002),
    ("full mobilenetv3, 224 px", 0.6880, 84.9850, 1.5460, 0.002),
    ("other team 1", 0.7194, 63.6555, 1.1415, 0.0005),
    ("other team 2", 0.6897, 59.3327, 1.2388, 0.0005),
    ("other team 3", 0.7013, 55.7934, 1.1397, 0.0005),
    ("other team 4", 0.6465, 48.6440, 1.3080, 0.0005),
    ("resnet18d, public", 0.7478, 61.2576, 0.9875, 0.0005),
    ("resnet18d, private", 0.7520, 61.2576, 0.9710, 0.0005),
    ("template mobilenetv3", 0.6484, 67.6218, 1.5207, 0.0005),
    ("truncated VGG11", 0.7531, 68.5204, 1.0503, 0.0005),
]
ANY_F1 = st.floats(0.0, 1.0)


@pytest.mark.parametrize(("f1", "time_s", "published", "within"), [row[1:] for row in PUBLISHED], ids=str)
def test_every_published_result_is_reproduced(f1: float, time_s: float, published: float, within: float) -> None:
    assert score(f1, time_ratio(time_s, BASELINE_TIME_S), BASELINE_F1) == pytest.approx(published, abs=within)


@given(ANY_F1)
def test_the_baseline_scores_exactly_one(f1: float) -> None:
    assert score(f1, 1.0, f1) == 1.0


@given(ANY_F1, ANY_F1, st.floats(0.0, 1e300), st.floats(0.0, 1e6))
def test_no_finite_input_overflows(f1: float, baseline_f1: float, ratio: float, slope: float) -> None:
    assert math.isfinite(score(f1, ratio, baseline_f1, ScoreRule(time_weight=0.5, f1_slope=slope)))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_sigmoid_stays_in_its_range_and_is_symmetric(x: float) -> None:
    assert 0.0 <= sigmoid(x) <= 1.0
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1.0)


@given(ANY_F1, ANY_F1, ANY_F1, st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_more_accurate_and_faster_is_never_worse(base: float, a: float, b: float, s: float, t: float) -> None:
    assert score(max(a, b), min(s, t), base) <= score(min(a, b), max(s, t), base)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.01, 1.01, 87.0])
def test_an_f1_outside_0_to_1_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match="F1: expected a number from 0 to 1"):
        score(wrong, 1.0, 0.7)
    with pytest.raises(UsageError, match="baseline F1"):
        score(0.7, 1.0, wrong)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.01])
def test_a_time_that_is_not_a_finite_positive_number_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match="time ratio: expected a finite number"):
        score(0.7, wrong, 0.7)
    with pytest.raises(UsageError, match="time: expected a finite number"):
        time_ratio(wrong, 43.16)
    with pytest.raises(UsageError, match="baseline time: expected a finite number"):
        time_ratio(58.1, wrong)


def test_a_baseline_that_takes_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="> 0"):
        time_ratio(1.0, 0.0)


def test_a_ratio_that_no_float_holds_is_refused() -> None:
    with pytest.raises(UsageError, match="a float can hold"):
        time_ratio(1e308, 1e-308)


def test_a_hundredth_of_f1_near_the_baseline_is_worth_a_tenth_of_its_time() -> None:
    assert score(0.7, 1.0, 0.7) - score(0.71, 1.0, 0.7) == pytest.approx(0.05, abs=0.0005)
    assert score(0.7, 1.1, 0.7) - score(0.7, 1.0, 0.7) == pytest.approx(0.05, abs=1e-9)
