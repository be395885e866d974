"""What the Pareto pictures show: points, front, curves of equal score, the axes' ends. Values only."""

import math
from collections.abc import Sequence
from typing import Any

from harness.report.board import Board, Row

Point = dict[str, Any]
Domains = tuple[tuple[float, float], tuple[float, float]]
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)  # between the scores of two curves
_MOST_CURVES, _SAMPLES = 14, 80
_MANY_POWERS = 5  # of ten, on an axis
_BESIDE = (0.05, 0.04)  # shares of the width and height that the number of a curve takes
_NAME = 24  # characters
_LEAST_WIDE, _LEAST_TALL = 0.7, 0.1  # beside ranked points that are close together: twice the time, .1 of F1
_FEW_NAMES = 2


def border(front: Sequence[Point], domain: Domains) -> list[Point]:
    """The front to the edges of the picture: below and right of it an entry is beaten."""
    if not front:
        return []
    places = [(front[0]["x"], domain[1][0]), *((p["x"], p["y"]) for p in front), (domain[0][1], front[-1]["y"])]
    return [{"x": x, "y": y} for x, y in places]


def ticks(left: float, right: float) -> list[float]:
    """Numbers of a logarithmic axis: 1, 2 and 5 of each power of ten; of many powers 1 alone, of few more.

    >>> ticks(0.05, 2.5), ticks(0.5, 1.1)
    ([0.05, 0.1, 0.2, 0.5, 1.0, 2.0], [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    """
    powers = range(math.floor(math.log10(left)), math.ceil(math.log10(right)) + 1)
    few = math.log10(right / left) < 1.0
    steps = (1,) if len(powers) > _MANY_POWERS else tuple(range(1, 10)) if few else (1, 2, 5)
    every = [float(f"{step}e{power}") for power in powers for step in steps]
    return [value for value in every if left <= value <= right]


def points_of(board: Board) -> list[Point]:
    """One point an entry that has a result, with the ends of its intervals; those on the Pareto front come in order."""
    rows = [row for row in board.rows if row.f1 is not None and row.time_ratio is not None]
    on = _front([row for row in rows if row.rank is not None])
    points = []
    for row in rows:
        place = on.get(row.submission.digest)
        look = "weak" if row.rank is None else "ranked" if place is None else "front"
        points.append(_point(row, look, -1 if place is None else place))
    return sorted(points, key=lambda point: (point["look"] != "front", point.pop("place")))


def _point(row: Row, look: str, place: int) -> Point:
    assert row.f1 is not None
    assert row.time_ratio is not None
    x, y = row.time_ratio, row.f1
    return {
        **{
            "name": short(row.submission.name),
            "rank": row.rank,
            "look": look,
            "place": place,
            "x": x.value,
            "y": y.value,
        },
        **{
            "low": x.value if x.low is None else max(x.low, x.value / 1e3),
            "high": x.value if x.high is None else x.high,
        },
        **{"ylow": y.value if y.low is None else y.low, "yhigh": y.value if y.high is None else y.high},
    }


def _front(rows: Sequence[Row]) -> dict[str, int]:
    """Place on the Pareto front, by digest: entries that none both beats in F1 and takes no longer than."""
    found: dict[str, int] = {}
    best = -math.inf
    for row in sorted(rows, key=lambda row: (_ratio(row), -_f1(row), row.submission.digest)):
        if _f1(row) > best:
            found[row.submission.digest] = len(found)
            best = _f1(row)
    return found


def _ratio(row: Row) -> float:
    return math.inf if row.time_ratio is None else row.time_ratio.value


def _f1(row: Row) -> float:
    return -math.inf if row.f1 is None else row.f1.value


def short(name: str) -> str:
    """A name as it stands in a picture."""
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def near(points: Sequence[Point], lines: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """The points that a picture shows, and those too far off: not ranked, and by more than half of what the ranked ones
    and the lines reach over beside these. One that is far too bad to be ranked would squeeze all others.
    """
    kept = [point for point in points if point["look"] != "weak"]
    if not kept:
        return list(points), []
    its = [*kept, *lines]
    xs, ys = sorted(math.log(p["x"]) for p in its), sorted(p["y"] for p in its)
    wide, tall = max((xs[-1] - xs[0]) / 2.0, _LEAST_WIDE), max((ys[-1] - ys[0]) / 2.0, _LEAST_TALL)

    def shown(point: Point) -> bool:
        across, up = math.log(point["x"]), point["y"]
        beside = xs[0] - wide <= across <= xs[-1] + wide and ys[0] - tall <= up <= ys[-1] + tall
        return bool(beside or point["look"] != "weak")

    return [point for point in points if shown(point)], [point for point in points if not shown(point)]


def left_out(far: Sequence[Point]) -> str:
    """What is said of the points too far off."""
    its = ", ".join(sorted(point["name"] for point in far)) if len(far) <= _FEW_NAMES else f"{len(far)} entries"
    return f"far off and not shown: {its}"


def domains(points: Sequence[Point]) -> Domains:
    """What the axes show: all points with their intervals, and a margin. Of none the neighbourhood of the baseline."""
    xs: list[float] = [p[end] for p in points for end in ("x", "low", "high") if p.get(end, 0.0) > 0.0] or [0.5, 1.0]
    ys: list[float] = [p[end] for p in points for end in ("y", "ylow", "yhigh") if end in p] or [0.0, 1.0]
    wide = max(math.log(max(xs) / min(xs)) * 0.08, 0.1)
    tall = max((max(ys) - min(ys)) * 0.08, 0.02)
    across = (min(xs) * math.exp(-wide), max(xs) * math.exp(wide))
    return across, (max(min(ys) - tall, 0.0), min(max(ys) + tall, 1.0))


def curves(rule: tuple[float, float], f1: float, domain: Domains) -> list[Point]:
    """Points of the curves of equal score that cross the picture; the first of each labelled where there is room."""
    (left, right), (low, high) = domain
    weight, slope = rule

    def score(x: float, y: float) -> float:
        return weight * x + 1.0 / (1.0 + math.exp(-slope * (f1 - y)))

    least, most = score(left, high), score(right, low)
    step = next((step for step in _STEPS if (most - least) / step <= _MOST_CURVES), _STEPS[-1])
    found = []
    named: list[tuple[float, float]] = []
    for number in range(math.ceil(least / step), math.floor(most / step) + 1):
        name, places = f"{number * step:.4g}", []
        for sample in range(_SAMPLES + 1):  # along both axes: a curve is flat at its left and steep at its right
            x = left * (right / left) ** (sample / _SAMPLES)
            rest = number * step - weight * x
            if 0.0 < rest < 1.0 and slope > 0.0:
                places.append((x, f1 - math.log(rest / (1.0 - rest)) / slope))
            y = low + (high - low) * sample / _SAMPLES
            if weight > 0.0:
                places.append(((number * step - score(0.0, y)) / weight, y))
        its = [
            {"score": name, "x": x, "y": y, "label": ""}
            for x, y in sorted(places)
            if left <= x <= right and low <= y <= high
        ]
        if its and all(
            abs(math.log(its[0]["x"] / x)) > _BESIDE[0] * math.log(right / left)
            or abs(its[0]["y"] - y) > _BESIDE[1] * (high - low)
            for x, y in named
        ):
            its[0]["label"] = its[0]["score"]
            named.append((its[0]["x"], its[0]["y"]))
        found += its
    return found
