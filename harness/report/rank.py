"""From records to ranked boards. Pure, deterministic, and independent of the records' order.

Rows whose scores a rerun could swap share a rank: the best rank is 1 + the number of rows that are significantly
better, the worst is m - the number that are significantly worse, all pairs of a board tested together at 5 %.
A row of one pass has no error: it ties with everybody, so its best rank is 1.
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import groupby

import msgspec
import numpy as np

from harness.decisions import NOTHING, Standing
from harness.record import BoardKey, Record, Result
from harness.report.board import Board, Reference, Row
from harness.report.clean import clean
from harness.report.photos import drawn_baseline_f1, drawn_f1, photo_ranks
from harness.report.pool import DISTURBED, Scale, failure_row, mean, mean_latency, result_row
from harness.rules import Rules
from harness.score import score
from harness.stats import times_less, welch_degrees

_NO_ISOLATION = "none"  # in the key of a run that ended before a worker came up


def boards(
    records: Iterable[Record], rules: Rules, local: Container[str] = (), decided: Standing = NOTHING
) -> tuple[Board, ...]:
    """One board a key, in the order of data, machine and key.

    `local`: digests of records not published; `decided`: what organisers do not rank.
    """
    ordered = sorted({r.digest: r for r in records}.values(), key=lambda r: (r.created_utc, r.digest))
    made = (_board(key, group, (rules, decided), local) for key, group in _by_key(_one_a_run(ordered)).items())
    return tuple(sorted(made, key=lambda board: (board.data, board.machine, board.key)))


def board_of(record: Record, others: Iterable[Record], rules: Rules, decided: Standing = NOTHING) -> Board:
    """The board that a written record is on, together with others."""
    key = record.key()
    (board,) = boards([record, *(other for other in others if other.key() == key)], rules, decided=decided)
    return board


def better(first: Record, second: Record, rules: Rules) -> float:
    """Probability that the first record's true score is lower: see `p_better`. Both have results and one key."""
    present = rules if first.rules == rules.digest() else None
    frozen = None if present is None else present.frozen_f1(first.data.digest, first.baseline.digest)
    measured = [record.result.baseline_f1 for record in (first, second) if record.result is not None]
    scale = Scale(present, mean(measured) if frozen is None else frozen)
    return p_better(result_row([first], scale), result_row([second], scale))


def p_better(a: Row, b: Row) -> float:
    """Probability that `a` has the lower true score, of this pair alone: Student's t with Welch's degrees.

    .5 where either has no error (one pass). Raises ValueError for a row without a score.
    """
    from scipy.special import stdtr  # noqa: PLC0415 (170 ms that a leaderboard need not pay)

    if a.score is None or b.score is None:
        raise ValueError("expected two rows with scores")
    if a.score_error is None or b.score_error is None:
        return 0.5
    gap, spread = b.score.value - a.score.value, math.hypot(a.score_error, b.score_error)
    if spread == 0.0:
        return 0.5 + 0.5 * float(np.sign(gap))
    degrees = welch_degrees(np.array([a.score_error, b.score_error]), np.array([a.degrees, b.degrees]))
    return float(stdtr(degrees, gap / spread))


def _one_a_run(ordered: Sequence[Record]) -> list[Record]:
    """Of the records of one run under one key the last rescored one: a run's passes count once.

    A run is known by its time, seed and package, so that a record cannot name another package's as its former self.
    """
    runs: dict[object, Record] = {}
    for record in ordered:
        run = (record.created_utc, record.seed, record.submission, record.key())
        former = runs.get(run)
        if record.result is None:
            runs[record.digest] = record
        elif former is None or record.rescored_from is not None:
            runs[run] = record
    return list(runs.values())


def _by_key(ordered: Sequence[Record]) -> dict[BoardKey, list[Record]]:
    """Records of each board. Runs without a worker have no isolation: they go to the boards that are else equal."""
    found: dict[BoardKey, list[Record]] = defaultdict(list)
    for record in ordered:
        found[record.key()].append(record)
    for key in [key for key in found if key.isolation == _NO_ISOLATION]:
        homes = [k for k in found if k != key and msgspec.structs.replace(k, isolation=_NO_ISOLATION) == key]
        for home in homes:
            found[home] = sorted([*found[home], *found[key]], key=lambda r: (r.created_utc, r.digest))
        if homes:
            del found[key]
    return found


def _board(key: BoardKey, records: Sequence[Record], terms: tuple[Rules, Standing], local: Container[str]) -> Board:
    """The board of one key's records, oldest first."""
    rules, decided = terms
    present = rules if key.rules == rules.digest() else None
    results = [r.result for r in records if r.status == "ok" and r.result is not None]
    frozen = None if present is None or key.half != "all" else present.frozen_f1(key.data, key.baseline)
    measured = mean([result.baseline_f1 for result in results]) if results else None
    baseline_f1 = measured if frozen is None else frozen
    rows = _rows(records, Scale(present, 0.0 if baseline_f1 is None else baseline_f1), local, decided)
    newest = records[-1]
    return Board(
        key=key,
        data=clean(newest.data.name) or "?",
        baseline=clean(newest.baseline.name) or "?",
        machine=clean(key.machine) or "?",
        baseline_f1=baseline_f1,
        baseline_f1_frozen=frozen is not None,
        least_f1=None if present is None or baseline_f1 is None else present.least_f1(baseline_f1),
        references=() if present is None or baseline_f1 is None else _references(records, present, baseline_f1),
        rows=rows,
        notes=_notes(rows, newest.baseline.name, rules, present is not None),
    )


def _rows(records: Sequence[Record], scale: Scale, local: Container[str], decided: Standing) -> tuple[Row, ...]:
    """Ranked rows, then those that are not ranked, then packages without a result."""
    rows = []
    newest = {record.submission.name: record for record in records}
    # That a package could not be staged (no weights yet) is of interest until it is evaluated again.
    shown = [r for r in records if r.submission.digest or newest[r.submission.name] is r]
    by_package = sorted(shown, key=_package)  # stable: oldest first within one
    for _, group in groupby(by_package, key=_package):
        package = list(group)
        in_time = [r for r in package if decided.why_not("", r.data.digest, r.created_utc) is None]
        package = in_time or package  # what was run after a board was frozen changes nothing on it
        scored = [r for r in package if r.status == "ok" and r.result is not None]
        row = result_row(scored, scale, local) if scored else failure_row(package[-1], local)
        why = decided.why_not(package[0].submission.digest, package[0].data.digest, package[0].created_utc)
        rows.append(row if why is None else msgspec.structs.replace(row, reason=clean(why)))
    ranked = _ranked([row for row in rows if row.status == "ok" and row.reason is None])
    if scale.rules is not None:
        results = {record.digest: record.result for record in records if record.result is not None}
        ranked = _on_other_photos(ranked, results, scale.rules)
    unranked = [row for row in rows if row.status == "ok" and row.reason is not None]
    failed = [row for row in rows if row.status != "ok"]
    return (
        *sorted(ranked, key=lambda row: (row.rank, *_order(row))),
        *sorted(unranked, key=_order),
        *sorted(failed, key=lambda row: (row.submission.name, row.submission.digest)),
    )


def _package(record: Record) -> tuple[str, str]:
    """What its records are pooled by: the digest; the name alone where it was never staged."""
    return record.submission.digest, "" if record.submission.digest else record.submission.name


def _ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows with their best and worst ranks, in the order that they came in (by digest: the seed's order)."""
    values = np.array([_value(row) for row in rows])
    errors = np.array([math.inf if row.score_error is None else row.score_error for row in rows])
    degrees = np.array([row.degrees for row in rows], dtype=np.int64)
    worse, ahead = times_less(values, errors, degrees)
    best, worst = (1 + ahead).tolist(), (len(rows) - worse).tolist()
    return [
        msgspec.structs.replace(row, rank=low, rank_low=low, rank_high=high)
        for row, low, high in zip(rows, best, worst, strict=True)
    ]


def _on_other_photos(rows: Sequence[Row], results: Mapping[str, Result], rules: Rules) -> list[Row]:
    """The rows with the range of ranks that other test photos would give."""
    if not rows:
        return []
    its = [[results[digest] for digest in row.records] for row in rows]
    baseline = drawn_baseline_f1([result for group in its for result in group])
    ratios = np.array([math.nan if row.time_ratio is None else row.time_ratio.value for row in rows])
    drawn = [drawn_f1(group) for group in its]
    common = min(one.size for one in drawn)
    if not common:  # official records have no draws
        return list(rows)
    low, high = photo_ranks(np.stack([one[:common] for one in drawn]), ratios, baseline, rules.score)
    return [
        msgspec.structs.replace(row, photo_rank_low=best, photo_rank_high=worst)
        for row, best, worst in zip(rows, low.tolist(), high.tolist(), strict=True)
    ]


def _value(row: Row) -> float:
    assert row.score is not None  # rows with status "ok" have one
    return row.score.value


def _order(row: Row) -> tuple[float, str]:
    return (_value(row), row.submission.digest)


def _references(records: Sequence[Record], rules: Rules, f1: float) -> tuple[Reference, ...]:
    """The target and the baseline, whose F1 is `f1`."""
    latencies = [r.result.baseline_latency for r in records if r.result is not None and r.status == "ok"]
    target = Reference(
        name="target",
        score=score(f1, rules.target.time_ratio, f1, rules.score),
        time_ratio=rules.target.time_ratio,
        f1=f1,
    )
    baseline = Reference(
        name=clean(records[-1].baseline.name) or "?",
        score=score(f1, 1.0, f1, rules.score),
        time_ratio=1.0,
        f1=f1,
        latency=mean_latency(latencies) if latencies else None,
    )
    return (target, baseline)


def _notes(rows: Sequence[Row], baseline: str, rules: Rules, present: bool) -> tuple[str, ...]:
    notes = []
    easy = any(row.eligible and row.submission.name == rules.canary for row in rows)
    if easy and baseline != rules.canary:
        notes.append(f"the canary {rules.canary} is eligible: this data set is too small or too easy to rank on")
    if not present:
        notes.append("made under other rules than the present ones: scores and eligibility are the records' own")
    if any(DISTURBED in row.flags for row in rows):
        notes.append("a record that disturbed its baseline is not ranked; run that submission again on a quiet machine")
    return tuple(notes)
