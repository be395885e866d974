"""The record of one evaluation: what is written, how it is hashed. Pure; harness/records.py does the files.

A record is small strict JSON. Beside it lies a raw file with every time and every answer, from which
harness/derive.py computes every number again.
"""

import hashlib
import math
from typing import Literal

import msgspec

from harness.errors import DataError, Owner
from harness.raw import Part
from harness.rules import Level
from harness.stats import History, Interval

SCHEMA = 2
_MOST_PASSES, _LARGEST_LOG = 100_000, 50.0
Scenario = Literal["stream", "batch"]
Status = Literal["ok", "failed", "interrupted"]
Half = Literal["all", "public", "private"]  # of the test crops


class Package(Part, frozen=True):
    """A package as it ran. `digest` is over the staged copy, weights included; empty where it could not be staged."""

    name: str
    digest: str
    authors: str = ""
    description: str = ""
    weights_of: str | None = None  # the other data set that its weights were trained on: a transfer
    size_bytes: int = 0
    # Those below came later: where they are not known nothing is written, so that older records keep their digests.
    format: str | msgspec.UnsetType = msgspec.UNSET  # of its model; "python" for a predict.py
    parameters: int | msgspec.UnsetType = msgspec.UNSET  # numbers in its safetensors file, but for running statistics
    macs: int | msgspec.UnsetType = msgspec.UNSET  # multiply-adds of a crop


class DataId(Part, frozen=True):
    """The data set: its digest is over the source's bytes and the split, not over decoded pixels."""

    name: str
    digest: str
    classes: tuple[str, ...]
    test_crops: int
    test_photos: int


class Isolation(Part, frozen=True):
    """What the judge saw in /proc of the workers, not what it asked for."""

    level: Level
    uid_differs: bool  # the worker's uid is not the judge's
    capabilities: int  # effective set, 0 is none
    seccomp: bool
    no_new_privs: bool
    namespaces: tuple[str, ...]  # those that are not the judge's
    # the judge's draw of addresses holds, not the kernel's for each process; unset in records of before there was one
    drawn_layout: bool | msgspec.UnsetType = msgspec.UNSET

    def summary(self) -> str:
        """Like "bwrap+seccomp+uid"."""
        return self.level + "+seccomp" * self.seccomp + "+uid" * self.uid_differs


class Machine(Part, frozen=True):
    """Where it ran. `device` is "cpu" or "cuda"."""

    device: Literal["cpu", "cuda"]
    cpu: str
    cores: int  # usable by the workers
    threads: int  # each side's thread pool
    memory_mb: int
    kernel: str
    python: str
    versions: dict[str, str]  # of the packages that the sides may use
    affinity: tuple[int, ...] = ()  # numbers of the usable cores, the same for both sides
    governor: str | None = None
    load_1min: float | None = None
    idle_states_held_off: bool = False  # while times were taken; a sleeping core answers late
    realtime_judge: bool = False  # while times were taken; else it waits for a turn beside a spinning thread
    gpu: str | None = None
    driver: str | None = None
    gpu_clock_mhz: int | None = None
    gpu_temperature_c: int | None = None

    def name(self) -> str:
        """The machine class of a board key, readable: processor or GPU, threads, the driver's major number."""
        if self.gpu is not None:
            return f"{self.gpu} driver {(self.driver or '?').split('.')[0]}"
        return f"{self.cpu} x{self.threads}"


class Failure(Part, frozen=True):
    """Why a run gave no number. `kind` is a short code, `message` one line."""

    owner: Owner
    kind: str
    message: str
    log: str | None = None


class Latency(Part, frozen=True):
    """Times of one crop in ms, the channel's floor taken off. Percentiles are None below 64, 130 and 662 times."""

    mean_ms: float
    p50_ms: float
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    crops_per_s: float


class ClassResult(Part, frozen=True):
    """One class: precision, recall and F1 in [0, 1]; support in crops."""

    name: str
    precision: float
    recall: float
    f1: float
    support: float


class Windows(Part, frozen=True):
    """Stretches of about a second of the passes: all, those in which others took the machine, those left out for it."""

    all: int = 0
    disturbed: int = 0
    dropped: int = 0


class Audit(Part, frozen=True):
    """What was tried beside the run to find out whether a package is what it seems; see harness/audit.py."""

    repeated: float | None  # median time of a crop shown again at once, over that of its first showing
    batch_differs: int  # crops whose answer in a batch is not that of the crop alone ...
    batch_of: int  # ... of so many
    batch_failed: str | None  # why a batch had no answer: the failure's kind
    zeroed_f1: float | None  # macro F1 with all weights zeroed, None where that is not applicable or failed
    weighed_f1: float | None  # with its weights on the same crops
    zeroed_note: str  # what was zeroed, or why nothing was


class Usage(Part, frozen=True):
    """What each side took beside time."""

    submission_batch: int  # crops a request; 1 in the stream scenario
    baseline_batch: int
    submission_peak_mb: int  # MiB resident at most, code included, of all its processes; the largest of all passes
    baseline_peak_mb: int


class Result(Part, frozen=True):
    """Every derived number of a run. Two uncertainties, never mixed: rerun (time, non-determinism), other photos."""

    log_ratios: tuple[float, ...]  # one a pass: log(sum of submission's times / sum of baseline's)
    log_error: float | None  # standard error of their mean; None from one pass
    degrees: int  # of freedom of that error
    history: History | None  # of this machine at the time, pooled with the passes where both agree
    time_ratio: Interval  # rerun
    f1: Interval  # other photos
    baseline_f1: float
    baseline_f1_frozen: bool
    f1_difference: Interval  # submission - baseline_f1, paired by photo; other photos
    score: Interval  # rerun
    score_photos: Interval  # other photos
    score_error: float | None  # standard error of `score` on a rerun; None from one pass
    drawn_f1: tuple[float, ...]  # F1 on other photos, drawn alike for every record of a data set
    drawn_baseline_f1: tuple[float, ...]  # the baseline's on the same
    submission_latency: Latency
    baseline_latency: Latency
    submission_floor_us: float  # taken off each time of this side
    baseline_floor_us: float
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[float, ...], ...]  # row = true class; each crop weighs 1
    eligible: bool
    target_met: bool
    steady: bool
    windows: Windows
    summary: str  # all of it in a sentence
    flags: tuple[str, ...]  # see FLAGS in harness/derive.py
    audit: Audit | None = None
    usage: Usage | msgspec.UnsetType = msgspec.UNSET  # unset where an older harness made the record: its digest holds


class Record(Part, frozen=True, kw_only=True):
    """One evaluation. `digest` is the sha256 of the canonical JSON of everything else."""

    schema: int = SCHEMA
    created_utc: str  # ISO 8601
    harness: str  # version
    status: Status
    submission: Package
    baseline: Package
    data: DataId
    rules: str
    scenario: Scenario = "stream"
    seed: int
    machine: Machine
    isolation: Isolation | None = None  # None where no worker came up
    official: bool = False  # an organiser's run: pilot, demanded isolation, audits, nothing of the test crops said
    half: Half = "all"  # of the test crops that `result` is of
    result: Result | None = None
    failure: Failure | None = None
    raw_sha256: str | None = None
    rescored_from: str | None = None  # digest of the record of the same run that this one replaces under its rules
    digest: str = ""

    def key(self) -> "BoardKey":
        """The board that this record belongs to."""
        return BoardKey(
            data=self.data.digest,
            rules=self.rules,
            baseline=self.baseline.digest,
            scenario=self.scenario,
            isolation="none" if self.isolation is None else self.isolation.level,
            machine=self.machine.name(),
            half=self.half,
        )


class BoardKey(Part, frozen=True, order=True):
    """Records are compared only within one key."""

    data: str
    rules: str
    baseline: str
    scenario: str
    isolation: str
    machine: str
    half: Half = "all"

    def digest(self) -> str:
        """sha256 of the key; that of all crops does not name a half, so that it is the one of before there were any."""
        said = msgspec.to_builtins(self)
        if self.half == "all":
            del said["half"]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def canonical(record: Record) -> bytes:
    """The bytes that a record's digest is over: JSON in field order, without the digest."""
    return msgspec.json.encode(msgspec.structs.replace(record, digest=""))


def seal(record: Record) -> Record:
    """The record with its digest set."""
    return msgspec.structs.replace(record, digest=hashlib.sha256(canonical(record)).hexdigest())


def encode(record: Record) -> bytes:
    """A sealed record as the bytes of its file: indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode(text: bytes, source: str) -> Record:
    """The record in the bytes of the file `source`.

    Raises DataError where it is no record, of another schema, or its digest does not match its content.
    """
    try:
        record = msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())  # it quotes the file's own names
        raise DataError(f"{source}: expected a record of schema {SCHEMA}, got {said}") from error
    if record.schema != SCHEMA:
        advice = "update harness" if record.schema > SCHEMA else "evaluate again: an older harness made it"
        raise DataError(f"{source}: expected schema {SCHEMA}, got {record.schema}; {advice}")
    if hashlib.sha256(canonical(record)).hexdigest() != record.digest:
        raise DataError(f"{source}: its content does not have the digest that it names; it was changed after the run")
    if record.result is not None and not _is_possible(record.result):
        raise DataError(f"{source}: expected a result that a run can have, got numbers out of their range")
    return record


def _is_possible(result: Result) -> bool:
    """Whether what a board computes with is there and in its range: a record may come from anywhere."""
    ratios = result.log_ratios
    return (
        0 < len(ratios) <= _MOST_PASSES
        and all(abs(value) < _LARGEST_LOG for value in ratios)
        and abs(math.log(max(result.time_ratio.value, 1e-300))) < _LARGEST_LOG
        and len(result.drawn_f1) == len(result.drawn_baseline_f1)
        and all(0.0 <= value <= 1.0 for value in (result.f1.value, result.baseline_f1, *result.drawn_f1))
        and result.degrees >= 1
    )
