"""A training's curves as a picture: loss, validation macro F1 and learning rate over the epochs. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, int | float | str]
_FEW = 40  # epochs: a point each; of more the line alone
_INK, _FAINT, _GRID, _LINE, _BEST = "#1b2330", "#5b6675", "#e7eaef", "#0b7a6b", "#b4540a"
_PANELS = (("loss", "loss"), ("val_f1", "validation macro F1"), ("lr", "learning rate"))


def svg(log: Sequence[Entry], title: str) -> bytes:
    """Three panels above each other, the best epoch marked in the second. `log`: an entry an epoch, one or more."""
    import vl_convert  # noqa: PLC0415 (a second of start-up, for those who keep a run's folder)

    drawn: str = vl_convert.vegalite_to_svg(_chart(log, title), allowed_base_urls=[])
    return f"{drawn.strip()}\n".encode()


def _chart(log: Sequence[Entry], title: str) -> dict[str, Any]:
    """The picture as Vega-Lite."""
    last = max(int(entry["epoch"]) for entry in log)
    best = max(log, key=lambda entry: float(entry["val_f1"]))
    epoch = {"field": "epoch", "type": "quantitative", "scale": {"domain": [0, last], "nice": False}}
    ticks = {"tickMinStep": 1, "format": "d"}

    def panel(field: str, name: str) -> dict[str, Any]:
        values = [{"epoch": entry["epoch"], "value": entry[field]} for entry in log if field in entry]
        value = {"field": "value", "type": "quantitative", "title": name, "scale": {"zero": field == "lr"}}
        last_panel = field == _PANELS[-1][0]
        x = {**epoch, "title": "epoch" if last_panel else None, "axis": {**ticks, "labels": last_panel}}
        line = {
            "mark": {"type": "line", "point": len(values) <= _FEW and {"color": _LINE}, "color": _LINE},
            "data": {"values": values},
        }
        mark = {"type": "point", "filled": True, "size": 90, "color": _BEST}
        text = {"type": "text", "color": _BEST, "dy": -12, "align": "center", "fontSize": 11}
        said = f"{float(best['val_f1']):.4f}, epoch {best['epoch']}"
        chosen = {"data": {"values": [{"epoch": best["epoch"], "value": best["val_f1"], "said": said}]}}
        marks = [{**chosen, "mark": mark}, {**chosen, "mark": text, "encoding": {"text": {"field": "said"}}}]
        return {
            **{"width": 560, "height": 130 if last_panel else 170},
            "encoding": {"x": x, "y": value},
            "layer": [line, *(marks if field == "val_f1" else [])],
        }

    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": title, "anchor": "start", "fontSize": 13, "fontWeight": 500, "color": _INK},
        "description": f"{title}: loss, validation macro F1 and learning rate over {last} epochs",
        "padding": 10,
        "vconcat": [panel(field, name) for field, name in _PANELS],
        "config": {
            **{"background": "#ffffff", "font": "Liberation Sans, Arial, sans-serif", "view": {"stroke": None}},
            "axis": {
                **{"gridColor": _GRID, "domainColor": _GRID, "tickColor": _GRID, "labelColor": _FAINT},
                **{"titleColor": _INK, "titleFontWeight": 500},
            },
            "axisY": {"minExtent": 46},  # the panels begin at one line
        },
    }
