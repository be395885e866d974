"""Times are left out on outside evidence alone, and at most a tenth of them."""

import math
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest

from harness.derive import derive
from harness.judge.outside import Sampler
from harness.outside import kept, taken, windows
from harness.raw import Raw, RawLeg, RawPass, RawSample
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
        ({"stalled_us": 200_000}, 0.01),  # a package can make memory scarce by itself
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
    masks, counted = kept(raw.passes, RULES.protocol)
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
    masks, counted = kept((raw.passes[0], slower), RULES.protocol)
    assert counted.dropped == 0
    assert all(mask.all() for mask in masks)


def test_at_most_a_tenth_is_left_out_the_worst_first_and_the_record_says_noisy() -> None:
    loud = [{"busy_ms": 2100 + 10 * number} for number in range(8)]
    raw = raw_of(samples(*[{}] * 10), samples(*loud, {}, {}))
    masks, counted = kept(raw.passes, RULES.protocol)
    assert (counted.all, counted.disturbed, counted.dropped) == (20, 8, 2)
    assert np.flatnonzero(~masks[1]).tolist() == list(range(60, 80))
    assert "noisy" in derive(raw, RULES).flags


def test_a_pass_keeps_a_window() -> None:
    one = samples({"busy_ms": 3900})
    masks, counted = kept(raw_of(one, *[samples(*[{}] * 20)] * 2).passes, RULES.protocol)
    assert counted.dropped == 0
    assert masks[0].all()


def test_passes_without_samples_keep_everything() -> None:
    raw = make_raw()
    masks, counted = kept(raw.passes, RULES.protocol)
    assert all(mask.all() for mask in masks)
    assert counted.all == 0
    assert windows(raw.passes) == []


def test_what_was_answered_in_a_disturbed_window_does_not_count() -> None:
    quiet, loud = samples(*[{}] * 10), samples(*[{}] * 4, {"busy_ms": 2500}, *[{}] * 5)
    raw = raw_of(quiet, loud)
    wrong = tuple(1 if 40 <= crop < 50 else 0 for crop in raw.passes[1].crops)
    odd = msgspec.structs.replace(raw.passes[1], submission_labels=wrong)
    result = derive(msgspec.structs.replace(raw, passes=(raw.passes[0], odd)), RULES)
    assert result.windows.dropped == 1
    assert "answers_differ" not in result.flags


def left_out_at_first(again: int) -> Raw:
    """A window of 30 crops is left out of the first pass; `again` of them come in the second."""
    raw = raw_of(samples({"busy_ms": 3900}, *[{}] * 9), samples(*[{}] * 10))
    blocks, crops = (30,) * 10, tuple(range(300))
    second = tuple(range(30 - again, 300)) + tuple(range(30, 60 - again))
    truth = tuple(crop % 2 for crop in crops)
    passes = tuple(
        msgspec.structs.replace(
            one,
            blocks=blocks,
            crops=its,
            submission_ns=(1_000_000,) * 300,
            baseline_ns=(2_000_000,) * 300,
            submission_labels=tuple(truth[crop] if crop >= 30 else 0 for crop in its),
            baseline_labels=tuple(truth[crop] for crop in its),
        )
        for one, its in zip(raw.passes, (crops, second), strict=True)
    )
    more = {"labels": truth, "photos": tuple(map(str, crops)), "splits": ("test-public",) * 300}
    return msgspec.structs.replace(raw, passes=passes, **more)


def answering_first(raw: Raw, labels: tuple[int, ...]) -> Raw:
    """Its submission answers so in the first pass alone."""
    first = msgspec.structs.replace(raw.passes[0], submission_labels=labels)
    return msgspec.structs.replace(raw, passes=(first, raw.passes[1]))


def test_f1_of_who_always_answers_alike_counts_left_out_windows_too() -> None:
    raw = left_out_at_first(again=20)
    quiet = tuple(msgspec.structs.replace(one, samples=()) for one in raw.passes)
    whole = derive(msgspec.structs.replace(raw, passes=quiet), RULES)
    result = derive(raw, RULES)
    assert (result.windows.dropped, whole.windows.dropped) == (1, 0)
    assert result.f1 == whole.f1
    assert result.baseline_f1 == whole.baseline_f1
    assert derive(left_out_at_first(again=19), RULES).f1 != whole.f1


@pytest.mark.parametrize("again", [0, 19, 20, 30])
def test_to_be_right_in_left_out_windows_alone_does_not_pay(again: int) -> None:
    raw = left_out_at_first(again)
    right = derive(answering_first(raw, raw.labels), RULES)
    wrong = derive(answering_first(raw, (2,) * 30 + raw.labels[30:]), RULES)
    assert right.windows.dropped == wrong.windows.dropped == 1
    assert right.f1 == wrong.f1


def test_stalls_for_memory_make_a_record_noisy_and_leave_nothing_out() -> None:
    raw = raw_of(samples(*[{"stalled_us": 300_000}] * 3, *[{}] * 7))
    masks, counted = kept(raw.passes, RULES.protocol)
    assert masks[0].all()
    assert (counted.disturbed, counted.dropped) == (3, 0)
    assert "noisy" in derive(raw, RULES).flags


def test_a_disturbed_baseline_is_seen_where_a_window_of_the_first_pass_is_left_out() -> None:
    loud, quiet = samples({"busy_ms": 3900}, *[{}] * 9), samples(*[{}] * 10)
    raw = raw_of(loud, quiet, quiet)
    crops = raw.passes[0].crops
    slow = [tuple(time * 11 // 10 for time in one.baseline_ns) for one in raw.passes]
    slow[0] = tuple(3 * time if crop < 10 else time for crop, time in zip(crops, slow[0], strict=True))
    passes = tuple(msgspec.structs.replace(one, baseline_ns=times) for one, times in zip(raw.passes, slow, strict=True))
    alone = tuple(RawLeg(crops, raw.passes[0].baseline_ns) for _ in range(2))
    changed = msgspec.structs.replace(raw, passes=passes, alone=alone)
    assert kept(passes, RULES.protocol)[1].dropped == 1
    assert "baseline_disturbed" in derive(changed, RULES).flags


def test_the_real_counters_only_grow_and_see_this_process_and_its_children_work() -> None:
    sampler = Sampler("cpu")
    before = sampler.sample(0, time.perf_counter_ns())
    burn = "import time\nend = time.perf_counter() + .4\nwhile time.perf_counter() < end: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE) as child:
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            pass
        while_it_lives = sampler.sample(1, time.perf_counter_ns())
        assert child.stdin is not None
        child.stdin.close()
    after = sampler.sample(2, time.perf_counter_ns())
    assert while_it_lives.own_ms - before.own_ms >= 500  # both, on a machine with other work
    assert after.own_ms >= while_it_lives.own_ms, "what a child spent is not forgotten when it ends"
    assert after.busy_ms - before.busy_ms >= 500
    for name in ("now_ns", "own_ms", "busy_ms", "steal_ms", "stalled_us", "throttled"):
        assert getattr(after, name) >= getattr(before, name), name
