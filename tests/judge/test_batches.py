"""The batch scenario: requests of the size that each side asks for, a crop's time its share of one."""

import msgspec
import numpy as np
import pytest

from harness import staging
from harness.judge.evaluate import Entry, Exam, Job, Outcome, evaluate
from harness.judge.isolation import Sandbox
from harness.judge.schedule import Exactly
from harness.report.verdict import speeds
from harness.rules import Rules
from harness.staging import Target
from tests.conftest import ROOT, MakePackage

# 2 ms a request, whatever its size; answers with the class in the crop's first byte, 0 for a request of another size.
BY_REQUEST = """
from time import perf_counter_ns

def load(device):
    def predict(crops):
        end = perf_counter_ns() + 2_000_000
        while perf_counter_ns() < end:
            pass
        return [int(crop[0, 0, 0]) % 6 if len(crops) in SIZES else 0 for crop in crops]
    return predict
"""


@pytest.fixture
def judged(strongest: Sandbox, the_rules: Rules, target: Target, exam: Exam, make_package: MakePackage) -> Outcome:
    """Both sides take 2 ms a request; the submission asks for 10 crops a request, the baseline for 5."""
    packages = {
        "ten": make_package("ten", BY_REQUEST.replace("SIZES", "(10,)"), manifest='name = "ten"\nbatch = 10\n'),
        "five": make_package("five", BY_REQUEST.replace("SIZES", "(5,)"), manifest='name = "five"\nbatch = 5\n'),
    }
    with (
        staging.staged(packages["ten"], target, the_rules.limits) as ten,
        staging.staged(packages["five"], target, the_rules.limits) as five,
        staging.staged(ROOT / "baselines" / "null", target, the_rules.limits) as (_, null),
    ):
        sides = Entry(*ten, batch=10), Entry(*five, batch=5)
        job = Job(*sides, null, exam, the_rules, strongest, scenario="batch", plan=Exactly(2))
        return evaluate(job, lambda what, share: None)


def test_a_crop_has_its_share_of_its_request(judged: Outcome) -> None:
    assert judged.error is None, judged.error
    record, raw = judged.record, judged.raw
    assert raw is not None
    assert record.result is not None
    assert record.result.time_ratio.value == pytest.approx(5 / 10, rel=0.2)
    assert record.result.f1.value == 1.0, "120 crops are whole requests of 10"
    assert record.result.baseline_f1 == 1.0
    whole = raw.passes[0]
    assert sum(whole.blocks) == 120
    assert all(size % 40 == 0 for size in whole.blocks[:-1])
    assert min(whole.submission_ns) > 200_000
    assert np.ptp(whole.submission_ns[:10]) <= 1, "a request's crops share its time"


def test_a_record_says_how_many_crops_and_how_much_memory(judged: Outcome) -> None:
    record = judged.record
    assert record.scenario == "batch"
    assert record.key().scenario == "batch"
    assert record.result is not None
    usage = record.result.usage
    assert usage is not msgspec.UNSET
    assert (usage.submission_batch, usage.baseline_batch) == (10, 5)
    assert 10 < usage.submission_peak_mb < 500, "an interpreter with numpy"
    said = "\n".join(speeds(record, ("latency", "baseline")))
    assert "10 a request" in said
    assert "MiB at most" in said


def test_the_floor_is_that_of_a_request(judged: Outcome) -> None:
    assert judged.raw is not None
    assert {leg.batch for leg in judged.raw.floor} == {5, 10}
    assert judged.record.result is not None
    assert 0 < judged.record.result.submission_floor_us < judged.record.result.baseline_floor_us
