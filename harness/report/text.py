"""A board as plain text of at most 80 columns."""

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.derive import FLAGS
from harness.report.board import Board, Reference, Row
from harness.report.clean import columns, pad, shorten, wrap
from harness.report.fields import WIDTH
from harness.stats import Interval

_SMALL = 0.1  # a time ratio of more digits than the table has room for
_NAME = 17  # columns of a submission's name
_HEAD = ("rank", "photos", "submission", "score", "time ratio", "F1", "p50 ms", "")
_MARKS = {  # beside a row, explained below the table where it is used
    "T": "target met",
    "W": "wide: the time ratio's interval is wider than the rules call steady",
    "L": "measured on this machine, not published",
    "X": "transfer: weights of another data set",
    "!": "see below",
}


def text(boards: Iterable[Board]) -> str:
    """All boards, an empty line between two."""
    return "\n".join(map(_board, boards))


def ranks(rows: Sequence[Row]) -> list[str]:
    """Each row's rank as it is shown: "1", "2=" where it is shared, "-" where the row is not ranked."""
    counts = Counter(row.rank for row in rows)
    return ["-" if row.rank is None else f"{row.rank}=" if counts[row.rank] > 1 else str(row.rank) for row in rows]


def span(low: int | None, high: int | None) -> str:
    """A range of ranks, like "2-4", "2" or "" where there is none."""
    return "" if low is None else str(low) if low == high else f"{low}-{high}"


def of_half(board: Board) -> str:
    """ ", public half" where a board is of one half of the test crops."""
    return "" if board.key.half == "all" else f", {board.key.half} half"


def with_references(board: Board) -> list[Row | Reference]:
    """The rows of a board with its reference lines among the ranked ones, each before the first higher score."""
    lines: list[Row | Reference] = [row for row in board.rows if row.rank is not None]
    for reference in board.references:
        scores = [line.score if isinstance(line, Reference) else _value(line) for line in lines]
        place = next((i for i, score in enumerate(scores) if score > reference.score), len(lines))
        lines.insert(place, reference)
    return [*lines, *(row for row in board.rows if row.rank is None)]


def explanations(row: Row) -> list[str]:
    """What is to be said of a row beside its numbers: why it is not ranked, its flags, records left out."""
    said = [] if row.reason is None else [row.reason]
    said += [f"{flag}: {FLAGS.get(flag, 'unknown')}" for flag in row.flags if flag not in (row.reason or "")]
    if row.left_out:
        said.append(f"{row.left_out} record(s) with a disturbed baseline left out")
    return said


def _board(board: Board) -> str:
    shown = dict(zip((row.submission.digest for row in board.rows), ranks(board.rows), strict=True))
    table = [_HEAD, *(_cells(line, shown) for line in with_references(board))]
    lines = [*_title(board), "", *_aligned(table), ""]
    if any(row.photo_rank_low is not None for row in board.rows):
        lines.append("photos: the ranks that other test photos would give, at these times")
    used = {mark for row in board.rows for mark in _marks(row)}
    lines += [f"{mark} {meaning}" for mark, meaning in _MARKS.items() if mark in used and mark != "!"]
    for row in board.rows:
        for said in explanations(row):
            lines += wrap(f"! {shorten(row.submission.name, _NAME)}: {said}", WIDTH, "  ")
    for note in board.notes:
        lines += wrap(f"note: {note}", WIDTH, "  ")
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _title(board: Board) -> list[str]:
    f1 = "no result yet" if board.baseline_f1 is None else f"F1 {board.baseline_f1:.4f}"
    frozen = " (frozen)" if board.baseline_f1_frozen else ""
    floor = "" if board.least_f1 is None else f", eligible from {board.least_f1:.4f}"
    return [
        shorten(f"{board.data}: {board.key.scenario}, isolation {board.key.isolation}{of_half(board)}", WIDTH),
        shorten(f"  machine   {board.machine}", WIDTH),
        shorten(f"  baseline  {shorten(board.baseline, 30)}, {f1}{frozen}{floor}", WIDTH),
        shorten(f"  rules     {board.key.rules[:8]}, data {board.key.data[:8]}; lower scores are better", WIDTH),
    ]


def _cells(line: Row | Reference, shown: dict[str, str]) -> tuple[str, ...]:
    if isinstance(line, Reference):
        p50 = "" if line.latency is None else _short(line.latency.p50_ms)
        name = f"({shorten(line.name, _NAME - 2)})"
        return ("", "", name, f"{line.score:.4f}", _short(line.time_ratio), f"{line.f1:.4f}", p50, "")
    name, marks = shorten(line.submission.name, _NAME), _marks(line)
    if line.score is None or line.time_ratio is None or line.f1 is None or line.latency is None:
        return ("-", "", name, line.status, "", "", "", marks)
    half = line.score.half_width
    error = "(one pass)" if half is None else f"±{half:.4f}" if half < 1 else f"±{half:.3g}"
    return (
        shown[line.submission.digest],
        span(line.photo_rank_low, line.photo_rank_high),
        name,
        f"{line.score.value:.4f} {error}",
        _ratio(line.time_ratio),
        f"{line.f1.value:.4f}",
        _short(line.latency.p50_ms),
        marks,
    )


def _marks(row: Row) -> str:
    up = {
        "T": row.target_met,
        "W": row.status == "ok" and not row.steady,
        "L": row.local,
        "X": row.submission.weights_of is not None,
        "!": bool(explanations(row)),
    }
    return "".join(mark for mark in _MARKS if up[mark])


def _ratio(ratio: Interval) -> str:
    short = _shorter if ratio.value < _SMALL else _short
    if ratio.low is None or ratio.high is None:
        return short(ratio.value)
    return f"{short(ratio.value)} {short(ratio.low)}-{short(ratio.high)}"


def _shorter(value: float) -> str:
    """Two significant digits, no zero before the point.

    >>> _shorter(0.00430), _shorter(0.151)
    ('.0043', '.15')
    """
    return f"{value:#.2g}".removeprefix("0")


def _short(value: float) -> str:
    """Three significant digits in at most 6 columns.

    >>> _short(0.7512), _short(1234.5)
    ('0.751', '1234')
    """
    return f"{value:.0f}" if 100 <= value < 1e6 else f"{value:#.3g}"


def _value(row: Row) -> float:
    assert row.score is not None  # a ranked row has one
    return row.score.value


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(columns, column)) for column in zip(*table, strict=True)]
    gap = "  " if sum(widths) + 2 * len(widths) <= WIDTH else " "
    return [shorten(gap.join(map(pad, row, widths)).rstrip(), WIDTH) for row in table]
