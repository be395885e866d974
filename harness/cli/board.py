"""harness leaderboard."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import BOARDS, LOCAL, PUBLISHED, data_folder, note, read_rules

if TYPE_CHECKING:
    from harness.record import Record
    from harness.rules import Rules


def leaderboard(
    data: Annotated[str | None, typer.Option(help="Show the boards of one data set.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, md, csv or json.")] = "text",
    write: Annotated[bool, typer.Option("--write", help="Write the published boards' files.")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Official runs by the private half of the test crops; never written.")
    ] = False,
) -> None:
    """The ranked boards of this checkout's records: the published ones and this machine's."""
    from harness import records
    from harness.decisions import standing
    from harness.errors import DataError, UsageError
    from harness.paths import project_root
    from harness.report import formats, rank

    if form not in formats.FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(formats.FORMATS)}, got {form}")
    if private and write:
        raise UsageError("--private is the organiser's to look at: expected it without --write")
    root = project_root()
    rules = read_rules(root)
    decided = standing(records.read_decisions(root / BOARDS))
    published, local = ([*_read(root / folder, rules, private)] for folder in (PUBLISHED, LOCAL))
    every = rank.boards([*published, *local], rules, {record.digest for record in local}, decided)
    boards = tuple(board for board in every if data in (None, board.data))
    if data is not None and not boards and not (data_folder(root, data) / "manifest.json").is_file():
        there = ", ".join(sorted({board.data for board in every})) or "none"
        raise DataError(f"no data set {data} and no records of one: there are records of {there}")
    if not boards:
        note(f"no records{'' if data is None else f' of {data}'} yet; `harness evaluate SUBMISSION` writes one")
    print(formats.FORMATS[form](boards), end="")
    if write:
        for path in records.write_boards(root / "leaderboard", rank.boards(published, rules, decided=decided)):
            note(f"wrote {path.relative_to(root)}")


def _read(folder: Path, rules: "Rules", private: bool) -> "Iterator[Record]":
    """The records of a folder; with `private` the official ones alone, derived again from the private half."""
    import msgspec

    from harness import records
    from harness.derive import derive
    from harness.errors import DataError

    read, problems = records.read_paths(folder)
    for problem in problems:
        note(f"harness: skipped: {problem}")
    for path, record in read.items():
        if not private:
            yield record
        elif record.half == "public" and record.result is not None:
            try:
                result = derive(records.read_raw(path, record), rules, "private")
            except DataError as error:
                note(f"harness: skipped: {error.message}")
                continue
            yield msgspec.structs.replace(record, half="private", result=result)
