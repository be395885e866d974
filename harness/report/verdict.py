"""What one record says, in a few lines of at most 80 columns. Pure: a record in, text out."""

import msgspec

from harness.derive import FLAGS
from harness.record import Failure, Latency, Record, Result
from harness.report.audit import audit_lines
from harness.report.board import Board, Row
from harness.report.clean import clean, shorten
from harness.report.fields import WIDTH, ends, field, with_ends
from harness.report.needs import next_rank
from harness.report.text import span
from harness.rules import Rules
from harness.sentence import speed

_LOG_LINES = 40  # of a failed run


def verdict(record: Record, rules: Rules, board: Board) -> str:
    """The verdict on a record with a result: F1, time, score, each with its interval; latency; isolation; rank.

    `board`: the one that the record is on.
    """
    result, machine = record.result, record.machine
    assert result is not None, "a failed run has no verdict"
    isolation = "" if record.isolation is None else record.isolation.summary()
    names = clean(record.submission.name, 40), clean(record.data.name, 20), clean(record.baseline.name, 30)
    awake = "" if machine.idle_states_held_off else "; cores may sleep between crops"
    lines = [
        shorten("{} on {}, baseline {}".format(*names), WIDTH),
        *_rows(result),
        *speeds(record, ("latency", "baseline")),
        f"  target      {_target(result, rules)}",
        f"  isolation   {isolation}; {machine.device}, {machine.threads} threads{awake}",
    ]
    if record.submission.weights_of is not None:
        lines.append(f"  transfer    weights of {clean(record.submission.weights_of, 40)}")
    if record.half != "all":
        lines += field(
            "half", f"the {record.half} one of the test crops; `harness leaderboard --private` has the other"
        )
    if result.audit is not None:
        lines += audit_lines(result.audit)
    for name in result.flags:
        lines += field("flag", f"{clean(name, 60)}: {FLAGS.get(name, 'unknown')}")
    windows = result.windows
    if windows.dropped:
        lines += field("left out", f"{windows.dropped} of {windows.all} windows, in which others took the machine")
    row = next(row for row in board.rows if row.submission.digest == record.submission.digest)
    so = field("so", f"{clean(result.summary, 300)}{_rank(row, board)}{_met(result)}")
    return "\n".join([*lines, *_placed(row, rules, board), *so])


def failed_text(failure: Failure) -> str:
    """What is known of a run without a result: whose fault, what, and the end of what was printed."""
    log = [] if failure.log is None else failure.log.splitlines()[-_LOG_LINES:]
    return "\n".join(
        [clean(f"{failure.owner}: {failure.kind}: {failure.message}"), *(f"  {clean(line)}" for line in log)]
    )


def _rank(row: Row, board: Board) -> str:
    if row.rank is None:
        return ""
    ranks = [other.rank for other in board.rows if other.rank is not None]
    shared = " (shared)" if ranks.count(row.rank) > 1 else ""
    return f"; rank {row.rank} of {len(ranks)}{shared}"


def _met(result: Result) -> str:
    return ", target met" if result.target_met else ""


def _placed(row: Row, rules: Rules, board: Board) -> list[str]:
    """The ranks on other photos, and what the next rank would take; nothing for a row that is not ranked."""
    if row.rank is None:
        return []
    lines = [f"  rank        {span(row.rank_low, row.rank_high)} on a rerun"]
    if photos := span(row.photo_rank_low, row.photo_rank_high):
        lines[0] += f", {photos} on other photos"
    needs = next_rank(row, board, rules)
    if needs is not None:
        ways = [] if needs.ms is None else [f"{needs.ms:.3g} ms less a crop"]
        ways += [] if needs.f1 is None else [f"{needs.f1:.4f} more F1"]
        way = " or ".join(ways) or "both less time and more F1"
        resolved = "" if needs.resolved is None else f"; a rerun moves this score by ±{needs.resolved:.4f}"
        lines += field("next", f"the score of {needs.name}, rank {needs.rank}, takes {way}{resolved}")
    return lines


def _rows(result: Result) -> list[str]:
    passes = len(result.log_ratios)
    steady = "steady" if result.steady else "wide"
    hint = "" if result.steady else "; a longer --budget narrows it"
    frozen = "frozen" if result.baseline_f1_frozen else "here"
    return [
        f"  macro F1    {with_ends(result.f1, '.4f')} on other photos; baseline {result.baseline_f1:.4f} ({frozen})",
        f"  time ratio  {with_ends(result.time_ratio, '.3f')}, {passes} passes, {steady}",
        f"              {speed(result.time_ratio.value)}{hint}",
        f"  score       {with_ends(result.score, '.4f')} on a rerun; lower is better",
        f"              {ends(result.score_photos, '.3f')} on other photos",
    ]


def speeds(record: Record, names: tuple[str, str]) -> list[str]:
    """A line for each side's times, under these names, and one for the memory of both.

    Latencies in the stream scenario; in batches a crop has no latency of its own: crops per second.
    """
    result = record.result
    assert result is not None
    times, usage = (result.submission_latency, result.baseline_latency), result.usage
    if usage is msgspec.UNSET:
        return [f"  {name:<12}{latency(its)}" for name, its in zip(names, times, strict=True)]
    sizes = usage.submission_batch, usage.baseline_batch
    if record.scenario == "batch":
        said = [f"{its.crops_per_s:.0f} crops/s, {size} a request" for its, size in zip(times, sizes, strict=True)]
        names = ("throughput", names[1])
    else:
        said = [latency(its) for its in times]
    lines = [f"  {name:<12}{text}" for name, text in zip(names, said, strict=True)]
    other = names[1] or "the second"
    memory = f"{usage.submission_peak_mb} MiB at most, {other} {usage.baseline_peak_mb} MiB"
    return [*lines, f"  memory      {memory}"]


def latency(times: Latency) -> str:
    """Like "p50 5.10 p90 5.90 p95 6.30 p99 8.10 ms, 192 crops/s"; percentiles with too few times are left out."""
    named = (("p50", times.p50_ms), ("p90", times.p90_ms), ("p95", times.p95_ms), ("p99", times.p99_ms))
    shown = " ".join(f"{name} {value:.3g}" for name, value in named if value is not None)
    return f"{shown} ms, {times.crops_per_s:.0f} crops/s"


def _target(result: Result, rules: Rules) -> str:
    least = rules.least_f1(result.baseline_f1)
    if not result.eligible:
        return f"not eligible: F1 below {least:.4f}"
    if result.target_met:
        return "met"
    wanted = f"F1 >= {result.baseline_f1:.4f} and time ratio <= {rules.target.time_ratio:g}"
    return f"not met: {wanted}; eligible (F1 >= {least:.4f})"
