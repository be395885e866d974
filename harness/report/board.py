"""What a leaderboard is: rows, reference lines, boards. Values only."""

from harness.raw import Part
from harness.record import BoardKey, Latency, Package, Status
from harness.stats import Interval


class Row(Part, frozen=True, kw_only=True):
    """One package on one board, all of its records pooled. Numbers are None where no record has any."""

    rank: int | None = None  # the best one, shared by all that tie; None for a row that is not ranked
    rank_low: int | None = None  # best and worst rank that the rerun's uncertainty allows
    rank_high: int | None = None
    photo_rank_low: int | None = None  # best and worst rank that other test photos would give, at these times
    photo_rank_high: int | None = None
    submission: Package
    status: Status
    score: Interval | None = None  # rerun
    score_error: float | None = None  # standard error of `score` on a rerun; None from one pass
    score_photos: Interval | None = None  # other photos
    time_ratio: Interval | None = None  # rerun
    f1: Interval | None = None  # other photos
    f1_difference: Interval | None = None  # to the baseline; other photos
    latency: Latency | None = None  # means of the records'
    summary: str | None = None  # all of it in a sentence
    passes: int = 0  # of all records together
    degrees: int = 1  # of freedom of score_error
    runs: int = 0  # records pooled
    left_out: int = 0  # records of the package that are not pooled: baseline_disturbed
    eligible: bool = False
    target_met: bool = False
    steady: bool = False
    local: bool = False  # some of its records are this machine's alone, not published
    flags: tuple[str, ...] = ()
    reason: str | None = None  # why it is not ranked
    created_utc: str  # of the newest record
    records: tuple[str, ...]  # digests, oldest first


class Reference(Part, frozen=True, kw_only=True):
    """A line to compare with, never ranked: the baseline (score 1.0) and the target."""

    name: str
    score: float
    time_ratio: float
    f1: float
    latency: Latency | None = None


class Board(Part, frozen=True, kw_only=True):
    """All rows of one key: ranked, then not ranked, then failed."""

    key: BoardKey
    data: str  # names, for people; the key has the digests
    baseline: str
    machine: str
    baseline_f1: float | None  # None where no record has a result
    baseline_f1_frozen: bool
    least_f1: float | None  # the eligibility floor; None under other rules than the present ones
    references: tuple[Reference, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
