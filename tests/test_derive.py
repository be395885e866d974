"""From raw times and answers to every number: known truths in, the same truths out."""

import math

import msgspec
import numpy as np
import pytest
from sklearn.metrics import f1_score

from harness.derive import derive
from harness.raw import Raw, RawFloor, RawLeg, RawPass
from harness.rules import Rules
from harness.timed import floor_ns

COUNT = 300


def raw(
    ratio: float = 0.8,
    passes: int = 5,
    noise: float = 0.01,
    drift: float = 0.0,
    disturbance: float = 1.0,
    seed: int = 0,
    floor_us: float = 0.0,
    slow_share: float = 0.0,
    accuracy: float = 0.8,
    flip: float = 0.0,
    baseline_f1: float | None = None,
) -> Raw:
    """A run whose truth is known: per-crop cost grows with the crop, a process has its luck, the clock may drift."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, COUNT)
    cost = rng.uniform(2e6, 8e6, COUNT)
    wrong = (labels + 1) % 6
    right = rng.random(COUNT) < accuracy
    slow = np.where(rng.random(COUNT) < slow_share, 10.0, 1.0)
    made = []
    for number in range(passes):
        crops = rng.permutation(COUNT) if number == 0 else rng.permutation(COUNT)[:150]
        luck = np.exp(rng.normal(0, noise, 2))
        blocks = np.array_split(np.arange(crops.size), crops.size // 25)
        time = np.zeros((2, crops.size))
        at, sides = 0.0, ((0, 1) if rng.integers(2) else (1, 0))
        for block in blocks:
            for side in sides:
                for place in block:
                    crop = crops[place]
                    base = cost[crop] * luck[side] * (1 + drift * at)
                    time[side, place] = base * (ratio * slow[crop] if side == 0 else disturbance) + floor_us * 1e3
                    at += 1.0 / (2 * crops.size)
        answers = np.where(right[crops], labels[crops], wrong[crops])
        flipped = rng.random(crops.size) < flip
        made.append(
            RawPass(
                first="submission" if sides[0] == 0 else "baseline",
                blocks=tuple(block.size for block in blocks),
                crops=tuple(crops.tolist()),
                submission_ns=tuple(time[0].astype(int).tolist()),
                baseline_ns=tuple(time[1].astype(int).tolist()),
                submission_labels=tuple(np.where(flipped, wrong[crops], answers).tolist()),
                baseline_labels=tuple(labels[crops].tolist()),
            )
        )
    alone = []
    for _ in range(2):
        crops = rng.permutation(COUNT)[:150]
        luck = math.exp(rng.normal(0, noise))
        alone.append(RawLeg(tuple(crops.tolist()), tuple((cost[crops] * luck + floor_us * 1e3).astype(int).tolist())))
    floor = RawFloor(5_000_000, (5_000_000 + int(floor_us * 1e3),) * 9)
    return Raw(
        classes=("a", "b", "c", "d", "e", "f"),
        labels=tuple(labels.tolist()),
        photos=tuple(f"{crop // 2}" for crop in range(COUNT)),
        splits=("test-public",) * COUNT,
        baseline_f1=baseline_f1,
        seed=seed,
        passes=tuple(made),
        alone=tuple(alone),
        floor=(floor,),
    )


def test_the_same_raw_file_gives_the_same_result(the_rules: Rules) -> None:
    assert derive(raw(), the_rules) == derive(raw(), the_rules)


def test_the_true_ratio_is_inside_its_interval_in_about_95_of_100_runs(the_rules: Rules) -> None:
    inside = 0
    for seed in range(200):
        interval = derive(raw(seed=seed, passes=5), the_rules).time_ratio
        assert interval.low is not None
        assert interval.high is not None
        inside += interval.low <= 0.8 <= interval.high
    assert 182 <= inside <= 199


def test_a_drift_of_5_percent_moves_the_ratio_by_less_than_half_a_percent(the_rules: Rules) -> None:
    still, drifting = (derive(raw(noise=0.0, drift=d), the_rules).time_ratio.value for d in (0.0, 0.05))
    assert abs(drifting / still - 1) < 0.005


def test_a_submission_that_is_ten_times_slower_on_some_crops_gets_its_true_total(the_rules: Rules) -> None:
    result = derive(raw(noise=0.0, slow_share=0.4, ratio=0.5), the_rules)
    one = raw(noise=0.0, slow_share=0.4, ratio=0.5).passes[0]
    assert math.exp(result.log_ratios[0]) == pytest.approx(sum(one.submission_ns) / sum(one.baseline_ns), rel=1e-6)
    assert result.time_ratio.value > 1.5


def test_the_floor_is_taken_off_both_sides(the_rules: Rules) -> None:
    result = derive(raw(noise=0.0, ratio=0.1, floor_us=50.0), the_rules)
    assert result.time_ratio.value == pytest.approx(0.1, rel=1e-3)
    assert result.submission_floor_us == pytest.approx(50.0)


def test_the_floor_is_interpolated_between_dwells() -> None:
    legs = (RawFloor(500_000, (520_000, 522_000, 524_000)), RawFloor(5_000_000, (5_033_000,)))
    assert floor_ns(legs, 100_000) == 22_000
    assert floor_ns(legs, 2_750_000) == pytest.approx(27_500)
    assert floor_ns(legs, 50_000_000) == 33_000
    assert floor_ns((), 1.0) == 0.0


def test_a_submission_below_the_floor_is_flagged_and_keeps_a_finite_ratio(the_rules: Rules) -> None:
    low = raw(noise=0.0)
    instant = msgspec.structs.replace(
        low,
        passes=tuple(msgspec.structs.replace(p, submission_ns=(10_000,) * len(p.crops)) for p in low.passes),
        floor=(RawFloor(0, (30_000,)),),
    )
    result = derive(instant, the_rules)
    assert "faster_than_null" in result.flags
    assert 0 < result.time_ratio.value < 0.01


@pytest.mark.parametrize(("disturbance", "flagged"), [(1.0, False), (1.01, False), (1.10, True)])
def test_a_baseline_that_runs_slower_beside_the_submission_is_flagged(
    disturbance: float, flagged: bool, the_rules: Rules
) -> None:
    seen = [
        "baseline_disturbed" in derive(raw(disturbance=disturbance, noise=0.005, seed=seed), the_rules).flags
        for seed in range(20)
    ]
    assert sum(seen) >= 19 if flagged else sum(seen) <= 1


def test_every_timed_answer_weighs_in_f1(the_rules: Rules) -> None:
    made = raw(passes=1, accuracy=0.7)
    truth = np.array(made.labels)
    one = made.passes[0]
    expected = f1_score(
        truth[list(one.crops)], one.submission_labels, average="macro", labels=range(6), zero_division=0
    )
    assert derive(made, the_rules).f1.value == pytest.approx(expected)


def test_accurate_once_and_careless_later_does_not_pay(the_rules: Rules) -> None:
    honest = derive(raw(accuracy=1.0), the_rules)
    careless = derive(raw(accuracy=1.0, flip=0.5), the_rules)
    assert honest.f1.value == 1.0
    assert careless.f1.value < 0.6
    assert "answers_differ" in careless.flags
    assert "answers_differ" not in honest.flags
    assert careless.score_error is not None
    assert honest.score_error is not None
    assert careless.score_error > honest.score_error


def test_a_frozen_baseline_f1_is_the_one_that_counts(the_rules: Rules) -> None:
    result = derive(raw(accuracy=0.8, baseline_f1=0.7), the_rules)
    assert (result.baseline_f1, result.baseline_f1_frozen) == (0.7, True)
    assert "baseline_f1_moved" in result.flags, "the baseline of this run is always right"
    assert result.eligible
    assert result.f1_difference.value == pytest.approx(result.f1.value - 0.7), "to the F1 that the score counts"


def test_eligible_and_target_follow_the_rules(the_rules: Rules) -> None:
    good = derive(raw(accuracy=1.0, ratio=0.79, noise=0.0), the_rules)
    slow = derive(raw(accuracy=1.0, ratio=0.82, noise=0.0), the_rules)
    poor = derive(raw(accuracy=0.5, ratio=0.5, noise=0.0), the_rules)
    assert (good.eligible, good.target_met) == (True, True)
    assert (slow.eligible, slow.target_met) == (True, False)
    assert (poor.eligible, poor.target_met) == (False, False)


def test_one_pass_gives_a_number_and_no_interval(the_rules: Rules) -> None:
    result = derive(raw(passes=1), the_rules)
    assert result.time_ratio.low is None
    assert result.score_error is None
    assert not result.steady
