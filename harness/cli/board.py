"""harness leaderboard."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import BOARDS, LOCAL, PUBLISHED, data_folder, note, profiled, read_rules

if TYPE_CHECKING:
    from harness.record import Record
    from harness.report.board import Board
    from harness.rules import Rules

_DIFFERS = 1  # exit code


def leaderboard(
    data: Annotated[str | None, typer.Option(help="Show the boards of one data set.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, md, csv or json.")] = "text",
    plot: Annotated[bool, typer.Option("--plot", help="Draw F1 over time ratio below each board.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the published boards' files.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether the published boards' files are what the records give.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Serve the page on this machine; new records appear.")] = False,
    port: Annotated[int, typer.Option(help="Of --watch; 0 takes a free one.")] = 8765,
    private: Annotated[
        bool, typer.Option("--private", help="Official runs by the private half of the test crops; never written.")
    ] = False,
) -> int:
    """The ranked boards of this checkout's records: the published ones and this machine's.

    Exit codes: 1 where --check finds a file that differs.
    """
    from harness import records
    from harness.decisions import standing
    from harness.errors import UsageError
    from harness.paths import project_root
    from harness.report import formats, rank

    if form not in formats.FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(formats.FORMATS)}, got {form}")
    if private and (write or check or watch):
        raise UsageError("--private is the organiser's to look at: expected it without --write, --check and --watch")
    if write + check + watch > 1:
        raise UsageError("expected one of --write, --check and --watch")
    root = project_root()
    rules = read_rules(root)
    if check:
        return _check(root, rules)
    if watch:
        from harness.cli.watching import serve

        return serve(root, rules, port)
    decided = standing(records.read_decisions(root / BOARDS))
    published, local = (_read(root / folder, rules, private) for folder in (PUBLISHED, LOCAL))
    its_own = {record.digest for record in local.values()}
    every = profiled(root, rank.boards([*published.values(), *local.values()], rules, its_own, decided))
    _print(_chosen(root, every, data), form, rules if plot else None)
    if write:
        from harness.cli.pages import write_all

        write_all(root, rules, published)
    return 0


def _check(root: Path, rules: "Rules") -> int:
    from harness.cli.pages import differing

    found = differing(root, rules, _read(root / PUBLISHED, rules))
    if not found:
        print("the boards are those of the published records")
        return 0
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    note(
        f"harness: {found[0].relative_to(root)}{others}: expected what the published records give, got another file; "
        "`harness leaderboard --write` makes it anew"
    )
    return _DIFFERS


def _chosen(root: Path, every: "tuple[Board, ...]", data: str | None) -> "tuple[Board, ...]":
    """The boards of one data set, or all. Raises DataError where there is no such data set."""
    from harness.errors import DataError

    boards = tuple(board for board in every if data in (None, board.data))
    if data is not None and not boards and not (data_folder(root, data) / "manifest.json").is_file():
        there = ", ".join(sorted({board.data for board in every})) or "none"
        raise DataError(f"no data set {data} and no records of one: there are records of {there}")
    if not boards:
        note(f"no records{'' if data is None else f' of {data}'} yet; `harness evaluate SUBMISSION` writes one")
    return boards


def _print(boards: "tuple[Board, ...]", form: str, plotted: "Rules | None") -> None:
    """The boards on stdout, coloured where that is a terminal; each with a picture by the rules `plotted`, if any."""
    from harness.report import formats
    from harness.report.colour import coloured
    from harness.report.plot import plot

    if form != "text":
        print(formats.FORMATS[form](boards), end="")
        return
    parts = []
    for board in boards:
        text = formats.FORMATS[form]((board,))
        parts.append(coloured(text) if _has_colours() else text)
        if plotted is not None:
            parts.append(plot(board, (plotted.score.time_weight, plotted.score.f1_slope)))
    print("\n".join(parts), end="")


def _has_colours() -> bool:
    """Whether stdout is a terminal that shows colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _read(folder: Path, rules: "Rules", private: bool = False) -> "Mapping[Path, Record]":
    """The records of a folder; with `private` the official ones alone, derived again from the private half."""
    import msgspec

    from harness import records
    from harness.derive import derive
    from harness.errors import DataError

    read, problems = records.read_paths(folder)
    for problem in problems:
        note(f"harness: skipped: {problem}")
    if not private:
        return read
    found = {}
    for path, record in read.items():
        if record.half == "public" and record.result is not None:
            try:
                result = derive(records.read_raw(path, record), rules, "private")
            except DataError as error:
                note(f"harness: skipped: {error.message}")
                continue
            found[path] = msgspec.structs.replace(record, half="private", result=result)
    return found
