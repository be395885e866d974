"""Boards with many kinds of entries, and their pages as files, for the tests of the page."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.derive import PHOTO_DRAWS
from harness.record import ClassResult, Record, Usage
from harness.report.board import Board
from harness.report.page.html import library, page
from harness.report.page.trace import Trace, trace
from harness.report.page.view import view
from harness.report.rank import boards
from tests.builders import (
    CLASSES,
    make_data,
    make_failed,
    make_latency,
    make_package,
    make_raw,
    make_record,
    make_result,
    make_rules,
)

RULES = make_rules()
_LIBRARY: list[str] = []


def make_entries(count: int, seed: int = 0) -> list[Record]:
    """Records of `count` packages that trade F1 for time; every tenth is ineligible, every twentieth has failed."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        name = f"entry{number:04}"
        if number % 20 == 19:
            found.append(make_failed(name))
            continue
        ratio = float(np.exp(rng.uniform(-2.5, 0.6)))
        f1 = float(np.clip(0.74 + 0.06 * math.log(ratio + 0.3) + rng.normal(0, 0.03), 0.2, 0.95))
        f1 = 0.4 if number % 10 == 9 else f1
        logs = rng.normal(math.log(ratio), 0.01, 5).tolist()
        drawn = np.clip(f1 + rng.normal(0.0, 0.02, PHOTO_DRAWS), 0, 1).tolist()
        others = np.clip(0.75 + np.linspace(-0.05, 0.05, PHOTO_DRAWS), 0, 1).tolist()
        flags = ("noisy",) if number % 15 == 7 else ()
        result = make_result(logs, f1, 0.75, classes=make_classes(f1), flags=flags)
        result = msgspec.structs.replace(result, drawn_f1=tuple(drawn), drawn_baseline_f1=tuple(others))
        package = make_package(
            name,
            authors=f"team {number % 7}",
            size_bytes=int(rng.uniform(1e5, 2e7)),
            format=("python", "onnx")[number % 2],
            parameters=int(1e6 * ratio * rng.uniform(0.5, 2)),
            macs=int(3e8 * ratio),
        )
        found.append(make_record(submission=package, result=result))
    return found


def make_batches(count: int, data: str = "batches") -> list[Record]:
    """Records of the batch scenario, with what each side took."""
    sizes = [2**number for number in range(count)]
    taken = [Usage(size, 32, 200 + size, 300) for size in sizes]
    results = [
        make_result([-0.1 * number] * 3, usage=usage, submission_latency=make_latency(4.0 / size))
        for number, (size, usage) in enumerate(zip(sizes, taken, strict=True))
    ]
    return [
        make_record(f"batch{size}", result=result, scenario="batch", data=make_data(data))
        for size, result in zip(sizes, results, strict=True)
    ]


def make_classes(f1: float) -> tuple[ClassResult, ...]:
    return tuple(ClassResult(name, f1, f1, f1, 20.0) for name in CLASSES)


def made_boards(records: Sequence[Record]) -> tuple[Board, ...]:
    return boards(records, RULES)


def make_traces(records: Sequence[Record]) -> dict[str, Trace]:
    """One run's trace for all: what a page of so many weighs."""
    one = trace(make_raw(passes=5, crops=300), RULES.protocol)
    return {record.digest: one for record in records if record.result is not None}


def make_page(records: Sequence[Record], **changes: Any) -> str:
    """The page of these records. The chart library is bundled once for all tests."""
    if not _LIBRARY:
        _LIBRARY.append(library())
    return page(view(made_boards(records), records, RULES, make_traces(records)), _LIBRARY[0], **changes)


def write_page(folder: Path, records: Sequence[Record], name: str = "index.html", **changes: Any) -> Path:
    path = folder / name
    path.write_text(make_page(records, **changes), encoding="utf-8")
    return path


def data_of(text: str) -> dict[str, Any]:
    """The JSON that a page embeds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    read: dict[str, Any] = json.loads(found[1])
    return read


def cells(page: Any, column: int = 1, table: str = ".board:not([hidden]) .ranked") -> list[str]:
    """Texts of the visible rows of entries: the rank, the name (1), the score ..."""
    script = """([table, column]) => [...document.querySelectorAll(`${table} tr[data-i]`)]
        .filter((row) => row.offsetParent).map((row) => row.cells[column].querySelector('b,a').textContent)"""
    found: list[str] = page.evaluate(script, [table, column])
    return found


def board_of(records: list[Record], data: str = "trash") -> Any:
    return next(board for board in made_boards(records) if board.data == data)
