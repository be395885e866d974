"""Gates: what passes, what fails, what cannot be told."""

import pytest

from harness.errors import UsageError
from harness.gate import Verdict, exit_code, judged, parse_gate
from harness.stats import Interval
from tests.builders import make_result


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Interval(1.00, 0.98, 1.02), Verdict.PASS),
        (Interval(1.02, 1.01, 1.0299), Verdict.PASS),
        (Interval(1.06, 1.04, 1.08), Verdict.FAIL),
        (Interval(1.02, 1.00, 1.04), Verdict.UNSURE),
        (Interval(1.06, 1.02, 1.10), Verdict.UNSURE),
        (Interval(1.00, None, None), Verdict.UNSURE),  # one pass
        (Interval(0.50, 0.45, 0.55), Verdict.PASS),
    ],
)
def test_time(ratio: Interval, verdict: Verdict) -> None:
    assert judged(parse_gate("time:3%"), make_result(time_ratio=ratio)) is verdict


@pytest.mark.parametrize("flag", ["noisy", "baseline_disturbed"])
def test_a_time_that_is_doubtful_does_not_pass_but_may_fail(flag: str) -> None:
    fine, slow = Interval(1.0, 0.99, 1.01), Interval(1.1, 1.08, 1.12)
    assert judged(parse_gate("time:3%"), make_result(time_ratio=fine, flags=(flag,))) is Verdict.UNSURE
    assert judged(parse_gate("time:3%"), make_result(time_ratio=slow, flags=(flag,))) is Verdict.FAIL
    assert judged(parse_gate("f1:0.005"), make_result(f1_difference=Interval(0, 0, 0), flags=(flag,))) is Verdict.PASS


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (Interval(0.0, 0.0, 0.0), Verdict.PASS),  # the same answers
        (Interval(0.01, -0.004, 0.02), Verdict.PASS),
        (Interval(-0.02, -0.03, -0.01), Verdict.FAIL),
        (Interval(-0.004, -0.03, 0.02), Verdict.UNSURE),
    ],
)
def test_f1(difference: Interval, verdict: Verdict) -> None:
    assert judged(parse_gate("f1:0.005"), make_result(f1_difference=difference)) is verdict


@pytest.mark.parametrize("text", ["", "time", "time:", "time:-3%", "speed:3%", "f1:x", "time:3", "time:100%"])
def test_a_gate_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_gate(text)


def test_one_failure_outweighs_doubt() -> None:
    assert exit_code([]) == 0
    assert exit_code([Verdict.PASS]) == 0
    assert exit_code([Verdict.PASS, Verdict.UNSURE]) == 7
    assert exit_code([Verdict.UNSURE, Verdict.FAIL]) == 6
