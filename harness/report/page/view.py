"""Boards and records in, what the page shows out. Pure.

Numbers are rounded to six digits and every text is cleaned already; a page with 100 entries must stay below 2 MB.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from harness.derive import FLAGS
from harness.record import BoardKey, Latency, Machine, Record, Result
from harness.report.board import Board, Row
from harness.report.clean import clean
from harness.report.page.sheet import Sheet
from harness.report.page.shown import Entry, Line, Numbers, Run, Shown, View
from harness.report.page.trace import Trace
from harness.report.text import explanations, of_half, ranks
from harness.report.verdict import failed_text, verdict
from harness.rules import Rules
from harness.stats import Interval, simultaneous_critical, widening

_MOST_CLASSES = 30  # of a confusion matrix: a larger one is no picture, and megabytes
_DIGITS = 6


def view(
    boards: Iterable[Board], records: Iterable[Record], rules: Rules, traces: Mapping[str, Trace] | None = None
) -> View:
    """Boards with the records that they are made of. `traces`: by record's digest, where the raw file may be shown."""
    by_digest = {record.digest: record for record in records}
    machines = _Machines()
    history: dict[tuple[BoardKey, str], list[Record]] = defaultdict(list)
    for record in sorted(by_digest.values(), key=lambda one: (one.created_utc, one.digest)):
        history[record.key(), record.submission.digest].append(record)
    shown = []
    for board in boards:
        entries = []
        for row, rank in zip(board.rows, ranks(board.rows), strict=True):
            newest = by_digest.get(row.records[-1])
            entry = _entry(row, rank, newest)
            if newest is not None:
                runs = history[board.key, row.submission.digest] if row.submission.digest else [newest]
                entry = msgspec.structs.replace(
                    entry,
                    machine=machines.number(newest.machine),
                    trace=(traces or {}).get(newest.digest),
                    verdict=_verdict(newest, rules, board),
                    runs=tuple(_run(record, record.digest in row.records) for record in runs),
                )
            entries.append(entry)
        shown.append(_shown(board, entries, rules))
    return View(
        time_weight=rules.score.time_weight,
        f1_slope=rules.score.f1_slope,
        target=rules.target.time_ratio,
        boards=tuple(shown),
        machines=tuple(machines.kept),
    )


def alone(made: View, digest: str, mistakes: Sheet | None) -> View:
    """The view as the page of one record: of the entry that it is alone in; the others stay to be compared with."""
    (board,) = made.boards
    (mine,) = [entry for entry in board.entries if any(run.pooled and run.digest == digest[:8] for run in entry.runs)]
    return msgspec.structs.replace(made, alone=mine.id, mistakes=mistakes)


def _verdict(record: Record, rules: Rules, board: Board) -> str | None:
    if record.failure is not None:
        return failed_text(record.failure)
    return None if record.result is None else verdict(record, rules, board)


class _Machines:
    """The machines of a page, each once: runs of one board differ in little more than their load."""

    def __init__(self) -> None:
        self.kept: list[Machine] = []
        self._numbers: dict[bytes, int] = {}

    def number(self, machine: Machine) -> int:
        """Its place among them."""
        key = msgspec.json.encode(machine)
        if key not in self._numbers:
            self._numbers[key] = len(self.kept)
            self.kept.append(_cleaned(machine))
        return self._numbers[key]


def _shown(board: Board, entries: Sequence[Entry], rules: Rules) -> Shown:
    key = board.key
    critical, widths = _ties(board.rows)
    entries = [
        msgspec.structs.replace(entry, widening=_digits(widths.get(row.submission.digest)))
        for row, entry in zip(board.rows, entries, strict=True)
    ]
    return Shown(
        critical=_digits(critical),
        id=key.digest()[:8],
        title=f"{board.data}: {clean(key.scenario)}{of_half(board)}",
        data=board.data,
        scenario=clean(key.scenario),
        isolation=clean(key.isolation),
        half=key.half,
        machine=board.machine,
        baseline=board.baseline,
        baseline_f1=_digits(board.baseline_f1),
        frozen=board.baseline_f1_frozen,
        least_f1=_digits(board.least_f1),
        rules=clean(key.rules, 12),
        digest=clean(key.data, 12),
        notes=board.notes,
        lines=tuple(
            Line(
                name=line.name,
                score=line.score,
                ratio=line.time_ratio,
                f1=line.f1,
                p50=None if line.latency is None else _digits(line.latency.p50_ms),
                speed=None if line.latency is None else _digits(line.latency.crops_per_s),
            )
            for line in board.references
        ),
        entries=tuple(entries),
        present=key.rules == rules.digest(),
    )


def _ties(rows: Sequence[Row]) -> tuple[float | None, dict[str, float]]:
    """Critical value of a board's ranks, and by package what its error is multiplied by: see stats.less_rows."""
    known = sorted(
        ((row.submission.digest, row.score_error, row.degrees) for row in rows if row.rank and row.score_error),
    )
    if len(known) < 2:
        return None, {}
    errors, degrees = np.array([its[1] for its in known]), np.array([its[2] for its in known], dtype=np.int64)
    widths = dict(zip((its[0] for its in known), widening(degrees).tolist(), strict=True))
    return simultaneous_critical(errors, degrees), widths


def _entry(row: Row, rank: str, newest: Record | None) -> Entry:
    package, result = row.submission, None if newest is None else newest.result
    sure = {} if newest is None else _of_record(newest)
    return Entry(
        id=_fragment(row),
        name=package.name,
        status=row.status,
        date=row.created_utc[:10],
        shown_rank=rank,
        rank=row.rank,
        low=row.rank_low,
        high=row.rank_high,
        photos_low=row.photo_rank_low,
        photos_high=row.photo_rank_high,
        authors=package.authors,
        description=package.description,
        weights_of=package.weights_of,
        digest=package.digest[:12],
        score=_ends(row.score),
        error=_digits(row.score_error),
        degrees=row.degrees,
        score_photos=_ends(row.score_photos),
        ratio=_ends(row.time_ratio),
        f1=_ends(row.f1),
        f1_difference=_ends(row.f1_difference),
        latency=_latency(row.latency),
        size=package.size_bytes or None,
        format=package.format or None,
        parameters=package.parameters or None,
        macs=package.macs or None,
        passes=row.passes,
        eligible=row.eligible,
        target=row.target_met,
        steady=row.steady,
        local=row.local,
        why=row.reason,
        remarks=tuple(explanations(row)),
        flags=tuple((clean(name, 60), FLAGS.get(name, "unknown")) for name in row.flags),
        summary=row.summary,
        **sure,
        **({} if result is None else _of_result(result)),
    )


def _of_record(record: Record) -> dict[str, Any]:
    return {
        "isolation": "" if record.isolation is None else record.isolation.summary(),
        "harness": clean(record.harness, 40),
        "seed": None if record.official else str(record.seed),
    }


def _of_result(result: Result) -> dict[str, Any]:
    small, usage = len(result.confusion) <= _MOST_CLASSES, result.usage
    taken = {}
    if usage is not msgspec.UNSET:
        sizes = float(usage.submission_batch), float(usage.baseline_batch)
        taken["memory"] = (float(usage.submission_peak_mb), float(usage.baseline_peak_mb))
        taken |= {"batch": sizes} if max(sizes) > 1 else {}
    return {
        **taken,
        "baseline_latency": _latency(result.baseline_latency),
        "drawn": tuple(round(value * 10_000) for value in result.drawn_f1),
        "classes": tuple(
            (clean(one.name, 60), *(_digits(value) for value in (one.precision, one.recall, one.f1, one.support)))
            for one in sorted(result.classes, key=lambda one: 0.0 if small else one.f1)[:_MOST_CLASSES]
        ),
        "confusion": tuple(tuple(map(_digits, row)) for row in result.confusion) if small else (),
    }


def _run(record: Record, pooled: bool) -> Run:
    result, failure = record.result, record.failure
    return Run(
        digest=record.digest[:8],
        date=clean(record.created_utc[:16].replace("T", " "), 40),
        status=record.status,
        score=None if result is None else _ends(result.score),
        ratio=None if result is None else _digits(result.time_ratio.value),
        f1=None if result is None else _digits(result.f1.value),
        logs=() if result is None else tuple(round(value, 5) for value in result.log_ratios[:200]),
        flags=() if result is None else tuple(clean(flag, 60) for flag in result.flags),
        why=None if failure is None else clean(f"{failure.owner}: {failure.kind}: {failure.message}"),
        pooled=pooled,
    )


def _fragment(row: Row) -> str:
    """The first digits of its digest; of what was never staged a sum of its name."""
    digest = row.submission.digest
    return hashlib.sha256((digest or f"name {row.submission.name}").encode()).hexdigest()[:10]


def _cleaned(machine: Machine) -> Machine:
    """What a record says of a machine, made safe to print: it may come from anywhere."""
    said = {
        name: clean(value, 120)
        for name in machine.__struct_fields__
        if isinstance(value := getattr(machine, name), str) and name != "device"
    }
    versions = {clean(name, 40): clean(value, 40) for name, value in sorted(machine.versions.items())[:60]}
    return msgspec.structs.replace(machine, versions=versions, affinity=machine.affinity[:256], **said)


def _ends(interval: Interval | None) -> Numbers | None:
    return None if interval is None else tuple(map(_digits, (interval.value, interval.low, interval.high)))


def _latency(latency: Latency | None) -> Numbers | None:
    return None if latency is None else tuple(_digits(getattr(latency, name)) for name in Latency.__struct_fields__)


def _digits(value: float | None) -> float | None:
    """Six significant digits: a hundred times finer than any interval here."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")
