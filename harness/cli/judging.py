"""harness evaluate, harness audit, harness check."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import (
    PACKAGE,
    BaselineOption,
    DataOption,
    Demanded,
    Device,
    DeviceOption,
    IsolationOption,
    Scenario,
    ScenarioOption,
    Wanted,
    announce,
    habits_here,
    judged_here,
    keep,
    open_data,
    opened,
    seconds,
    with_submission,
)
from harness.cli.project import BOARDS, LOCAL, PUBLISHED, data_folder, note, read_rules
from harness.report.clean import clean

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.judge.schedule import Plan
    from harness.rules import Rules

FLAGGED = 6  # exit code of an audit that found something
_WeightsOf = Annotated[str | None, typer.Option(help="Take another data set's weights: a transfer.")]
_BaselineWeightsOf = Annotated[str | None, typer.Option(help="The same for the baseline.")]


def evaluate(
    submission: Annotated[str, PACKAGE],
    data: DataOption = None,
    baseline: BaselineOption = None,
    device: DeviceOption = Device.cpu,
    scenario: ScenarioOption = Scenario.stream,
    isolation: IsolationOption = None,
    budget: Annotated[str, typer.Option(help="Time to spend, like 45s or 2m.")] = "45s",
    official: Annotated[
        bool, typer.Option("--official", help="As an organiser: full precision, audits, nothing of the test set said.")
    ] = False,
    weights_of: _WeightsOf = None,
    baseline_weights_of: _BaselineWeightsOf = None,
    publish: Annotated[bool, typer.Option("--publish", help="Move the record to leaderboard/records/.")] = False,
) -> None:
    """Judge a submission against the baseline: F1, time, score, each with its interval; write a record."""
    from harness import records
    from harness.decisions import standing
    from harness.judge.schedule import Budget
    from harness.paths import project_root

    root = project_root()
    rules = read_rules(root)
    plan: Plan = pilot(rules) if official else Budget(seconds(budget))
    level = demanded(isolation, official, rules)
    packages = _packages(root, rules, submission, baseline)
    folder = data_folder(root, data)
    wanted = Wanted(*packages, folder, device, level, weights_of, baseline_weights_of, scenario=scenario)
    path = _judged(root, rules, wanted, plan, audit=official, official=official)
    report(root, rules, path)
    if publish:
        moved = records.publish(path, root / PUBLISHED, rules, standing(records.read_decisions(root / BOARDS)))
        note(f"published: {moved.relative_to(root)}; `harness leaderboard --write` makes its boards")


def audit(
    submission: Annotated[str, PACKAGE],
    data: DataOption = None,
    baseline: BaselineOption = None,
    device: DeviceOption = Device.cpu,
    isolation: IsolationOption = None,
    budget: Annotated[str, typer.Option(help="Time to spend, like 45s or 2m.")] = "45s",
    weights_of: _WeightsOf = None,
    baseline_weights_of: _BaselineWeightsOf = None,
) -> int:
    """Evaluate a submission and try whether it is what it seems: kept answers, batches, zeroed weights, the halves.

    Exit codes: 0 nothing was found, 6 a flag is raised.
    """
    from harness import records
    from harness.judge.schedule import Budget
    from harness.paths import project_root
    from harness.report.audit import audit_text

    root = project_root()
    rules = read_rules(root)
    packages = _packages(root, rules, submission, baseline)
    wanted = Wanted(*packages, data_folder(root, data), device, isolation, weights_of, baseline_weights_of)
    path = _judged(root, rules, wanted, Budget(seconds(budget)), audit=True)
    record = records.read(path)
    assert record.result is not None
    print(audit_text(record))
    print(f"  record      {path.relative_to(root)}")
    return FLAGGED if record.result.flags else 0


def _packages(root: Path, rules: "Rules", submission: str, baseline: str | None) -> tuple[Path, Path]:
    """The folders of a submission and of its baseline, the rules' where none is named. Raises UsageError."""
    from harness import staging

    return staging.find(root, submission), staging.find(root, baseline or rules.baseline)


def _judged(
    root: Path, rules: "Rules", wanted: Wanted, plan: "Plan", *, audit: bool = False, official: bool = False
) -> Path:
    """Stages both packages and runs them; where the record is. A submission that cannot be staged leaves one too."""
    from harness.errors import SubmissionError, UsageError
    from harness.judge import evaluate as judge

    with contextlib.ExitStack() as stack:
        job = stack.enter_context(opened(root, rules, wanted))
        job = dataclasses.replace(job, audit=audit, official=official)
        if official and job.half() == "all":  # its author would learn all, or nobody anything
            raise UsageError(f"--official: expected a public and a private half, {job.exam.data.name} has one of them")
        try:
            both = stack.enter_context(with_submission(job, wanted))
        except SubmissionError as error:
            keep(root, judge.refused(job, error))
            raise
        _, path = judged_here(root, both, plan, habits_here(root, both))
    return path


def pilot(rules: "Rules") -> "Plan":
    """An official run: pilot passes, then as many as the rules' half-width needs."""
    from harness.judge.schedule import Pilot
    from harness.stats import passes_for

    return Pilot(lambda log_ratios: passes_for(log_ratios, rules.protocol.official_half_width))


def demanded(isolation: Demanded | None, official: bool, rules: "Rules") -> Demanded | None:
    """The level to demand. Raises UsageError where an official run would have less than the rules ask."""
    from harness.errors import UsageError

    if not official:
        return isolation
    least = list(Demanded).index(Demanded(rules.isolation))
    if isolation is not None and list(Demanded).index(isolation) > least:
        raise UsageError(f"--official: expected isolation {rules.isolation} or stronger, got {isolation.value}")
    return isolation or Demanded(rules.isolation)


def report(root: Path, rules: "Rules", path: Path) -> None:
    """Prints the verdict on a written record, and where it is."""
    from harness import records
    from harness.decisions import standing
    from harness.report import rank
    from harness.report.verdict import verdict

    record = records.read(path)
    others = [its for folder in (LOCAL, PUBLISHED) for its in records.read_all(root / folder)[0]]
    decided = standing(records.read_decisions(root / BOARDS))
    print(verdict(record, rules, rank.board_of(record, others, rules, decided)))
    print(f"  record      {path.relative_to(root)}")


def check(
    submission: Annotated[str, PACKAGE],
    data: Annotated[str | None, typer.Option(help="Check it with the weights of this data set.")] = None,
    isolation: IsolationOption = None,
) -> None:
    """Try a submission in seconds: package, requirements, load, crops of odd sizes. No labels, no clock."""
    from harness import staging
    from harness.formats import FORMATS
    from harness.judge.check import ODD_SIZES, check
    from harness.judge.machine import usable_cores
    from harness.judge.session import Setting, Staged
    from harness.paths import project_root
    from harness.wire import input_bytes

    root = project_root()
    rules = read_rules(root)
    package = staging.find(root, submission)
    model = staging.read_manifest(package).model
    if model is not None and (said := FORMATS[model.format].note) is not None:
        note(f"note: {said}")
    target = staging.likely_target(package, data)
    if data is not None:
        target = target._replace(classes=open_data(data_folder(root, data)).manifest.classes)
    sandbox = announce(isolation, rules)
    failed: list[HarnessError] = []
    with staging.staged(package, target, rules.limits) as (described, folder):
        weights = f"; weights for {target.weights}" if staging.takes_weights(package) else ""
        print("ok    " + clean(f"package {described.name}, {described.size_bytes:,} bytes{weights}", 500))
        setting = Setting(sandbox, rules.limits, "cpu", usable_cores(), max(input_bytes([size]) for size in ODD_SIZES))
        for tried in check(Staged(described.name, folder, len(target.classes)), setting):
            print(f"{'ok   ' if tried.error is None else 'FAIL '} {tried.what}" + _because(tried.error))
            if tried.error is not None:
                failed.append(tried.error)
    if failed:
        raise failed[0]


def _because(error: "HarnessError | None") -> str:
    return "" if error is None else f": {clean(error.message, 500)}"
