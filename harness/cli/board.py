"""harness leaderboard."""

from typing import Annotated

import typer

from harness.cli.project import LOCAL, PUBLISHED, data_folder, note, read_rules


def leaderboard(
    data: Annotated[str | None, typer.Option(help="Show the boards of one data set.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, md, csv or json.")] = "text",
    write: Annotated[bool, typer.Option("--write", help="Write the published boards' files.")] = False,
) -> None:
    """The ranked boards of this checkout's records: the published ones and this machine's."""
    from harness import records
    from harness.errors import DataError, UsageError
    from harness.paths import project_root
    from harness.report import formats, rank

    if form not in formats.FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(formats.FORMATS)}, got {form}")
    root = project_root()
    rules = read_rules(root)
    published, problems = records.read_all(root / PUBLISHED)
    local, more = records.read_all(root / LOCAL)
    for problem in (*problems, *more):
        note(f"harness: skipped: {problem}")
    every = rank.boards([*published, *local], rules, local={record.digest for record in local})
    boards = tuple(board for board in every if data in (None, board.data))
    if data is not None and not boards and not (data_folder(root, data) / "manifest.json").is_file():
        there = ", ".join(sorted({board.data for board in every})) or "none"
        raise DataError(f"no data set {data} and no records of one: there are records of {there}")
    if not boards:
        note(f"no records{'' if data is None else f' of {data}'} yet; `harness evaluate SUBMISSION` writes one")
    print(formats.FORMATS[form](boards), end="")
    if write:
        for path in records.write_boards(root / "leaderboard", rank.boards(published, rules)):
            note(f"wrote {path.relative_to(root)}")
