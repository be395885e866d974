"""The raw file of an evaluation: every time and every answer. Pure; harness/records.py does the files."""

from typing import Literal

import msgspec

from harness.stats import History


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A typed piece of a record: immutable, unknown fields refused."""


class RawSample(Part, frozen=True):
    """What the machine had spent when `pairs` pairs of blocks of a pass were done. All but `pairs` are counters."""

    pairs: int
    now_ns: int
    own_ms: int  # processor time of the judge, the workers and all that they started
    busy_ms: int  # of everything on this machine, all cores together
    steal_ms: int  # taken by the hypervisor, all cores together
    stalled_us: int  # that tasks waited for memory (pressure stall information)
    throttled: int  # times that heat slowed the cores; ns of a GPU's throttling
    suspended_ms: int  # that the machine slept


class RawPass(Part, frozen=True):
    """One pass: fresh processes, both sides on the same crops in the same order. Times in ns, floor included."""

    first: Literal["submission", "baseline"]
    blocks: tuple[int, ...]  # lengths, in order; their sum is the number of crops
    crops: tuple[int, ...]  # numbers of test crops
    submission_ns: tuple[int, ...]  # a crop's share of its request
    baseline_ns: tuple[int, ...]
    submission_labels: tuple[int, ...]
    baseline_labels: tuple[int, ...]
    samples: tuple[RawSample, ...] = ()  # the first before the first pair, then about one a second
    submission_peak_mb: int = 0  # MiB resident at most; 0 where it was not read
    baseline_peak_mb: int = 0


class RawLeg(Part, frozen=True):
    """The baseline alone, in a fresh process, no other worker alive."""

    crops: tuple[int, ...]
    baseline_ns: tuple[int, ...]


class RawFloor(Part, frozen=True):
    """Round trips of a null that spins a known time, on crops of the median size."""

    dwell_ns: int
    elapsed_ns: tuple[int, ...]
    batch: int = 1  # crops a request


class RawAudit(Part, frozen=True):
    """Answers and times of the audits. Validation crops, but for the zeroed weights' test crops."""

    fresh_ns: tuple[int, ...]  # a crop's first showing, after another one of its size
    repeated_ns: tuple[int, ...]  # the same crop again, at once
    single_labels: tuple[int, ...]
    batch_labels: tuple[int, ...]  # of the same crops, several a request; empty where a batch failed
    batch_failed: str | None
    zeroed_crops: tuple[int, ...]
    zeroed_labels: tuple[int, ...]  # empty where there are no weights to zero, or it fails without them
    zeroed_note: str


class Raw(Part, frozen=True):
    """The raw file: enough to derive everything again without the data set."""

    classes: tuple[str, ...]
    labels: tuple[int, ...]  # true class of each test crop
    photos: tuple[str, ...]  # photo that each test crop was cut from
    splits: tuple[str, ...]  # "test-public" or "test-private"
    baseline_f1: float | None  # frozen in the rules, None where not
    seed: int  # of the bootstrap
    passes: tuple[RawPass, ...]
    alone: tuple[RawLeg, ...]
    floor: tuple[RawFloor, ...]
    history: History | None = None  # of this machine, as it was at the run
    pilot: int = 0  # first passes, from which their number was fixed; 0: it was fixed without their times
    audit: RawAudit | None = None
    batches: tuple[int, int] = (1, 1)  # crops a request, of the submission and of the baseline
