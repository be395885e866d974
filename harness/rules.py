"""The rules of a competition: score, target, eligibility, passes, limits, isolation. Pure: bytes in, values out."""

import hashlib
import math
from typing import Literal

import msgspec

from harness.errors import DataError, misread
from harness.score import ScoreRule
from harness.stats import Interval

Level = Literal["bwrap", "landlock", "process"]


class PublishedScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The constants of the original competition's scale; they belong to nothing that is measured here."""

    baseline_f1: float
    baseline_time_s: float


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Met with F1 at least the baseline's and a time ratio of at most `time_ratio`."""

    time_ratio: float


class Eligibility(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry is ranked when its F1 >= max(baseline - f1_drop, f1_share * baseline)."""

    f1_drop: float
    f1_share: float


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a run is laid out. Sources of the numbers: docs/measurement.md."""

    block_crops: int  # crops that one side classifies before the other side's turn
    settle_crops: int  # unscored validation crops after each switch of sides
    warmup_crops: int  # unscored validation crops before the first block of a process
    pilot_passes: int  # of an official run, from which the number of passes is fixed
    least_passes: int  # passes are fixed before the second one starts, never below this
    most_passes: int
    subset_crops: int  # a later pass covers at least so many crops ...
    subset_s: float  # ... and at least so many seconds of timed work
    steady_half_width: float  # half-width of time_ratio's interval, relative: wider is called wide
    official_half_width: float  # what an official run's number of passes is to reach, relative
    outside_share: float  # of a core that others take in a window: above, the window is disturbed
    most_dropped: float  # share of the windows that may be left out; more disturbed ones raise the flag noisy
    disturbed: float  # baseline interleaved slower than alone by more than this and than noise


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker may use. A normal torch submission meets none of them.

    Those with a default came later; at their default they leave the rules' digest as it was.
    """

    load_s: float  # a process until it is confined, and then load()
    answer_s: float  # each answer, whole; so much for each of its crops
    side_s: float  # one side's whole pass: load() and all answers, scored or not
    memory_mb: int  # of a worker with all that it starts; and the data segment of each of its processes on the CPU
    processes: int  # processes and threads of the worker
    scratch_mb: int  # /tmp, and as much again for shared memory where they are its own
    file_mb: int  # any one file
    output_kb: int  # what it may print
    package_mb: int
    package_files: int
    descriptors: int = 1024  # open files of one process
    scratch_files: int = 20_000  # in its scratch; each holds memory of the kernel
    run_s: float = 7200.0  # a submission's part in all passes of a run


_LATER_LIMITS = {its.name: its.default for its in msgspec.structs.fields(Limits) if not its.required}


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A baseline's F1 on a data set, fixed when a board opens. Both digests are those that records name."""

    data: str
    baseline: str
    baseline_f1: float


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rules file."""

    baseline: str  # the baseline's name in baselines/, or its folder
    canary: str  # a classifier that must be ineligible, else the set is too small or too easy to rank on
    isolation: Level  # least level for published and official records
    score: ScoreRule
    published: PublishedScale
    target: Target
    eligible: Eligibility
    protocol: Protocol
    limits: Limits
    board: tuple[Frozen, ...] = ()

    def digest(self) -> str:
        """sha256 over everything but the frozen boards, so that a new board leaves the others' keys alone."""
        said = msgspec.to_builtins(msgspec.structs.replace(self, board=()))
        for name, default in _LATER_LIMITS.items():
            if said["limits"][name] == default:
                del said["limits"][name]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()

    def frozen_f1(self, data: str, baseline: str) -> float | None:
        """The F1 fixed for this data and baseline digest, None where no board has been opened."""
        return next((b.baseline_f1 for b in self.board if (b.data, b.baseline) == (data, baseline)), None)

    def least_f1(self, baseline_f1: float) -> float:
        """The eligibility floor for a baseline's F1."""
        return max(baseline_f1 - self.eligible.f1_drop, self.eligible.f1_share * baseline_f1)

    def is_eligible(self, f1: float, baseline_f1: float) -> bool:
        """Whether an entry of this F1 may be ranked."""
        return f1 >= self.least_f1(baseline_f1)

    def meets_target(self, f1: float, baseline_f1: float, time_ratio: float) -> bool:
        """Whether the target is met: F1 at least the baseline's, time ratio at most the target's."""
        return f1 >= baseline_f1 and time_ratio <= self.target.time_ratio

    def is_steady(self, time_ratio: Interval) -> bool:
        """Whether the time ratio's interval is as narrow as the rules ask."""
        half = time_ratio.half_width
        return half is not None and half <= self.protocol.steady_half_width * time_ratio.value


def parse(text: bytes, source: str) -> Rules:
    """Rules from the bytes of a TOML file named `source`. Raises DataError with the path of a wrong key."""
    try:
        rules = msgspec.toml.decode(text, type=Rules)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: {misread(error, 'rules')}") from error
    for section in (rules.score, rules.published, rules.target, rules.eligible, rules.protocol, rules.limits):
        for name in section.__struct_fields__:
            value = getattr(section, name)
            if not (0 <= value < math.inf):
                raise DataError(f"{source}: {name}: expected a finite number >= 0, got {value}")
    for name in ("pilot_passes", "least_passes"):
        if getattr(rules.protocol, name) < 2:
            raise DataError(f"{source}: {name}: expected 2 or more, of one pass there is no interval")
    return rules
