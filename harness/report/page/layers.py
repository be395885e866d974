"""A profile as a picture: a bar of time a layer, in the order in which they run, and each one's floor. Pure."""

from typing import Any

import msgspec
import vl_convert

from harness.profile import BETWEEN, PREPARING, WHOLE, Profile, advice, parts
from harness.report.clean import clean, shorten, wrap
from harness.report.page.picture import LIGHT, config

_MOST = 40  # bars; of more layers those of the most time
_BAR = 16  # pixels of height
_LETTERS = 95  # of a line below the title
_FAMILY = "kind"


def profile_svg(profile: Profile) -> bytes:
    """The picture of a profile that has times."""
    bars, others = _bars(profile)
    about = f"{clean(profile.package)}: ms a crop by layer"
    if others:
        about += f" ({others} layers of less time are one bar)"
    names = msgspec.json.encode([bar["name"] for bar in bars]).decode()  # two layers may be called the same
    axis = {"labelLimit": 330, "labelExpr": f"{names}[datum.value]"}
    y = {"field": "place", "type": "ordinal", "title": None, "axis": axis}
    x = {"field": "ms", "type": "quantitative", "title": "ms a crop", "axis": {"tickCount": 8}}
    colour = {
        "field": _FAMILY,
        "type": "nominal",
        "title": None,
        "legend": {"orient": "top", "columns": 4, "symbolType": "square", "labelFontSize": 11},
        "scale": {"scheme": "tableau10"},
    }
    chart: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": about, "subtitle": wrap(clean(advice(profile), 1000), _LETTERS), "anchor": "start"},
        "width": 460,
        "height": {"step": _BAR},
        "padding": 8,
        "data": {"values": bars},
        "layer": [
            {"mark": {"type": "bar", "height": _BAR - 5}, "encoding": {"y": y, "x": x, "color": colour}},
            {
                "transform": [{"filter": "datum.floor > 0"}],
                "mark": {"type": "tick", "thickness": 2, "height": _BAR - 2, "color": LIGHT["ink"]},
                "encoding": {"y": y, "x": {"field": "floor", "type": "quantitative"}},
            },
        ],
        "config": config(LIGHT, len(bars)),
        "description": f"{about}; a black line is the least time of the layer on this machine",
    }
    if any(bar["floor"] for bar in bars):
        chart["layer"][0]["encoding"]["x"] = {**x, "title": "ms a crop; black lines: the floors, no layer is faster"}
    drawn: str = vl_convert.vegalite_to_svg(chart, allowed_base_urls=[])
    return f"{drawn.strip()}\n".encode()


def _bars(profile: Profile) -> tuple[list[dict[str, Any]], int]:
    """One a layer and one for each part that is none; how many layers the last of the layers' bars stands for."""
    by_time = sorted(profile.layers, key=lambda layer: -layer.ms)
    shown = [layer for layer in profile.layers if layer in by_time[:_MOST]]
    others = by_time[len(shown) :]
    bars = [
        _bar(f"{clean(layer.name)}  {clean(layer.kind)}", layer.ms, layer.family, layer.floor_ms) for layer in shown
    ]
    if others:
        floor = sum(layer.floor_ms or 0.0 for layer in others)
        bars.append(_bar("others", sum(layer.ms for layer in others), "others", floor))
    found = dict(parts(profile))
    if PREPARING in found:
        bars.insert(0, _bar(PREPARING, found[PREPARING], "no layer", None))
    for name in (BETWEEN, WHOLE):
        if name in found:
            bars.append(_bar(name, found[name], "no layer", None))
    return [{"place": place, **bar} for place, bar in enumerate(bars)], len(others)


def _bar(name: str, ms: float, family: str, floor: float | None) -> dict[str, Any]:
    return {"name": shorten(name, 46), "ms": ms, _FAMILY: family, "floor": floor or 0.0}
