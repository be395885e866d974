"""A board as a Markdown table with all of its columns."""

import html
import re
from collections.abc import Iterable, Sequence

from harness.record import Latency
from harness.report.board import Board, Reference, Row
from harness.report.clean import clean
from harness.report.fields import count
from harness.report.text import explanations, of_half, ranks, span, with_references
from harness.stats import Interval

_HEAD = (
    *("rank", "reruns", "photos", "submission", "authors"),
    *("score", "rerun", "other photos", "time ratio", "95 %", "F1", "95 %"),
    *("p50 ms", "p90 ms", "p95 ms", "p99 ms", "crops/s", "params", "MACs", "passes", "runs", "target"),
    *("remarks", "date", "digest"),
)
_RIGHT = {"rank", "score", "time ratio", "F1", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "crops/s"}
_RIGHT |= {"params", "MACs", "passes", "runs"}


def markdown(boards: Iterable[Board]) -> str:
    """All boards, each with its heading and one table."""
    return "\n".join(map(_board, boards))


def escape(text: str) -> str:
    r"""`text` as it is in Markdown and in one cell of a table: HTML, pipes, links and emphasis taken literally.

    >>> escape("a|b <script> snake_case")
    'a\\|b &lt;script&gt; snake\\_case'
    """
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(clean(text, 10_000), quote=False))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> list[str]:
    """Lines of a Markdown table; the cells are escaped already. Columns in `right` are set to the right."""
    rule = ["--:" if name in set(right) else "---" for name in head]
    return ["| " + " | ".join(cell or " " for cell in row) + " |" for row in (head, rule, *rows)]


def _board(board: Board) -> str:
    key = board.key
    frozen = "frozen in the rules" if board.baseline_f1_frozen else "as measured"
    f1 = "no result yet" if board.baseline_f1 is None else f"F1 {board.baseline_f1:.4f}, {frozen}"
    floor = "" if board.least_f1 is None else f"; eligible from F1 {board.least_f1:.4f}"
    shown = dict(zip((row.submission.digest for row in board.rows), ranks(board.rows), strict=True))
    said = [(row.submission.name, row.summary) for row in board.rows if row.summary is not None]
    said += [(row.submission.name, remark) for row in board.rows for remark in explanations(row)]
    return "\n".join(
        [
            f"## {escape(board.data)}: {escape(key.scenario)} on {escape(board.machine)}{of_half(board)}",
            "",
            f"Baseline {escape(board.baseline)} ({f1}{floor}). Isolation {escape(key.isolation)}, "
            f"rules {escape(key.rules[:12])}, data {escape(key.data[:12])}. Lower scores are better.",
            "",
            *table(_HEAD, (_cells(line, shown) for line in with_references(board)), _RIGHT),
            "",
            *(f"- {escape(name)}: {escape(remark)}" for name, remark in said),
            *(f"- **{escape(note)}**" for note in board.notes),
            *[""] * bool(said or board.notes),
        ]
    )


def _cells(line: Row | Reference, shown: dict[str, str]) -> tuple[str, ...]:
    if isinstance(line, Reference):
        numbers = (f"{line.score:.4f}", "", "", f"{line.time_ratio:.4f}", "", f"{line.f1:.4f}", "")
        return ("", "", "", f"*{escape(line.name)}*", "", *numbers, *_latency(line.latency), *[""] * 8)
    package = line.submission
    remarks = [name for name, up in (("wide", line.status == "ok" and not line.steady), ("local", line.local)) if up]
    remarks += [] if package.weights_of is None else [f"weights of {escape(package.weights_of)}"]
    remarks += [line.status] if line.status != "ok" else [] if line.rank is not None else ["not ranked"]
    return (
        shown[package.digest],
        span(line.rank_low, line.rank_high),
        span(line.photo_rank_low, line.photo_rank_high),
        escape(package.name),
        escape(package.authors),
        *_value(line.score),
        _ends(line.score_photos),
        *_value(line.time_ratio),
        *_value(line.f1),
        *_latency(line.latency),
        count(package.parameters or None),
        count(package.macs or None),
        str(line.passes),
        str(line.runs),
        "met" if line.target_met else "",
        ", ".join([*remarks, *(escape(flag) for flag in line.flags)]),
        escape(line.created_utc[:10]),
        escape(package.digest[:12]),
    )


def _value(interval: Interval | None) -> tuple[str, str]:
    return ("", "") if interval is None else (f"{interval.value:.4f}", _ends(interval))


def _ends(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{interval.low:.4f} to {interval.high:.4f}"


def _latency(latency: Latency | None) -> tuple[str, ...]:
    if latency is None:
        return ("",) * 5
    times = (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms)
    return (*("" if ms is None else f"{ms:.3f}" for ms in times), f"{latency.crops_per_s:.0f}")
