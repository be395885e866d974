"""harness evaluate, harness check."""

import contextlib
import dataclasses
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import LOCAL, PUBLISHED, data_folder, note, read_rules, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.data.store import Store
    from harness.errors import HarnessError
    from harness.judge.evaluate import Exam, Outcome
    from harness.judge.isolation import Sandbox
    from harness.record import Package
    from harness.rules import Level, Rules
    from harness.staging import Target


class Device(StrEnum):
    """Where the sides run."""

    cpu = "cpu"
    cuda = "cuda"


class Demanded(StrEnum):
    """An isolation level that is demanded."""

    bwrap = "bwrap"
    landlock = "landlock"
    process = "process"


_Submission = Annotated[str, typer.Argument(help="A package: its folder, or its name in submissions/ or baselines/.")]
_Isolation = Annotated[Demanded | None, typer.Option(help="Demand a level. Default: the strongest here.")]


def evaluate(
    submission: _Submission,
    data: Annotated[str | None, typer.Option(help="A data set. Default: the only one that is prepared.")] = None,
    baseline: Annotated[str | None, typer.Option(help="A package. Default: that of the rules.")] = None,
    device: Annotated[Device, typer.Option(help="Where both sides run.")] = Device.cpu,
    isolation: _Isolation = None,
    budget: Annotated[str, typer.Option(help="Time to spend, like 45s or 2m.")] = "45s",
    weights_of: Annotated[str | None, typer.Option(help="Take another data set's weights: a transfer.")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Move the record to leaderboard/records/.")] = False,
) -> None:
    """Judge a submission against the baseline: F1, time, score, each with its interval; write a record."""
    from harness import records, staging
    from harness.errors import SubmissionError
    from harness.judge import evaluate as judge
    from harness.paths import project_root

    root = project_root()
    rules = read_rules(root)
    budget_s = seconds(budget)
    package = staging.find(root, submission)
    rival = staging.find(root, baseline or rules.baseline)
    exam = open_exam(data_folder(root, data))
    records.check_writable(root / LOCAL)
    sandbox = announce(isolation, rules)
    ours = staging.Target(exam.data.name, exam.data.classes, digest=exam.data.digest)
    theirs = ours._replace(weights_of=weights_of)
    with contextlib.ExitStack() as stack:
        job = judge.Job(
            submission=judge.Entry(staging.unstaged(package, weights_of), package),
            baseline=judge.Entry(*stack.enter_context(_staged_baseline(rival, ours, rules))),
            null=stack.enter_context(staging.staged(root / "baselines" / "null", ours, rules.limits))[1],
            exam=exam,
            rules=rules,
            sandbox=sandbox,
            device=device.value,
            budget_s=budget_s,
        )
        try:
            entry = judge.Entry(*stack.enter_context(staging.staged(package, theirs, rules.limits)))
        except SubmissionError as error:
            outcome = judge.refused(job, error)
        else:
            watch = stack.enter_context(watching())
            outcome = judge.evaluate(dataclasses.replace(job, submission=entry), watch)
    path = keep(root, outcome)
    if outcome.error is not None:
        raise outcome.error
    report(root, outcome, rules, path)
    if publish:
        moved = records.publish(path, root / PUBLISHED, rules)
        note(f"published: {moved.relative_to(root)}; `harness leaderboard --write` makes its boards")


def check(
    submission: _Submission,
    data: Annotated[str | None, typer.Option(help="Check it with the weights of this data set.")] = None,
    isolation: _Isolation = None,
) -> None:
    """Try a submission in seconds: package, requirements, load, crops of odd sizes. No labels, no clock."""
    from harness import staging
    from harness.judge.check import ODD_SIZES, check
    from harness.judge.machine import usable_cores
    from harness.judge.session import Setting, Staged
    from harness.paths import project_root
    from harness.wire import input_bytes

    root = project_root()
    rules = read_rules(root)
    package = staging.find(root, submission)
    target = staging.likely_target(package, data)
    if data is not None:
        target = target._replace(classes=_open(data_folder(root, data)).manifest.classes)
    sandbox = announce(isolation, rules)
    failed: list[HarnessError] = []
    with staging.staged(package, target, rules.limits) as (described, folder):
        weights = f"; weights for {target.weights}" if staging.takes_weights(package) else ""
        print(f"ok    package {described.name}, {described.size_bytes:,} bytes{weights}")
        setting = Setting(sandbox, rules.limits, "cpu", usable_cores(), max(input_bytes([size]) for size in ODD_SIZES))
        for tried in check(Staged(described.name, folder, len(target.classes)), setting):
            print(f"{'ok   ' if tried.error is None else 'FAIL '} {tried.what}" + _because(tried.error))
            if tried.error is not None:
                failed.append(tried.error)
    if failed:
        raise failed[0]


def announce(demanded: Demanded | None, rules: "Rules") -> "Sandbox":
    """Chooses the isolation level and says which, and why none stronger."""
    from harness.judge.isolation import choose

    level: Level | None = None if demanded is None else demanded.value
    chosen = choose(level, rules.limits)
    note(f"isolation: {chosen.sandbox.level}" + (" (demanded)" if demanded else " (the strongest here)"))
    for missing, reason in chosen.missing.items():
        note(f"  not {missing}: {reason}")
    return chosen.sandbox


def open_exam(path: Path) -> "Exam":
    """Both test halves of a data set, with their labels, and crops to warm up on. Raises DataError without those."""
    import numpy as np

    from harness.data.answers import open_test_labels
    from harness.errors import DataError
    from harness.judge.evaluate import Exam
    from harness.judge.measure import Pixels
    from harness.record import DataId

    store = _open(path)
    answers = open_test_labels(store)
    crops = {split: store.crops(split) for split in answers}
    photos = tuple(photo for split in answers for photo in answers[split].photos)
    manifest = store.manifest
    warmup = store.crops("val" if manifest.crops["val"] else "train")  # a source that gives the splits may lack one
    if not len(warmup):
        raise DataError(f"{manifest.name}: expected crops to validate or to train on, for warming up, got none")
    return Exam(
        data=DataId(
            name=manifest.name,
            digest=manifest.digest,
            classes=manifest.classes,
            test_crops=len(photos),
            test_photos=len(set(photos)),
        ),
        pixels=Pixels(
            test=[crops[split][i] for split in answers for i in range(len(crops[split]))],
            warmup=warmup,
            sizes=np.concatenate([crops[split].sizes for split in answers]),
        ),
        labels=np.concatenate([answers[split].labels for split in answers]),
        photos=photos,
        splits=tuple(split for split in answers for _ in answers[split].photos),
    )


def keep(root: Path, outcome: "Outcome") -> Path:
    """Writes the record, whatever came of the run, and a failed submission's output beside it."""
    from harness import records

    record, error = outcome.record, outcome.error
    log = getattr(error, "log", None)
    if log:
        record = records.with_log(root / LOCAL, record, log)
    path = records.write(root / LOCAL, record, outcome.raw)
    if error is not None:
        note(f"record: {path.relative_to(root)}")
    if record.failure is not None and record.failure.log is not None:
        note(f"log: {(root / LOCAL / record.failure.log).relative_to(root)}")
    return path


def report(root: Path, outcome: "Outcome", rules: "Rules", path: Path) -> None:
    """Prints the verdict and where the record is."""
    from harness.report.verdict import verdict

    print(verdict(outcome.record, rules))
    print(f"  record      {path.relative_to(root)}")


def seconds(text: str) -> float:
    """A duration like "45s", "2m" or "30" in seconds. Raises UsageError.

    >>> seconds("2m"), seconds("45")
    (120.0, 45.0)
    """
    from harness.errors import UsageError

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", text.strip())
    if not found or not float(found[1]):
        raise UsageError(f"--budget: expected a time above 0 like 45s or 2m, got {text!r}")
    return float(found[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


@contextlib.contextmanager
def _staged_baseline(package: Path, target: "Target", rules: "Rules") -> "Iterator[tuple[Package, Path]]":
    """A baseline that cannot be staged is not the submission's fault."""
    from harness import staging
    from harness.errors import HarnessError, SubmissionError

    try:
        with staging.staged(package, target, rules.limits) as entry:
            yield entry
    except SubmissionError as error:
        raise HarnessError(f"the baseline {error.message}; or name another with --baseline", kind="baseline") from error


def _open(path: Path) -> "Store":
    from harness.data.store import open_store

    return open_store(path)


def _because(error: "HarnessError | None") -> str:
    return "" if error is None else f": {error.message}"
