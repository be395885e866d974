"""The front as a picture: F1 against time ratio of all finished trials, drawn by Vega-Lite to SVG and PNG."""

from collections.abc import Sequence
from typing import Any

import vl_convert

from harness.lab.search.study import Entry, best, front

_SCALE = 2.0  # pixels of the PNG a unit of the SVG
_FAR = 10.0  # times a time ratio: an interval's end beyond is cut, for it would squeeze all others
_ON, _OFF, _START = "on the front", "beaten", "starting point"
_COLOURS = {_ON: "#0b7a6b", _OFF: "#8a94a3", _START: "#b4540a"}
_SHAPES = {_ON: "circle", _OFF: "cross", _START: "diamond"}


def svg(found: Sequence[Entry], title: str) -> str:
    """All finished trials with their intervals and numbers, a line through the front; of none an empty picture."""
    drawn: str = vl_convert.vegalite_to_svg(chart(found, title), allowed_base_urls=[])
    return drawn


def png(drawn: str) -> bytes:
    """An SVG as PNG."""
    pixels: bytes = vl_convert.svg_to_png(drawn, scale=_SCALE)
    return pixels


def chart(found: Sequence[Entry], title: str) -> dict[str, Any]:
    """The picture as Vega-Lite, values and all."""
    points = _points(found)
    line = [point for point in points if point["front"]]
    x = {"field": "x", "type": "quantitative", "title": "time ratio to the baseline (log)", "scale": {"type": "log"}}
    y = {"field": "y", "type": "quantitative", "title": "macro F1 on validation", "scale": {"zero": False}}
    bare_x, bare_y = ({"field": name, "type": "quantitative"} for name in "xy")
    kinds = list(_COLOURS)
    look = {"field": "look", "type": "nominal", "title": None}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": title, "anchor": "start", "fontWeight": 500},
        **{
            "width": 640,
            "height": 380,
            "padding": 8,
            "background": "#ffffff",
            "datasets": {"points": points, "line": line},
        },
        "layer": [
            _layer(
                "points", {"type": "rule", "color": "#c3ccd8"}, x={**bare_x, "field": "low"}, x2={"field": "high"}, y=y
            ),
            _layer(
                "points",
                {"type": "rule", "color": "#c3ccd8"},
                x=x,
                y={**bare_y, "field": "ylow"},
                y2={"field": "yhigh"},
            ),
            _layer("line", {"type": "line", "interpolate": "step-after", "color": _COLOURS[_ON]}, x=bare_x, y=bare_y),
            _layer(
                "points",
                {"type": "point", "filled": True, "size": 80, "opacity": 1},
                x=bare_x,
                y=bare_y,
                color={**look, "scale": {"domain": kinds, "range": list(_COLOURS.values())}},
                shape={**look, "scale": {"domain": kinds, "range": list(_SHAPES.values())}},
            ),
            _layer(
                "points",
                {"type": "text", "align": "left", "dx": 6, "dy": -7, "fontSize": 11},
                x=bare_x,
                y=bare_y,
                text={"field": "name", "type": "nominal"},
            ),
        ],
        "config": {
            "font": "Liberation Sans, Arial, sans-serif",  # what vl-convert brings: the same on every machine
            "view": {"stroke": None},
            "axis": {"gridColor": "#e7eaef", "titleFontWeight": 500},
            "legend": {"orient": "top"},
        },
    }


def _layer(data: str, mark: dict[str, Any], **encoding: Any) -> dict[str, Any]:
    return {"data": {"name": data}, "mark": mark, "encoding": encoding}


def _points(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """One a finished trial, the front's first and from left to right."""
    on, top = front(found), best(found)
    numbers = {entry.number for entry in on}
    points = []
    for entry in [*on, *(entry for entry in found if entry.number not in numbers)]:
        if (its := entry.measured) is None:
            continue
        x, y, is_on = its.time_ratio, its.f1, entry.number in numbers
        name = f"{entry.number} (best score)" if entry is top else str(entry.number)
        points.append(
            {
                **{"look": _START if entry.start else _ON if is_on else _OFF, "front": is_on, "name": name},
                **{
                    "x": x.value,
                    "low": max(x.low or x.value, x.value / _FAR),
                    "high": min(x.high or x.value, x.value * _FAR),
                },
                **{"y": y.value, "ylow": y.low or y.value, "yhigh": y.high or y.value},
            }
        )
    return points
