"""The generated files that are pictures or pages: their paths and their bytes. Pure; harness/records.py writes them."""

from collections.abc import Iterable, Mapping, Sequence

from harness.record import Record
from harness.report.board import Board
from harness.report.files import PAGE, board_path
from harness.report.page.html import library, library_of, page, same_page
from harness.report.page.picture import png, same_picture, svg
from harness.report.page.trace import Trace
from harness.report.page.view import view
from harness.rules import Rules


def page_files(
    boards: Sequence[Board],
    records: Iterable[Record],
    rules: Rules,
    traces: Mapping[str, Trace] | None = None,
    former: str = "",
) -> dict[str, bytes]:
    """The page and each board's picture: path under the leaderboard folder -> bytes.

    `traces`: by a record's digest; `former`: the page as it lies there, whose chart library is used once more.
    """
    shown = page(view(boards, records, rules, traces), library_of(former) or library())
    files = {PAGE: shown.encode()}
    rule = (rules.score.time_weight, rules.score.f1_slope)
    for board in boards:
        stem = board_path(board).removesuffix(".md")
        files[f"{stem}.svg"] = svg(board, rule)
        files[f"{stem}.png"] = png(files[f"{stem}.svg"])
    return files


def same_file(name: str, ours: bytes, theirs: bytes) -> bool:
    """Whether a generated file is as it would be made now, but for another version of the chart library."""
    if name.endswith(".html"):
        return same_page(ours.decode(errors="replace"), theirs.decode(errors="replace"))
    return same_picture(ours, theirs) if name.endswith((".svg", ".png")) else ours == theirs
