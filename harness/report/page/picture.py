"""The Pareto picture: F1 against time ratio, as a Vega-Lite chart; drawn by vl-convert to SVG and PNG. Pure.

The page embeds the same chart without its values and fills it (assets/picture.js), so that both look alike.
"""

import hashlib
import math
import re
import struct
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import vl_convert

from harness.report.board import Board, Reference
from harness.report.pareto import Domains, Point, border, curves, domains, points_of, short, ticks

Chart = dict[str, Any]
VERSION = f"vl-convert {version('vl-convert-python')}"
_CLIP = re.compile(r'(id="clip|url\(#clip)(\d+)')
_MANY = 150  # points
_FEW = 25  # points: all of them may have a name, of more the front alone
_LABELLED = 12  # points with a name: more hide each other
_APART = (0.2, 0.06)  # shares of the width and height that a name takes
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
    """The picture without its values: data sets by name, marks by style."""

    def layer(data: str, mark: str, style: str, **encoding: Any) -> Chart:
        said = encoding.get("text", {}).get("field")  # of a thousand points a dozen have a name
        some = {"transform": [{"filter": f"datum.{said}"}]} if said else {}
        return {
            "data": {"name": data},
            **some,
            "mark": {"type": mark, "style": style, "clip": True},
            "encoding": encoding,
        }

    def axis(field: str, title: str, **scale: Any) -> Chart:
        return {"field": field, "type": "quantitative", "title": title, "scale": {"nice": False, **scale}}

    x, y = axis("x", "time ratio to the baseline (log)", type="log"), axis("y", "macro F1", zero=False)
    bare_x, bare_y = ({"field": name, "type": "quantitative"} for name in "xy")
    look = {"field": "look", "type": "nominal", "legend": None}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": 640,
        "height": 380,
        "layer": [
            layer("region", "rect", "goal", x=x, y=y, x2={"field": "x2"}, y2={"field": "y2"}),
            layer("curves", "line", "equal", x=bare_x, y=bare_y, detail={"field": "score", "type": "nominal"}),
            layer("curves", "text", "equalname", x=bare_x, y=bare_y, text={"field": "label", "type": "nominal"}),
            layer(
                "points", "rule", "whisker", x={"field": "low", "type": "quantitative"}, x2={"field": "high"}, y=bare_y
            ),
            layer(
                "points",
                "rule",
                "whisker",
                x=bare_x,
                y={"field": "ylow", "type": "quantitative"},
                y2={"field": "yhigh"},
            ),
            layer("front", "line", "pareto", x=bare_x, y=bare_y),
            layer(
                "points",
                "point",
                "dot",
                x=bare_x,
                y=bare_y,
                color={**look, "scale": {"domain": ["front", "ranked", "weak"], "range": "looks"}},
                shape={
                    **look,
                    "scale": {"domain": ["front", "ranked", "weak"], "range": ["circle", "circle", "cross"]},
                },
            ),
            layer("lines", "point", "reference", x=bare_x, y=bare_y),
            layer("lines", "text", "below", x=bare_x, y=bare_y, text={"field": "below", "type": "nominal"}),
            layer("lines", "text", "before", x=bare_x, y=bare_y, text={"field": "before", "type": "nominal"}),
            layer("points", "text", "entryname", x=bare_x, y=bare_y, text={"field": "label", "type": "nominal"}),
            layer("active", "point", "ring", x=bare_x, y=bare_y),
        ],
    }


def config(colours: dict[str, str], points: int) -> Chart:
    """How the styles of a chart of so many points look; assets/figures.js has the same in the page's colours."""
    many = points > _MANY  # marks that small do not hide each other
    ink, faint = colours["ink"], colours["faint"]
    return {
        "background": colours["paper"],
        "font": "Liberation Sans, Arial, sans-serif",  # what vl-convert brings: the same on every machine,
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
        "range": {"looks": [colours["accent"], colours["accent"], colours["weak"]]},
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
            "below": {"color": colours["baseline"], "fontSize": 11, "align": "left", "dx": 6, "dy": 15},
            "before": {"color": colours["baseline"], "fontSize": 11, "align": "right", "dx": -6, "dy": 15},
            "entryname": {"color": ink, "fontSize": 11, "align": "left", "dx": 7, "dy": -8},
            "ring": {"size": 260, "filled": False, "color": ink, "strokeWidth": 2, "opacity": 1},
        },
    }


def svg(board: Board, rule: tuple[float, float]) -> bytes:
    """The board's picture. `rule`: weight of time and slope of F1, for the curves of equal score.

    Its last line names what was drawn and by which version: another one draws it a little otherwise.
    """
    filled = _filled(board, rule)
    drawn: str = vl_convert.vegalite_to_svg(filled, allowed_base_urls=[])
    numbers: dict[str, int] = {}  # of clip paths, which count on from picture to picture
    drawn = _CLIP.sub(lambda found: f"{found[1]}{numbers.setdefault(found[2], len(numbers))}", drawn)
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
    points, lines = points_of(board), [_line(line) for line in board.references]
    x_domain, y_domain = domains([*points, *lines])
    _label(points, (x_domain, y_domain))
    base = chart()
    first = base["layer"][0]["encoding"]
    first["x"]["scale"]["domain"], first["y"]["scale"]["domain"] = x_domain, y_domain
    first["x"]["axis"] = {"values": ticks(*x_domain), "format": "~r"}
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
    return {**base, "datasets": values, "config": config(LIGHT, len(points)), "padding": 8, "description": about}


def _label(points: Sequence[Point], domain: Domains) -> None:
    """Names the points, those on the front first, where no name is in the way of another."""
    (left, right), (low, high) = domain
    taken: list[tuple[float, float]] = []
    for point in points:
        if point["look"] != "front" and len(points) > _FEW:
            break  # the front comes first
        x, y = math.log(point["x"] / left) / math.log(right / left), (point["y"] - low) / (high - low)
        free = all(abs(x - other) > _APART[0] or abs(y - another) > _APART[1] for other, another in taken)
        if free and len(taken) < _LABELLED:
            point["label"] = point["name"]
            taken.append((x, y))


def _line(line: Reference) -> Point:
    name = short(line.name)
    before = line.time_ratio < 1.0  # the target: its name would lie upon the baseline's
    shown = {"before": name, "below": ""} if before else {"before": "", "below": name}
    return {"name": name, **shown, "x": line.time_ratio, "y": line.f1}
