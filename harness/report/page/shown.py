"""What the page shows, as one value: the JSON that it embeds. Pure."""

from typing import Any

import msgspec

from harness.record import Machine
from harness.report.page.sheet import Sheet
from harness.report.page.trace import Trace

Numbers = tuple[float | None, ...]


class Run(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record of an entry, for its history."""

    digest: str
    date: str
    status: str
    score: Numbers | None = None
    ratio: float | None = None
    f1: float | None = None
    logs: Numbers = ()  # log ratios of its passes
    flags: tuple[str, ...] = ()
    why: str | None = None
    pooled: bool = False


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A row of a board, with what its own view needs. Intervals are (value, low, high)."""

    id: str  # its fragment in the page's address
    name: str
    status: str
    date: str
    shown_rank: str  # "1", "2=", "-"
    rank: int | None = None
    low: int | None = None
    high: int | None = None
    photos_low: int | None = None
    photos_high: int | None = None
    authors: str = ""
    description: str = ""
    weights_of: str | None = None
    digest: str = ""
    score: Numbers | None = None
    error: float | None = None
    degrees: int = 1
    widening: float | None = None  # of its error, where the board's ranks are tested; see harness/stats.py
    score_photos: Numbers | None = None
    ratio: Numbers | None = None
    f1: Numbers | None = None
    f1_difference: Numbers | None = None
    latency: Numbers | None = None  # mean, p50, p90, p95, p99 in ms, crops/s
    baseline_latency: Numbers | None = None
    parameters: int | None = None
    macs: int | None = None
    size: int | None = None
    format: str | None = None
    isolation: str = ""
    passes: int = 0
    eligible: bool = False
    target: bool = False
    steady: bool = False
    local: bool = False
    why: str | None = None  # it is not ranked
    remarks: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()  # name, meaning
    summary: str | None = None
    verdict: str | None = None  # of the newest run, as `harness evaluate` prints it; of a failed one why, with its log
    memory: Numbers | None = None  # of both sides, in MiB
    batch: Numbers | None = None  # crops a request of both sides, where these come in batches
    machine: int | None = None  # index into View.machines
    harness: str = ""
    seed: str | None = None  # more digits than a number of JavaScript has
    runs: tuple[Run, ...] = ()
    drawn: tuple[int, ...] = ()  # F1 on other photos, in 1/10,000
    classes: tuple[tuple[Any, ...], ...] = ()  # name, precision, recall, F1, support
    confusion: tuple[Numbers, ...] = ()
    trace: Trace | None = None

    @property
    def kind(self) -> str:
        """Where on the page it stands: "ranked", "unranked" or "failed"."""
        return "ranked" if self.rank is not None else "unranked" if self.status == "ok" else "failed"


class Line(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The target or the baseline."""

    name: str
    score: float
    ratio: float
    f1: float
    p50: float | None = None
    speed: float | None = None  # crops/s


class Shown(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One board."""

    id: str
    title: str
    data: str
    scenario: str
    isolation: str
    half: str
    machine: str
    baseline: str
    baseline_f1: float | None
    frozen: bool
    least_f1: float | None
    critical: float | None  # value of the test that ties are by
    rules: str
    digest: str
    notes: tuple[str, ...]
    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]
    present: bool  # made under the present rules: the page can compute its scores


class View(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that the page shows."""

    time_weight: float
    f1_slope: float
    target: float
    boards: tuple[Shown, ...]
    machines: tuple[Machine, ...]
    alone: str = ""  # the entry that the page is of, where it is of one record
    mistakes: Sheet | None = None  # of that one
