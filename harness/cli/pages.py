"""The published boards' files, with the page and the pictures: written, or compared with what is there."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.project import BOARDS, note, profiled

if TYPE_CHECKING:
    from harness.record import Record
    from harness.report.board import Board
    from harness.report.page.trace import Trace
    from harness.rules import Rules


def write_all(root: Path, rules: "Rules", published: "Mapping[Path, Record]") -> None:
    """Writes every generated file that changed, and says so."""
    from harness import records
    from harness.report.files import PAGE

    page = root / BOARDS / PAGE
    former = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    boards, files = _made(root, rules, published, former)
    for path in records.write_boards(root / BOARDS, boards, files):
        note(f"wrote {path.relative_to(root)}")


def differing(root: Path, rules: "Rules", published: "Mapping[Path, Record]") -> list[Path]:
    """The generated files that are not what the published records give."""
    from harness import records
    from harness.report.page.files import same_file

    boards, files = _made(root, rules, published, "")
    return records.differing(root / BOARDS, boards, files, same_file)


def _made(
    root: Path, rules: "Rules", published: "Mapping[Path, Record]", former: str
) -> "tuple[tuple[Board, ...], dict[str, bytes]]":
    """The boards of the published records, and the page and the pictures of these."""
    from harness import records
    from harness.decisions import standing
    from harness.report import rank
    from harness.report.page.files import page_files

    decided = standing(records.read_decisions(root / BOARDS))
    boards = profiled(root, rank.boards(published.values(), rules, decided=decided))
    shown = traces(published, boards, rules)
    return boards, page_files(boards, published.values(), rules, shown, former)


def traces(read: "Mapping[Path, Record]", boards: "Iterable[Board]", rules: "Rules") -> "dict[str, Trace]":
    """Of each entry's newest run, where its raw file may be shown: an official run's is the organiser's alone."""
    from harness import records
    from harness.errors import DataError
    from harness.report.page.trace import trace

    newest = {row.records[-1] for board in boards for row in board.rows if row.status == "ok"}
    found = {}
    for path, record in read.items():
        if record.digest not in newest or record.official or record.half != "all":
            continue
        try:
            found[record.digest] = trace(records.read_raw(path, record), rules.protocol)
        except DataError:
            continue  # a board needs no raw file
    return found
