"""The forms in which boards are shown: text, Markdown, CSV and JSON, all of the same rows.

Names are clean already (see report/clean.py); each form escapes what it must.
"""

import csv
import io
from collections.abc import Callable, Iterable

import msgspec

from harness.record import Latency
from harness.report.board import Board, Reference, Row
from harness.report.markdown import markdown
from harness.report.text import text, with_references
from harness.stats import Interval

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # a spreadsheet computes a cell that starts so


def csv_text(boards: Iterable[Board]) -> str:
    """One line a row and a reference, RFC 4180, numbers unrounded; `kind` is "entry" or "reference"."""
    out = io.StringIO(newline="")
    lines = [{**_where(board), **_line(line)} for board in boards for line in with_references(board)]
    head = dict.fromkeys(name for line in lines for name in line)
    writer = csv.DictWriter(out, head or ["data"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return out.getvalue()


def json_text(boards: Iterable[Board]) -> str:
    """The boards as a JSON list, numbers unrounded."""
    return (msgspec.json.format(msgspec.json.encode(tuple(boards)), indent=1) + b"\n").decode()


FORMATS: dict[str, Callable[[Iterable[Board]], str]] = {
    "text": text,
    "md": markdown,
    "csv": csv_text,
    "json": json_text,
}


def _where(board: Board) -> dict[str, object]:
    key = board.key
    return {
        "data": board.data,
        "scenario": key.scenario,
        "isolation": key.isolation,
        "half": key.half,
        "machine": board.machine,
        "baseline": board.baseline,
        "data_digest": key.data,
        "baseline_digest": key.baseline,
        "rules_digest": key.rules,
    }


def _line(line: Row | Reference) -> dict[str, object]:
    if isinstance(line, Reference):
        numbers = {"score": line.score, "time_ratio": line.time_ratio, "f1": line.f1}
        return {"kind": "reference", "submission": line.name, **numbers, **_latency(line.latency)}
    return {
        "kind": "entry",
        "status": line.status,
        "rank": line.rank,
        "rank_low": line.rank_low,
        "rank_high": line.rank_high,
        "photo_rank_low": line.photo_rank_low,
        "photo_rank_high": line.photo_rank_high,
        "submission": line.submission.name,
        "authors": line.submission.authors,
        "digest": line.submission.digest,
        "weights_of": line.submission.weights_of,
        **{name: getattr(line.submission, name) or None for name in ("size_bytes", "format", "parameters", "macs")},
        **_interval("score", line.score),
        "score_error": line.score_error,
        **_interval("score_photos", line.score_photos),
        **_interval("time_ratio", line.time_ratio),
        **_interval("f1", line.f1),
        **_interval("f1_difference", line.f1_difference),
        **_latency(line.latency),
        **{name: getattr(line, name) for name in ("passes", "runs", "left_out")},
        **{name: getattr(line, name) for name in ("eligible", "target_met", "steady", "local")},
        "flags": ";".join(line.flags),
        "summary": line.summary,
        "reason": line.reason,
        "created_utc": line.created_utc,
        "records": ";".join(line.records),
    }


def _interval(name: str, interval: Interval | None) -> dict[str, object]:
    value, low, high = (None,) * 3 if interval is None else (interval.value, interval.low, interval.high)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _latency(latency: Latency | None) -> dict[str, object]:
    return {name: None if latency is None else getattr(latency, name) for name in Latency.__struct_fields__}


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
