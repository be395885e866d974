"""The main road with real workers: known costs in, known ratios out; failures become records."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.derive import derive
from harness.errors import HarnessError, MachineError, SubmissionError
from harness.judge import bench as benches
from harness.judge.evaluate import Entry, Exam, Job, Outcome, evaluate
from harness.judge.isolation import Sandbox
from harness.judge.schedule import Budget
from harness.rules import Rules
from harness.staging import Target, staged
from tests.conftest import ROOT, MakePackage, spinning


def quiet(what: str, share: float) -> None:
    """A progress bar that nobody sees."""


@contextlib.contextmanager
def job_of(
    submission: Path, baseline: Path, exam: Exam, sandbox: Sandbox, rules: Rules, target: Target, budget_s: float = 1.0
) -> Iterator[Job]:
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        yield Job(
            submission=Entry(*enter(staged(submission, target, rules.limits))),
            baseline=Entry(*enter(staged(baseline, target, rules.limits))),
            null=enter(staged(ROOT / "baselines" / "null", target, rules.limits))[1],
            exam=exam,
            rules=rules,
            sandbox=sandbox,
            plan=Budget(budget_s),
        )


def judge(
    submission: Path, baseline: Path, exam: Exam, sandbox: Sandbox, rules: Rules, target: Target, budget_s: float = 1.0
) -> Outcome:
    with job_of(submission, baseline, exam, sandbox, rules, target, budget_s) as job:
        return evaluate(job, quiet)


def test_a_known_cost_gives_a_known_ratio(
    exam: Exam, sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    outcome = judge(
        make_package("half", spinning(1000)),
        make_package("whole", spinning(2000)),
        exam,
        sandbox,
        the_rules,
        target,
        budget_s=4.0,
    )
    assert outcome.error is None
    result = outcome.record.result
    assert result is not None
    assert result.time_ratio.value == pytest.approx(0.5, rel=0.2)  # beside other tests; the tight figure is a benchmark
    assert result.f1.value == 1.0
    assert len(result.log_ratios) >= the_rules.protocol.least_passes
    assert outcome.record.isolation is not None
    assert outcome.record.isolation.level == sandbox.level


def test_the_raw_file_has_every_time_and_answer_and_gives_the_record_again(
    exam: Exam, strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    outcome = judge(make_package("a"), make_package("b"), exam, strongest, the_rules, target)
    raw = outcome.raw
    assert raw is not None
    assert sorted(raw.passes[0].crops) == list(range(120)), "the first pass covers all"
    assert all(len(later.crops) >= 50 for later in raw.passes[1:])
    for one in raw.passes:
        assert len(one.crops) == len(set(one.crops)) == sum(one.blocks)
        assert min(one.submission_ns) > 0
    assert len(raw.alone) == 2
    assert raw.floor
    copy = msgspec.json.decode(msgspec.json.encode(raw), type=type(raw))
    assert derive(copy, the_rules) == outcome.record.result


def test_orders_differ_between_passes_and_runs(
    exam: Exam, strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    raws = [
        judge(make_package(f"a{n}"), make_package(f"b{n}"), exam, strongest, the_rules, target).raw for n in range(2)
    ]
    orders = {one.crops[:20] for raw in raws if raw is not None for one in raw.passes}
    assert len(orders) >= 6


def test_a_failing_submission_leaves_a_record_with_owner_and_cause(
    exam: Exam, strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    odd = make_package("odd", "def load(device):\n    return lambda crops: [9]\n")
    outcome = judge(odd, make_package("b"), exam, strongest, the_rules, target)
    assert isinstance(outcome.error, SubmissionError)
    assert outcome.raw is None
    record = outcome.record
    assert record.status == "failed"
    assert record.failure is not None
    assert (record.failure.owner, record.failure.kind) == ("submission", "out_of_range")
    assert record.isolation is not None, "the worker came up, so it was observed"


def test_a_failing_baseline_is_not_the_submissions_fault(
    exam: Exam, strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    broken = make_package("broken", "def load(device):\n    raise ValueError\n")
    outcome = judge(make_package("a"), broken, exam, strongest, the_rules, target)
    assert isinstance(outcome.error, HarnessError)
    assert outcome.error.exit_code == 1
    assert outcome.record.failure is not None
    assert outcome.record.failure.owner == "harness"


def test_an_interrupted_run_has_a_record_too(
    exam: Exam,
    strongest: Sandbox,
    the_rules: Rules,
    target: Target,
    make_package: MakePackage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(self: benches.Bench, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(benches.Bench, "interleaved", interrupt)
    outcome = judge(make_package("a"), make_package("b"), exam, strongest, the_rules, target)
    assert outcome.record.status == "interrupted"
    assert isinstance(outcome.error, KeyboardInterrupt)


def test_a_fault_of_the_machine_is_tried_once_more(
    exam: Exam,
    strongest: Sandbox,
    the_rules: Rules,
    target: Target,
    make_package: MakePackage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = benches.Bench._interleaved, []

    def flaky(self: benches.Bench, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise MachineError("no memory", kind="memory")
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(benches.Bench, "_interleaved", flaky)
    outcome = judge(make_package("a"), make_package("b"), exam, strongest, the_rules, target)
    assert outcome.error is None
    assert len(calls) == len(outcome.record.result.log_ratios) + 1 if outcome.record.result else False


BUSY = """
import multiprocessing, os, threading
def burn():
    while True:
        pass
def load(device):
    for _ in range(3):
        if os.fork() == 0:
            burn()
    return lambda crops: [int(crops[0][0, 0, 0]) % 6]
"""


def test_children_of_the_idle_side_do_not_burn_the_baselines_cores(
    exam: Exam, strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    outcome = judge(make_package("busy", BUSY), make_package("b", spinning(2000)), exam, strongest, the_rules, target)
    assert outcome.record.result is not None
    assert outcome.record.result.baseline_latency.p50_ms == pytest.approx(2.0, rel=0.1)
