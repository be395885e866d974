"""What the commands that run packages share: both packages staged, the exam opened, the sandbox chosen."""

import contextlib
import dataclasses
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli.project import CHECKUPS, LOCAL, note, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.checkup import Habits
    from harness.data.store import Store
    from harness.judge.evaluate import Exam, Job, Outcome
    from harness.judge.isolation import Sandbox
    from harness.judge.schedule import Plan
    from harness.record import Package
    from harness.rules import Level, Limits, Rules
    from harness.staging import Target


class Device(StrEnum):
    """Where the sides run."""

    cpu = "cpu"
    cuda = "cuda"


class Scenario(StrEnum):
    """How crops are sent."""

    stream = "stream"
    batch = "batch"


class Demanded(StrEnum):
    """An isolation level that is demanded."""

    bwrap = "bwrap"
    landlock = "landlock"
    process = "process"


PACKAGE = typer.Argument(help="A package: its folder, or its name in submissions/ or baselines/.")
DataOption = Annotated[str | None, typer.Option(help="A data set. Default: the only one that is prepared.")]
BaselineOption = Annotated[str | None, typer.Option(help="A package. Default: that of the rules.")]
DeviceOption = Annotated[Device, typer.Option(help="Where both sides run.")]
ScenarioOption = Annotated[
    Scenario, typer.Option(help="One crop at a time, or batches of the size that each package asks for.")
]
IsolationOption = Annotated[Demanded | None, typer.Option(help="Demand a level. Default: the strongest here.")]


class Wanted(NamedTuple):
    """What to run: folders of the two packages and of the data set, and how."""

    submission: Path
    baseline: Path
    data: Path
    device: Device
    isolation: Demanded | None
    weights_of: str | None = None
    baseline_weights_of: str | None = None
    rival: bool = False  # the baseline is another submission
    scenario: Scenario = Scenario.stream


@contextlib.contextmanager
def opened(root: Path, rules: "Rules", wanted: Wanted) -> "Iterator[Job]":
    """A job whose baseline is staged and whose submission is not: see `with_submission`.

    Raises HarnessError where the baseline cannot be staged, DataError, MachineError.
    """
    from harness import records
    from harness.judge.gpu import describe_gpu, probe_cuda
    from harness.judge.isolation import check_sight

    exam = open_exam(wanted.data)
    records.check_writable(root / LOCAL)
    sandbox = announce(wanted.isolation, rules)
    check_sight((wanted.data, root / LOCAL))
    if wanted.device is Device.cuda:
        describe_gpu()
        probe_cuda(sandbox, rules.limits)
    with staged_job(root, rules, wanted, exam, sandbox) as job:
        yield job


@contextlib.contextmanager
def staged_job(root: Path, rules: "Rules", wanted: Wanted, exam: "Exam", sandbox: "Sandbox") -> "Iterator[Job]":
    """A job of this exam, its baseline and the null staged. Raises HarnessError where the baseline cannot be."""
    from harness import staging
    from harness.judge import evaluate as judge

    target = _target(exam, wanted.baseline_weights_of)
    with contextlib.ExitStack() as stack:
        staged = staging.staged if wanted.rival else _staged_baseline
        entry = stack.enter_context(staged(wanted.baseline, target, rules.limits))
        baseline = judge.Entry(*entry, staging.read_manifest(wanted.baseline).batch)
        yield judge.Job(
            submission=judge.Entry(staging.unstaged(wanted.submission, wanted.weights_of), wanted.submission),
            baseline=baseline,
            null=stack.enter_context(staging.staged(root / "baselines" / "null", target, rules.limits))[1],
            exam=exam,
            rules=rules,
            sandbox=sandbox,
            device=wanted.device.value,
            scenario=wanted.scenario.value,
            rival=wanted.rival,
        )


@contextlib.contextmanager
def with_submission(job: "Job", wanted: Wanted) -> "Iterator[Job]":
    """The job with its submission staged. Raises SubmissionError."""
    from harness import staging
    from harness.judge.evaluate import Entry

    target = _target(job.exam, wanted.weights_of)
    with staging.staged(wanted.submission, target, job.rules.limits) as entry:
        yield dataclasses.replace(job, submission=Entry(*entry, staging.read_manifest(wanted.submission).batch))


def judged_here(root: Path, job: "Job", plan: "Plan", known: "Habits", folder: Path = LOCAL) -> "tuple[Outcome, Path]":
    """Runs a job whose packages are staged; what came of it and where its record is. Raises what ended it early."""
    outcome = judged(dataclasses.replace(job, plan=plan, history=known.history))
    path = keep(root, outcome, folder)
    if outcome.error is not None:
        raise outcome.error
    return outcome, path


def judged(job: "Job") -> "Outcome":
    """Runs a job with the device to itself and a bar to look at."""
    from harness.judge.device import reserved
    from harness.judge.evaluate import evaluate

    with reserved(job.device, note), watching() as watch:
        return evaluate(job, watch)


def habits_here(root: Path, job: "Job") -> "Habits":
    """What the recent checkups of this machine say of the job's board."""
    from harness import records
    from harness.checkup import RECENT_DAYS, habits
    from harness.judge.clock import utc_now
    from harness.judge.evaluate import board_key

    checkups, problems = records.read_all(root / CHECKUPS)
    for problem in problems:
        note(f"harness: skipped: {problem}")
    return habits(checkups, board_key(job), utc_now(-RECENT_DAYS), any_baseline=job.rival)


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
    from harness.judge.bench import Pixels
    from harness.judge.evaluate import Exam
    from harness.record import DataId

    store = open_data(path)
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


def open_data(path: Path) -> "Store":
    """A prepared data set. Raises DataError."""
    from harness.data.store import open_store

    return open_store(path)


def keep(root: Path, outcome: "Outcome", folder: Path = LOCAL) -> Path:
    """Writes the record, whatever came of the run, and a failed or an official submission's output beside it."""
    from harness import records

    record, error = outcome.record, outcome.error
    log = getattr(error, "log", None) or ""
    if record.official:  # the organiser's, however the run ended
        log += outcome.said
    if log:
        record = records.with_log(root / folder, record, log)
    path = records.write(root / folder, record, outcome.raw)
    if error is not None:
        note(f"record: {path.relative_to(root)}")
    if record.failure is not None and record.failure.log is not None:
        note(f"log: {(root / folder / record.failure.log).relative_to(root)}")
    return path


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


def _target(exam: "Exam", weights_of: str | None) -> "Target":
    from harness.staging import Target

    return Target(exam.data.name, exam.data.classes, weights_of, exam.data.digest)


@contextlib.contextmanager
def _staged_baseline(package: Path, target: "Target", limits: "Limits") -> "Iterator[tuple[Package, Path]]":
    """A baseline that cannot be staged is not the submission's fault."""
    from harness import staging
    from harness.errors import HarnessError, SubmissionError

    with contextlib.ExitStack() as stack:
        try:
            entry = stack.enter_context(staging.staged(package, target, limits))
        except SubmissionError as error:
            raise HarnessError(
                f"the baseline {error.message}; or name another with --baseline", kind="baseline"
            ) from error
        yield entry  # what is raised from here on is not of its staging
