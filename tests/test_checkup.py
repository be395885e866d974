"""What the checkups of a machine say of it."""

import math

import numpy as np
import pytest

from harness.checkup import habits
from harness.record import Record
from tests.builders import make_machine, make_package, make_record, make_result

SINCE = "2026-11-20T00:00:00Z"


def checkup(seed: int, passes: int = 10, sd: float = 0.01, shift: float = 0.0, **changes: object) -> Record:
    logs = np.random.default_rng(seed).normal(shift, sd, passes).tolist()
    result = make_result(logs, flags=changes.pop("flags", ()))
    return make_record("reference", result=result, seed=seed, **changes)


def test_the_variance_is_pooled_over_checkups() -> None:
    several = [checkup(seed) for seed in range(20)]
    known = habits(several, several[0].key(), SINCE)
    assert known.history is not None
    assert math.sqrt(known.history.variance) == pytest.approx(0.01, rel=0.15)
    assert known.history.degrees == 20 * 9
    assert known.checkups == 20
    assert known.bias == pytest.approx(0.0, abs=0.003)
    assert known.between is not None
    assert known.between < 0.004


def test_what_moves_from_run_to_run_is_not_taken_for_scatter_of_passes() -> None:
    shifts = np.random.default_rng(0).normal(0, 0.03, 30)
    several = [checkup(seed, shift=shift) for seed, shift in enumerate(shifts)]
    known = habits(several, several[0].key(), SINCE)
    assert known.history is not None
    assert math.sqrt(known.history.variance) == pytest.approx(0.01, rel=0.15)
    assert known.between == pytest.approx(0.03, rel=0.3)


def test_too_few_passes_say_nothing() -> None:
    one = checkup(0, passes=9)
    assert habits([one], one.key(), SINCE).history is None
    assert habits([], one.key(), SINCE).checkups == 0


def test_old_noisy_and_other_checkups_do_not_count() -> None:
    here = checkup(0)
    others = [
        checkup(1, created_utc="2026-11-19T23:59:59Z"),
        checkup(2, flags=("noisy",)),
        checkup(3, machine=make_machine(cpu="another")),
        checkup(4, baseline=make_package("another")),
    ]
    assert habits([here, *others], here.key(), SINCE).checkups == 1
    assert habits([here, *others], here.key(), SINCE, any_baseline=True).checkups == 2


def test_the_order_of_the_files_does_not_matter() -> None:
    several = [checkup(seed) for seed in range(5)]
    assert habits(several, several[0].key(), SINCE) == habits(several[::-1], several[0].key(), SINCE)
