"""The main road: two staged packages and a data set in, a record and its raw file out."""

import os
import secrets
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

import harness
from harness.derive import derive
from harness.errors import HarnessError, MachineError
from harness.judge.audits import audit
from harness.judge.awake import awake, prompt
from harness.judge.bench import Bench, Pixels, Watch
from harness.judge.clock import utc_now
from harness.judge.isolation import Sandbox
from harness.judge.machine import describe, usable_cores
from harness.judge.measure import Measured, measure
from harness.judge.schedule import Budget, Plan
from harness.judge.session import Setting, Staged
from harness.metrics import Ints
from harness.raw import Raw, RawAudit
from harness.record import BoardKey, DataId, Failure, Half, Package, Record, Scenario, Status
from harness.rules import Rules
from harness.stats import History
from harness.wire import input_bytes


class Entry(NamedTuple):
    """A package, staged; its digest is empty and the folder its own where it is not (yet)."""

    package: Package
    folder: Path
    batch: int = 1  # crops a request that it asks for, in the batch scenario


class Exam(NamedTuple):
    """The test crops with their answers, both halves in one sequence. Labels never leave the judge."""

    data: DataId
    pixels: Pixels
    labels: Ints
    photos: tuple[str, ...]
    splits: tuple[str, ...]


DEFAULT_PLAN = Budget(45.0)


@dataclass(frozen=True)
class Job:
    """What to evaluate, against what, on what, and how."""

    submission: Entry
    baseline: Entry
    null: Path
    exam: Exam
    rules: Rules
    sandbox: Sandbox
    device: Literal["cpu", "cuda"] = "cpu"
    scenario: Scenario = "stream"
    plan: Plan = DEFAULT_PLAN
    history: History | None = None
    rival: bool = False  # a duel: the baseline is a stranger's package too, and what it does wrong is its own fault
    audit: bool = False  # try beside the run whether the package is what it seems
    alike: bool = True  # memory lies alike on both sides of a pass; a checkup draws it for each, as for unlike packages
    official: bool = False  # its author learns nothing that the test crops said; the result is of the public half

    def half(self) -> Half:
        """The half of the test crops that the record tells of; all where a data set has one half only."""
        return "public" if self.official and len(set(self.exam.splits)) > 1 else "all"

    def batches(self) -> tuple[int, int]:
        """Crops a request, of the submission and of the baseline."""
        return (self.submission.batch, self.baseline.batch) if self.scenario == "batch" else (1, 1)


class Outcome(NamedTuple):
    """The record, its raw file where there are times, what ended the run early, and what the submission printed."""

    record: Record
    raw: Raw | None
    error: HarnessError | KeyboardInterrupt | None
    said: str = ""


def evaluate(job: Job, watch: Watch) -> Outcome:
    """Measures, derives, and says what came of it. A failed run has a record too; nothing is written here."""
    seed = secrets.randbits(63)
    bench = _bench(job, seed, watch)
    record = _opening(job, seed)
    try:
        with awake() as held, prompt() as first:
            record = _attended(record, held, first)
            measured = measure(bench, job.exam.labels, job.plan)
            audits = bench.retried(lambda: audit(bench)) if job.audit else None
            raw = _raw(job, seed, measured, audits)
            result = derive(raw, job.rules, record.half)
    except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 (a run that ended has a record, whatever it was)
        error = _named(caught)
        if job.official and bench.shown and isinstance(error, HarnessError):
            error.withhold()
        ended = msgspec.structs.replace(
            record, status=_status(error), isolation=bench.isolation, failure=_failure(error)
        )
        return Outcome(ended, None, error, bench.said())
    whole = msgspec.structs.replace(record, isolation=bench.isolation, result=result)
    return Outcome(whole, raw, None, bench.said())


def board_key(job: Job) -> BoardKey:
    """The board that the job's record will belong to."""
    record = _opening(job, seed=0)
    return msgspec.structs.replace(record.key(), isolation=job.sandbox.level)


def refused(job: Job, error: HarnessError) -> Outcome:
    """The record of a submission that could not be staged: nothing ran."""
    ended = msgspec.structs.replace(_opening(job, seed=0), status="failed", failure=_failure(error))
    return Outcome(ended, None, error)


def _bench(job: Job, seed: int, watch: Watch) -> Bench:
    warmup = job.exam.pixels.warmup
    largest = [(int(h), int(w)) for h, w in {warmup[number].shape[:2] for number in range(len(warmup))}]
    largest += [(int(h), int(w)) for h, w in job.exam.pixels.sizes]
    batches = job.batches()
    capacity = input_bytes([max(largest, key=lambda size: size[0] * size[1])] * max(batches))
    classes = len(job.exam.data.classes)
    return Bench(
        submission=Staged(job.submission.package.name, job.submission.folder, classes),
        baseline=Staged(job.baseline.package.name, job.baseline.folder, classes, trusted=not job.rival),
        null=job.null,
        pixels=job.exam.pixels,
        rules=job.rules,
        setting=Setting(job.sandbox, job.rules.limits, job.device, usable_cores(), capacity),
        rng=np.random.default_rng(seed),
        watch=watch,
        batches=batches,
        apart=job.rival or _same(job),
        alike=job.alike,
    )


def _same(job: Job) -> bool:
    """Whether one package is on both sides: then memory that is got in turns is all in which they differ."""
    return "" != job.submission.package.digest == job.baseline.package.digest


def _opening(job: Job, seed: int) -> Record:
    return Record(
        created_utc=utc_now(),
        harness=harness.__version__,
        status="ok",
        submission=job.submission.package,
        baseline=job.baseline.package,
        data=job.exam.data,
        rules=job.rules.digest(),
        scenario=job.scenario,
        seed=seed,
        machine=describe(job.device, usable_cores()),
        official=job.official,
        half=job.half(),
    )


def _attended(record: Record, held: bool, first: bool) -> Record:
    machine = msgspec.structs.replace(record.machine, idle_states_held_off=held, realtime_judge=first)
    return msgspec.structs.replace(record, machine=machine)


def _raw(job: Job, seed: int, measured: Measured, audits: RawAudit | None) -> Raw:
    return Raw(
        classes=job.exam.data.classes,
        labels=tuple(job.exam.labels.tolist()),
        photos=job.exam.photos,
        splits=job.exam.splits,
        baseline_f1=job.rules.frozen_f1(job.exam.data.digest, job.baseline.package.digest),
        seed=seed,
        passes=tuple(measured.passes),
        alone=tuple(measured.alone),
        floor=tuple(measured.floor),
        history=job.history,
        pilot=measured.pilot,
        audit=audits,
        batches=job.batches(),
    )


def _named(error: BaseException) -> HarnessError | KeyboardInterrupt:
    """What ended a run, as an error with an owner: a full disk is the machine's, what nobody foresaw is harness's."""
    if isinstance(error, HarnessError | KeyboardInterrupt):
        return error
    if isinstance(error, OSError):
        said = os.strerror(error.errno) if error.errno else type(error).__name__
        return MachineError(f"{error.filename or 'the machine'}: {error.strerror or error}", kind="os", public=said)
    said = f"a fault of harness itself, please report it: {type(error).__name__}"
    trace = "".join(traceback.format_exception(error))
    return HarnessError(f"{said}: {error}", kind="fault", log=trace, public=said)


def _status(error: BaseException) -> Status:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _failure(error: HarnessError | KeyboardInterrupt) -> Failure:
    if isinstance(error, KeyboardInterrupt):
        return Failure("machine", "interrupted", "stopped by Ctrl-C or SIGTERM")
    message = error.message.encode(errors="replace").decode()  # a name may hold what UTF-8 cannot
    return Failure(error.owner, error.kind, message)
