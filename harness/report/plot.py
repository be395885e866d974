"""A board's Pareto picture in characters, for a terminal of 80 columns. Pure."""

import math

from harness.report.board import Board
from harness.report.clean import shorten, wrap
from harness.report.fields import WIDTH
from harness.report.pareto import Domains, Point, curves, domains, left_out, near, points_of, ticks

_LEFT, _ROWS = 7, 18  # columns of the labels at the left, lines of the picture
_COLUMNS = WIDTH - _LEFT - 1
_SIGNS = "123456789abcdefghijklmnopqrstuvwxyz"  # of the ranked entries, in their order
_WEAK, _CURVE, _BASELINE, _TARGET = "+", "\N{MIDDLE DOT}", "B", "T"

Canvas = list[list[str]]


def plot(board: Board, rule: tuple[float, float]) -> str:
    """F1 against time ratio (logarithmic), with both intervals. `rule`: weight of time and slope of F1."""
    every = points_of(board)
    lines: list[Point] = [
        {"name": line.name, "x": line.time_ratio, "y": line.f1, "sign": _TARGET if line.time_ratio < 1.0 else _BASELINE}
        for line in board.references
    ]
    if not every:
        return "no entry has a result to plot\n"
    points, far = near(every, lines)
    domain = domains([*points, *lines])
    canvas: Canvas = [[" "] * _COLUMNS for _ in range(_ROWS)]
    if board.references and board.baseline_f1 is not None:
        for point in curves(rule, board.baseline_f1, domain):
            _put(canvas, domain, (point["x"], point["y"]), _CURVE)
    ranked = sorted((p for p in points if p["rank"] is not None), key=lambda p: (p["rank"], p["x"]))
    for number, point in enumerate(ranked):
        point["sign"] = _SIGNS[number] if number < len(_SIGNS) else "*"
    for point in points:
        _whiskers(canvas, domain, point)
    for point in [*(p for p in points if p["rank"] is None), *lines, *reversed(ranked)]:
        _put(canvas, domain, (point["x"], point["y"]), point.get("sign", _WEAK))
    said = [f"{point['sign']} {point['name']}" for point in [*ranked[: len(_SIGNS)], *lines]]
    said += [f"{_WEAK} not ranked"] if len(ranked) < len(points) else []
    said += [f"{_CURVE} equal score", *([left_out(far)] if far else [])]
    legend = wrap("  ".join(said), WIDTH, "  ")
    return "\n".join([*_framed(canvas, domain), "", *(shorten(line, WIDTH) for line in legend)]) + "\n"


def _place(domain: Domains, at: tuple[float, float]) -> tuple[int, int]:
    """Row and column of a point; the time ratio goes by its logarithm, as equal steps are equal factors."""
    (left, right), (low, high) = domain
    across = math.log(max(at[0], 1e-9) / left) / math.log(right / left)
    up = (at[1] - low) / (high - low)
    return round((1.0 - up) * (_ROWS - 1)), round(across * (_COLUMNS - 1))


def _put(canvas: Canvas, domain: Domains, at: tuple[float, float], sign: str) -> None:
    row, column = _place(domain, at)
    if 0 <= row < _ROWS and 0 <= column < _COLUMNS:
        canvas[row][column] = sign


def _whiskers(canvas: Canvas, domain: Domains, point: Point) -> None:
    """Both intervals, where they are longer than the point's own character."""
    row, column = _place(domain, (point["x"], point["y"]))
    top, bottom = (_place(domain, (point["x"], point[end]))[0] for end in ("yhigh", "ylow"))
    first, last = (_place(domain, (point[end], point["y"]))[1] for end in ("low", "high"))
    for at in range(max(top, 0), min(bottom, _ROWS - 1) + 1):
        canvas[at][min(max(column, 0), _COLUMNS - 1)] = "│"
    for at in range(max(first, 0), min(last, _COLUMNS - 1) + 1):
        canvas[min(max(row, 0), _ROWS - 1)][at] = "─"


def _framed(canvas: Canvas, domain: Domains) -> list[str]:
    """The canvas with its axes: F1 at the left, time ratios below."""
    low, high = domain[1]
    lines = []
    for number, row in enumerate(canvas):
        value = high - (high - low) * number / (_ROWS - 1)
        label = f"{value:.3f}" if number % 4 == 0 else ""
        lines.append(f"{label:>{_LEFT - 1}} │{''.join(row)}".rstrip())
    lines.append(" " * _LEFT + "└" + "─" * (_COLUMNS - 1))
    below = [" "] * (WIDTH - 1)
    end = 0
    for tick in ticks(*domain[0]):
        text = f"{tick:g}"
        begin = _LEFT + _place(domain, (tick, low))[1]
        if begin >= end and begin + len(text) < len(below):
            below[begin : begin + len(text)] = text
            end = begin + len(text) + 2
    return ["F1 over time ratio (log)", *lines, "".join(below).rstrip()]
