"""Times are left out on outside evidence alone, and at most a tenth of them."""

import math

import msgspec
import numpy as np
import pytest

from harness.derive import derive
from harness.judge.outside import sample
from harness.outside import kept, taken, windows
from harness.record import Raw, RawPass, RawSample
from tests.builders import make_raw, make_rules

RULES = make_rules()
QUIET = {"own_ms": 1900, "busy_ms": 1910, "steal_ms": 0, "stalled_us": 0, "throttled": 0, "suspended_ms": 0}


def samples(*spent: dict[str, int]) -> tuple[RawSample, ...]:
    """One second a pair of blocks, each with what was spent in it."""
    made = [RawSample(0, 0, 0, 0, 0, 0, 0, 0)]
    for number, one in enumerate(spent, start=1):
        before = msgspec.structs.asdict(made[-1])
        counters = {name: before[name] + {**QUIET, **one}[name] for name in QUIET}
        made.append(RawSample(pairs=number, now_ns=number * 10**9, **counters))
    return tuple(made)


def raw_of(*passes: tuple[RawSample, ...]) -> Raw:
    """Passes of as many pairs of 10 crops as they have windows; the submission's times are those of its crops."""
    length = 10
    made = []
    for its in passes:
        pairs = len(its) - 1
        crops = tuple(range(pairs * length))
        times = tuple(1_000_000 + 1000 * crop for crop in crops)
        fields = {"blocks": (length,) * pairs, "crops": crops, "samples": its}
        labels = (0,) * len(crops)
        made.append(
            RawPass(
                first="baseline",
                submission_ns=times,
                baseline_ns=tuple(2 * time for time in times),
                submission_labels=labels,
                baseline_labels=labels,
                **fields,
            )
        )
    crops = max(len(one.crops) for one in made)
    return msgspec.structs.replace(
        make_raw(crops=crops),
        labels=(0,) * crops,
        photos=tuple(map(str, range(crops))),
        splits=("test-public",) * crops,
        passes=tuple(made),
        alone=(),
        floor=(),
    )


@pytest.mark.parametrize(
    ("spent", "share"),
    [
        ({}, 0.01),
        ({"busy_ms": 2400}, 0.5),  # another process had half a core
        ({"steal_ms": 300}, 0.31),
        ({"stalled_us": 200_000}, 0.2),
        ({"throttled": 1}, math.inf),
        ({"suspended_ms": 5000}, math.inf),
        ({"busy_ms": 1800}, 0.0),  # the kernel counts in ticks: never below nothing
    ],
)
def test_what_others_took_is_read_from_the_counters(spent: dict[str, int], share: float) -> None:
    assert taken(*samples(spent)) == pytest.approx(share)


def test_a_disturbed_window_is_left_out_of_both_sides() -> None:
    quiet = samples(*[{}] * 10)
    loud = samples(*[{}] * 4, {"busy_ms": 2500}, *[{}] * 5)
    raw = raw_of(quiet, loud, quiet)
    masks, counted = kept(raw, RULES.protocol)
    assert (counted.all, counted.disturbed, counted.dropped) == (30, 1, 1)
    assert masks[0].all()
    assert np.flatnonzero(~masks[1]).tolist() == list(range(40, 50))
    result = derive(raw, RULES)
    assert "noisy" not in result.flags
    assert result.windows == counted


def test_times_alone_never_leave_a_window_out() -> None:
    raw = raw_of(samples(*[{}] * 10), samples(*[{}] * 10))
    slow = raw.passes[1].submission_ns[:50] + tuple(50 * time for time in raw.passes[1].submission_ns[50:])
    slower = msgspec.structs.replace(raw.passes[1], submission_ns=slow)
    masks, counted = kept(msgspec.structs.replace(raw, passes=(raw.passes[0], slower)), RULES.protocol)
    assert counted.dropped == 0
    assert all(mask.all() for mask in masks)


def test_at_most_a_tenth_is_left_out_the_worst_first_and_the_record_says_noisy() -> None:
    loud = [{"busy_ms": 2100 + 10 * number} for number in range(8)]
    raw = raw_of(samples(*[{}] * 10), samples(*loud, {}, {}))
    masks, counted = kept(raw, RULES.protocol)
    assert (counted.all, counted.disturbed, counted.dropped) == (20, 8, 2)
    assert np.flatnonzero(~masks[1]).tolist() == list(range(60, 80))
    assert "noisy" in derive(raw, RULES).flags


def test_a_pass_keeps_a_window() -> None:
    one = samples({"busy_ms": 3900})
    masks, counted = kept(raw_of(one, *[samples(*[{}] * 20)] * 2), RULES.protocol)
    assert counted.dropped == 0
    assert masks[0].all()


def test_passes_without_samples_keep_everything() -> None:
    raw = make_raw()
    masks, counted = kept(raw, RULES.protocol)
    assert all(mask.all() for mask in masks)
    assert counted.all == 0
    assert windows(raw.passes) == []


def test_the_real_counters_only_grow_and_see_this_process_work() -> None:
    import time

    before = sample(0, time.perf_counter_ns())
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    after = sample(1, time.perf_counter_ns())
    assert after.own_ms - before.own_ms >= 100
    assert after.busy_ms - before.busy_ms >= 100
    for name in ("now_ns", "own_ms", "busy_ms", "steal_ms", "stalled_us", "throttled"):
        assert getattr(after, name) >= getattr(before, name), name
