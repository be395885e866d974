"""The page's template filled: a view in, one HTML file out, with its style, its scripts and its data inside. Pure."""

import functools
import hashlib
import math
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2
import msgspec
import vl_convert
from markupsafe import Markup, escape

from harness.report.fields import count, size
from harness.report.files import MARKER
from harness.report.page.picture import VERSION, chart, names
from harness.report.page.shown import Entry, Line, Numbers, Shown, View

_SCRIPTS = ("state.js", "figures.js", "table.js", "picture.js", "charts.js", "entry.js", "main.js")  # in this order
_LIBRARY = "window.vegaEmbed=vegaEmbed;"  # what the page uses of the bundle; it brings Vega and Vega-Lite
_ELEMENT = re.compile(
    r'<script type="text/plain" id="library" data-by="(?P<by>[^"]*)" data-sha256="(?P<digest>[0-9a-f]{64})">'
    r"(?P<script>.*?)</script>",
    re.DOTALL,
)
_RISKY = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Column(NamedTuple):
    """One of the board's table: what it is sorted by, its title, what it means; its style's classes."""

    key: str
    name: str
    about: str
    look: str = "n o"


COLUMNS = (
    Column("rank", "rank", "shared ones marked =; below it the ranks that other test photos would give", "rank"),
    Column("name", "submission", "its name and authors", ""),
    Column("score", "score", "lower is better; the interval is that of a rerun", "n wide"),
    Column("f1", "F1", "macro F1; the interval is that of other test photos", "n wide"),
    Column("ratio", "time ratio", "time over the baseline's, side by side; the interval is that of a rerun", "n wide"),
    *(Column(name, f"{name} ms", f"{name[1:]} of 100 crops take no longer") for name in ("p50", "p90", "p95", "p99")),
    Column("speed", "crops/s", "crops a second"),
    Column("batch", "a request", "crops that come at once, as many as the submission asks for"),
    Column("parameters", "params", "numbers that were learnt"),
    Column("macs", "MACs", "multiply-adds a crop"),
    Column("size", "size", "of the package's files"),
    Column("format", "format", "of the model", "o"),
    Column("isolation", "isolation", "as observed", "o"),
    Column("date", "date", "of the newest run", "o date"),
)
_OPTIONAL = ("parameters", "macs", "format")  # columns that only some records have: a page without them shows none
_MARKS = {  # beside a name
    "target": "F1 at least the baseline's, time ratio at most the target's",
    "wide": "the time ratio's interval is wider than the rules call steady",
    "local": "measured on this machine, not published",
    "transfer": "weights of another data set",
}
_LATENCIES, _BATCHES = ("p50", "p90", "p95", "p99"), ("speed", "batch")  # in a batch a crop has no time of its own


def page(view: View, library: str, watched: bool = False) -> str:
    """The page of a view. `library`: see below; `watched`: served by `--watch`, it asks for a newer one of itself."""
    template = _environment().get_template("page.html")
    scripts = "\n".join(_asset(name) for name in _SCRIPTS)
    about = [column for column in COLUMNS if column.key not in _OPTIONAL or _has(view, column.key)]
    return template.render(
        view=view,
        columns=about,
        marks=_MARKS,
        meanings=[*((column.name, column.about) for column in about), *_MARKS.items()],
        has={name: _has(view, name) for name in _OPTIONAL},
        marker=Markup(MARKER),
        watched=watched,
        # Markup: written by us, or escaped by `embedded`; everything else is escaped by the template.
        style=Markup(_asset("page.css")),
        data=Markup(embedded(msgspec.structs.replace(view, mistakes=None))),
        chart=Markup(embedded({"chart": chart(), "names": names()})),
        library=Markup(library),
        scripts=Markup(scripts),
    )


def embedded(value: object) -> str:
    """JSON for a <script> element: nothing in it ends the element or starts a comment.

    >>> embedded("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = msgspec.json.encode(value).decode()
    for character, harmless in _RISKY.items():
        text = text.replace(character, harmless)
    return text


@functools.cache
def library() -> str:
    """Vega, Vega-Lite and vega-embed as one script element, from the chart library's package; it takes a second."""
    bundle: str = vl_convert.javascript_bundle(_LIBRARY)
    bundle = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    script = f"(() => {{{bundle}\n}})();"  # its names are its own
    digest = hashlib.sha256(script.encode()).hexdigest()
    return f'<script type="text/plain" id="library" data-by="{VERSION}" data-sha256="{digest}">{script}</script>'


def library_of(former: str) -> str | None:
    """The library of a page that this version made, to be used once more; None where it is another's or was changed."""
    found = _ELEMENT.search(former)
    if found is None or found["by"] != VERSION:
        return None
    return found[0] if hashlib.sha256(found["script"].encode()).hexdigest() == found["digest"] else None


def same_page(ours: str, theirs: str) -> bool:
    """Whether two pages are one but for a chart library of another version."""
    if ours == theirs:
        return True
    both = [_ELEMENT.search(text) for text in (ours, theirs)]
    if any(one is None for one in both) or len({one["by"] for one in both if one is not None}) == 1:
        return False
    return _ELEMENT.sub("", ours) == _ELEMENT.sub("", theirs)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"spans": _spans, "ordered": _ordered, "columns_of": _columns_of}
    environment.filters |= {"number": _number, "count": count, "size": size, "whisker": _whisker, "logs": _logs}
    environment.filters["breakable"] = _breakable
    return environment


def _asset(name: str) -> str:
    return files("harness.report.page").joinpath("assets", name).read_text(encoding="utf-8")


def _breakable(name: str) -> Markup:
    """A name that may go on in a new line after each of its parts.

    >>> str(_breakable("mbv3_cut <b>"))
    'mbv3_<wbr>cut &lt;b&gt;'
    """
    return Markup(re.sub(r"([_.\-/]+)(?=.)", r"\1<wbr>", str(escape(name))))


def _has(view: View, name: str) -> bool:
    return any(getattr(entry, name) is not None for board in view.boards for entry in board.entries)


def _columns_of(board: Shown, columns: Sequence[Column]) -> list[Column]:
    """Of a board: latencies, or throughput where crops come in batches."""
    others = _LATENCIES if board.scenario == "batch" else _BATCHES
    return [column for column in columns if column.key not in others]


class _Spans(NamedTuple):
    """What the lines beside a board's numbers reach over."""

    score: tuple[float, float]
    f1: tuple[float, float]
    ratio: tuple[float, float]  # of its logarithms


def _spans(board: Shown) -> _Spans:
    """Of all ranked entries and their intervals: one that is not ranked may lie far off."""

    def span(name: str, of: Callable[[Numbers | None], Numbers | None] = lambda ends: ends) -> tuple[float, float]:
        ends = [of(getattr(entry, name)) for entry in board.entries if entry.rank is not None]
        values = [value for its in ends if its is not None for value in its if value is not None]
        return (min(values), max(values)) if values else (0.0, 1.0)

    return _Spans(span("score"), span("f1"), span("ratio", _logs))


def _ordered(board: Shown) -> list[tuple[str, int, Entry | Line]]:
    """Ranked entries and the lines to compare with, each line before the first higher score; with their numbers."""
    lines: list[tuple[str, int, Entry | Line]] = [
        ("entry", number, entry) for number, entry in enumerate(board.entries) if entry.rank is not None
    ]
    for number, line in enumerate(board.lines):
        place = next((i for i, (_, _, other) in enumerate(lines) if _score(other) > line.score), len(lines))
        lines.insert(place, ("line", number, line))
    return lines


def _score(line: Entry | Line) -> float:
    if isinstance(line, Line):
        return line.score
    return math.inf if line.score is None or line.score[0] is None else line.score[0]


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _logs(ends: Numbers | None) -> Numbers | None:
    return None if ends is None else tuple(None if end is None else math.log(max(end, 1e-9)) for end in ends)


def _whisker(ends: Any, domain: tuple[float, float]) -> str:
    """The place of a value and its interval on a line from `domain[0]` to `domain[1]`, as a style in percent."""
    low, high = domain
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return min(max((value - low) / span, 0.0), 1.0) * 100.0

    value, left, right = ends
    left, right = (value if end is None else end for end in (left, right))
    return f"--v:{place(value):.1f};--l:{place(left):.1f};--r:{place(right):.1f}"
