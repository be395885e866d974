"""Two records against each other."""

import math

import msgspec
import numpy as np
import pytest

from harness.report.against import f1_gap, quotient, same_run, verification, verified_text
from harness.report.rank import better
from tests.builders import make_machine, make_raw, make_record, make_result, make_rules, make_run

RULES = make_rules()


def test_the_quotient_is_that_of_the_ratios_and_its_interval_covers_as_it_says() -> None:
    rng, covered, n = np.random.default_rng(0), 0, 600
    for _ in range(n):
        first, second = (make_result(rng.normal(math.log(r), 0.02, 5).tolist()) for r in (0.8, 0.84))
        ratio = quotient(first, second)
        assert ratio.low is not None
        assert ratio.high is not None
        covered += ratio.low <= 1.05 <= ratio.high
    assert 0.93 < covered / n < 0.98


def test_what_moves_between_runs_widens_the_prediction() -> None:
    first, second = make_result(), make_result()
    near, far = quotient(first, second), quotient(first, second, between=0.05)
    assert near.half_width is not None
    assert far.half_width is not None
    assert far.half_width > 5 * near.half_width
    assert near.value == far.value == 1.0


def test_f1_is_compared_on_the_same_photos() -> None:
    first, second = make_result(f1=0.7), make_result(f1=0.72)
    gap = f1_gap(first, second)
    assert gap.value == pytest.approx(0.02)
    assert gap.low == pytest.approx(0.02)  # the builder's draws move alike
    assert better(make_record("a", result=second), make_record("b", result=first), RULES) > 0.99


def test_the_same_run_verifies_itself_and_another_does_not() -> None:
    first = make_run("a", make_raw(seed=1))
    found = verification(first, first, 0.0)
    assert (found.answers_differ, found.crops) == (0, 60)
    assert found.answers_hold
    assert found.holds
    assert "a on trash: verified" in verified_text(first[0], first[0], found)
    slow = verification(first, make_run("a", make_raw(seed=1, ratio=1.2)), 0.0)
    assert not slow.time_inside
    assert not slow.holds
    unknown = verification(first, make_run("a", make_raw(seed=1, ratio=1.2)), None)
    assert not unknown.time_inside
    assert unknown.holds
    assert "two checkups" in verified_text(first[0], first[0], unknown)
    other = verification(first, make_run("a", make_raw(seed=2)), 0.0)
    assert other.answers_differ > 1
    assert not other.answers_hold


def test_differences_of_the_environment_are_listed() -> None:
    before, raw = make_run("a")
    machine = make_machine(cpu="Other", load_1min=3.0, versions={"torch": "2.10.0", "numpy": "2.0"})
    after = msgspec.structs.replace(before, machine=machine)
    found = verification((before, raw), (after, raw), 0.0)
    assert found.differences == (
        "cpu Some(R) CPU @ 2.00GHz then, Other now",
        "numpy none then, 2.0 now",
        "torch 2.9.0 then, 2.10.0 now",
    )


def test_a_result_is_the_same_run_as_itself_alone() -> None:
    result = make_result()
    assert same_run(result, make_result())
    third = make_result(tuple(value + 1e-13 for value in result.log_ratios))
    assert same_run(result, third)
    assert not same_run(result, make_result(tuple(value + 1e-6 for value in result.log_ratios)))
    assert not same_run(result, msgspec.structs.replace(result, eligible=not result.eligible))
