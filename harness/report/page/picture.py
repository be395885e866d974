"""The Pareto picture: F1 against time ratio, as a Vega-Lite chart; drawn by vl-convert to SVG and PNG. Pure.

The page embeds the same chart without its values and fills it (assets/picture.js), so that both look alike.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import vl_convert

from harness.report.board import Board
from harness.report.pareto import Point, border, curves, domains, left_out, near, points_of, short, ticks

Chart = dict[str, Any]
VERSION = f"vl-convert {version('vl-convert-python')}"
_UNSEEN = re.compile(r'<text[^>]*(?:/>|opacity="0">[^<]*</text>)')  # names that found no place
AXIS = "time ratio to the baseline (log)"
_MANY = 150  # points
_FEW = 25  # points: all of them may have a name, of more the front alone
_AROUND = ((5, 0), (-5, 0), (0, 5), (0, -5))  # pixels from the middle of a point to its edges
_SCALE = 2.0  # pixels of the PNG a unit of the SVG: sharp on a phone
LIGHT: dict[str, str] = {  # as in assets/page.css
    "paper": "#ffffff",
    "ink": "#1b2330",
    "faint": "#5b6675",
    "grid": "#e7eaef",
    "curve": "#b9c1cc",
    "accent": "#0b7a6b",
    "weak": "#8a94a3",
    "bar": "#9fb8b3",
    "baseline": "#b4540a",
    "region": "#0b7a6b",
}


def chart() -> Chart:
    """The picture without its values: data sets by name, marks by style. Nothing is clipped, as `domains` leaves
    nothing outside: a PNG with a clip a mark takes ten times as long.
    """

    def layer(data: str, mark: str, style: str, **encoding: Any) -> Chart:
        # no labels of each mark for a screen reader: the picture is described as a whole, the entries are in a table
        return {"data": {"name": data}, "mark": {"type": mark, "style": style, "aria": False}, "encoding": encoding}

    def axis(field: str, title: str, **scale: Any) -> Chart:
        return {"field": field, "type": "quantitative", "title": title, "scale": {"nice": False, **scale}}

    x, y = axis("x", AXIS, type="log"), axis("y", "macro F1", zero=False)
    bare_x, bare_y, low, ylow = ({"field": name, "type": "quantitative"} for name in ("x", "y", "low", "ylow"))
    look = {"field": "look", "type": "nominal", "legend": None}
    looks = ["front", "ranked", "weak"]
    numbers = layer("curves", "text", "equalname", x=bare_x, y=bare_y, text={"field": "label", "type": "nominal"})
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": 640,
        "height": 380,
        "layer": [
            layer("region", "rect", "goal", x=x, y=y, x2={"field": "x2"}, y2={"field": "y2"}),
            layer("curves", "line", "equal", x=bare_x, y=bare_y, detail={"field": "score", "type": "nominal"}),
            {**numbers, "transform": [{"filter": "datum.label"}]},
            layer("points", "rule", "whisker", x=low, x2={"field": "high"}, y=bare_y),
            layer("points", "rule", "whisker", x=bare_x, y=ylow, y2={"field": "yhigh"}),
            layer("front", "line", "pareto", x=bare_x, y=bare_y),
            layer(
                "points",
                "point",
                "dot",
                x=bare_x,
                y=bare_y,
                color={**look, "scale": {"domain": looks, "range": "looks"}},
                shape={**look, "scale": {"domain": looks, "range": ["circle", "circle", "cross"]}},
            ),
            layer("lines", "point", "reference", x=bare_x, y=bare_y),
            layer("active", "point", "ring", x=bare_x, y=bare_y),
        ],
    }


def names() -> Chart:
    """What Vega has and Vega-Lite has not: names that look for a free place beside their points, the first ones first.

    To be put into the compiled chart. A name that finds no place is not shown.
    """
    places = ["top-right", "bottom-right", "top-left", "bottom-left", "right", "left", "top", "bottom"]
    return {
        "data": {"name": "names"},
        "scale": {"name": "inks", "type": "ordinal", "domain": ["entry", "line"], "range": "inks"},
        "mark": {
            "type": "text",
            "style": "name",
            "aria": False,
            "interactive": False,
            "from": {"data": "names"},
            "encode": {
                "enter": {"text": {"field": "name"}, "fill": {"scale": "inks", "field": "kind"}},
                "update": {
                    name: {"scale": name, "field": name, "offset": {"field": f"d{name}"}} for name in ("x", "y")
                },
            },
            "transform": [
                {
                    "type": "label",
                    "size": [{"signal": "width"}, {"signal": "height"}],
                    "anchor": places,
                    "offset": [5, 5, 5, 5, 8, 8, 8, 8],
                }
            ],
        },
    }


def config(colours: dict[str, str], points: int) -> Chart:
    """How the styles of a chart of so many points look; assets/figures.js has the same in the page's colours."""
    many = points > _MANY  # marks that small do not hide each other
    ink, faint = colours["ink"], colours["faint"]
    font = "Liberation Sans, Arial, sans-serif"  # what vl-convert brings: the same on every machine
    return {
        "background": colours["paper"],
        "font": font,
        "view": {"stroke": None},
        "axis": {
            **{"gridColor": colours["grid"], "domainColor": colours["grid"], "tickColor": colours["grid"]},
            **{
                "labelColor": faint,
                "titleColor": ink,
                "titleFontWeight": 500,
                "labelFontSize": 11,
                "titleFontSize": 12,
            },
        },
        "axisX": {"labelOverlap": True},
        "range": {"looks": [colours["accent"], colours["accent"], colours["weak"]], "inks": [ink, colours["baseline"]]},
        "style": {
            "goal": {"color": colours["region"], "fillOpacity": 0.07},
            "equal": {"color": colours["curve"], "strokeWidth": 1, "strokeDash": [3, 3]},
            "equalname": {"color": faint, "fontSize": 10, "align": "left", "dx": 3, "dy": -5},
            "whisker": {
                "color": colours["bar"],
                "strokeWidth": 0.5 if many else 1.25,
                "strokeOpacity": 0.5 if many else 1,
            },
            "pareto": {
                "color": colours["accent"],
                "strokeWidth": 2,
                "interpolate": "step-after",
                "strokeOpacity": 0.55,
            },
            "dot": {
                **{"filled": True, "size": 22 if many else 70, "opacity": 1},
                **{"stroke": colours["paper"], "strokeWidth": 0.4 if many else 1},
            },
            "reference": {"filled": True, "size": 90, "shape": "diamond", "color": colours["baseline"], "opacity": 1},
            "name": {"fontSize": 11, "font": font},
            "ring": {"size": 260, "filled": False, "color": ink, "strokeWidth": 2, "opacity": 1},
        },
    }


def svg(board: Board, rule: tuple[float, float]) -> bytes:
    """The board's picture. `rule`: weight of time and slope of F1, for the curves of equal score.

    Its last line names what was drawn and by which version: another one draws it a little otherwise.
    """
    filled = _filled(board, rule)
    drawn = _UNSEEN.sub("", vl_convert.vega_to_svg(filled, allowed_base_urls=[]))
    digest = hashlib.sha256(msgspec.json.encode(filled)).hexdigest()
    return f"{drawn.strip()}\n<!-- {digest} {VERSION} -->\n".encode()


def png(drawn: bytes) -> bytes:
    """An SVG as PNG, which names what was drawn too."""
    pixels: bytes = vl_convert.svg_to_png(drawn.decode(), scale=_SCALE)
    said = b"tEXtSource\0" + drawn_by(drawn)[0]
    chunk = struct.pack(">I", len(said) - 4) + said + struct.pack(">I", zlib.crc32(said))
    end = pixels.rindex(b"IEND") - 4
    return pixels[:end] + chunk + pixels[end:]


def drawn_by(picture: bytes) -> tuple[bytes, bytes]:
    """Digest of what a picture shows, and the version that drew it; of a PNG, whose pixels may differ from processor
    to processor, the digest alone; both empty where it is neither.
    """
    found = re.search(rb"<!-- ([0-9a-f]{64}) ([^>]*) -->\n\Z|tEXtSource\0([0-9a-f]{64})", picture)
    return (b"", b"") if found is None else (found[1] or found[3], found[2] or b"")


def same_picture(ours: bytes, theirs: bytes) -> bool:
    """Whether two pictures are one, but for another version's hand or another processor's pixels."""
    (shown, by), (others, another) = drawn_by(ours), drawn_by(theirs)
    return ours == theirs or (shown == others != b"" and (by != another or by == b""))


def _filled(board: Board, rule: tuple[float, float]) -> Chart:
    """The chart with its values, as Vega."""
    lines = [{"name": short(line.name), "x": line.time_ratio, "y": line.f1} for line in board.references]
    points, far = near(points_of(board), lines)
    x_domain, y_domain = domains([*points, *lines])
    base = chart()
    first = base["layer"][0]["encoding"]
    first["x"]["scale"]["domain"], first["y"]["scale"]["domain"] = x_domain, y_domain
    first["x"]["axis"] = {"values": ticks(*x_domain), "format": "~r"}
    first["x"]["title"] = AXIS + (f"; {left_out(far)}" if far else "")
    target = next((line for line in lines if line["name"] == "target"), None)
    f1 = board.baseline_f1
    region = [] if target is None else [{"x": x_domain[0], "x2": target["x"], "y": target["y"], "y2": y_domain[1]}]
    values = {
        "region": region,
        "curves": curves(rule, f1, (x_domain, y_domain)) if board.references and f1 is not None else [],
        "points": points,
        "front": border([point for point in points if point["look"] == "front"], (x_domain, y_domain)),
        "lines": lines,
        "active": [],
    }
    about = f"{board.data}: F1 against time ratio of {len(points)} entries, with 95 % intervals"
    look = {"config": config(LIGHT, len(points)), "padding": 8, "description": about}
    vega: Chart = vl_convert.vegalite_to_vega({**base, "datasets": values, **look})
    shown = names()
    vega["data"].append({**shown["data"], "values": named(points, lines, values["curves"])})
    vega["scales"].append(shown["scale"])
    vega["marks"].append(shown["mark"])
    return vega


def named(points: Sequence[Point], lines: Sequence[Point], numbers: Sequence[Point]) -> list[Point]:
    """Rows of the names, those that come first for a place first; rows without one keep names off what is drawn there.

    `numbers`: of the curves.
    """
    few = len(points) <= _FEW
    rows = [(line, "line", line["name"]) for line in lines]
    rows += [(p, "entry", p["name"] if few or p["look"] == "front" else "") for p in points]
    rows += [(number, "entry", "") for number in numbers if number["label"]]
    found = [{"x": its["x"], "y": its["y"], "dx": 0, "dy": 0, "kind": kind, "name": name} for its, kind, name in rows]
    around = [(dx, dy) for dx, dy in _AROUND if few]
    return found + [{**its, "name": "", "dx": dx, "dy": dy} for its in found for dx, dy in around]
