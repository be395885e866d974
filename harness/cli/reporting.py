"""harness report: one record as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import BOARDS, LOCAL, PUBLISHED, counting, data_folder, note, profiled, read_rules

if TYPE_CHECKING:
    from harness.record import Record
    from harness.report.page.sheet import Sheet
    from harness.rules import Rules

REPORTS = LOCAL / "reports"


def report(
    record: Annotated[Path, typer.Argument(help="A record: leaderboard/…/NAME.json.")],
    out: Annotated[Path | None, typer.Option(help="The file to write. Default: in leaderboard/local/reports/.")] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Run the package on the validation crops and show what it gets wrong.")
    ] = False,
    submission: Annotated[str | None, typer.Option(help="For --errors: the package. Default: by its name.")] = None,
) -> None:
    """One record as a page: its numbers, its run, its classes, its machine, beside the entries of its board."""
    from harness import records
    from harness.cli.predicting import check_writable
    from harness.paths import project_root

    root = project_root()
    rules = read_rules(root)
    read = records.read(record)
    path = out or root / REPORTS / f"{record.stem}.html"
    if out is not None:
        check_writable(out)
    mistakes = _mistakes(root, rules, read, submission) if errors else None
    text = _page(root, rules, (record, read), mistakes)
    records.write_page(path, text)
    print(path if out is not None else path.relative_to(root))


def _page(root: Path, rules: "Rules", one: "tuple[Path, Record]", mistakes: "Sheet | None") -> str:
    """The page of a record by itself, not pooled with the package's others, among the other entries of its board."""
    from harness import records
    from harness.cli.pages import traces
    from harness.decisions import standing
    from harness.report import rank
    from harness.report.page.html import library, page
    from harness.report.page.view import alone, view

    path, record = one
    found: dict[str, Record] = {record.digest: record}
    for folder in (PUBLISHED, LOCAL):
        read, problems = records.read_all(root / folder)
        found |= {its.digest: its for its in read if its.key() == record.key()}
        for problem in problems:
            note(f"harness: skipped: {problem}")
    others = [its for its in found.values() if its.submission.digest != record.submission.digest]
    decided = standing(records.read_decisions(root / BOARDS))
    boards = profiled(root, rank.boards([record, *others], rules, decided=decided))
    board = next(its for its in boards if any(record.digest in row.records for row in its.rows))
    shown = view((board,), found.values(), rules, traces({path: record}, (board,), rules))
    return page(alone(shown, record.digest, mistakes), library())


def _mistakes(root: Path, rules: "Rules", record: "Record", submission: str | None) -> "Sheet":
    """What the record's package, run here in the sandbox, gets wrong of the validation crops."""
    import numpy as np

    from harness import staging
    from harness.cli.jobs import announce, open_data
    from harness.cli.predicting import worker
    from harness.errors import DataError
    from harness.judge.session import Staged
    from harness.report.page.sheet import sheet

    store = open_data(data_folder(root, record.data.name))
    if store.manifest.digest != record.data.digest:
        raise DataError(f"--errors: expected the data set of the record ({record.data.digest[:12]}), got another here")
    labels = store.training_labels("val").labels
    if not len(labels):
        raise DataError(f"--errors: expected validation crops, got a data set without: {record.data.name}")
    classes = store.manifest.classes
    target = staging.Target(record.data.name, classes, record.submission.weights_of, store.manifest.digest)
    package = staging.find(root, submission or record.submission.name)
    crops, answers = store.crops("val"), []
    with staging.staged(package, target, rules.limits) as (described, folder):
        if described.digest != record.submission.digest:
            raise DataError(
                f"--errors: expected the package of the record ({record.submission.digest[:12]}), "
                f"got {described.digest[:12]}; check out the version that it was made with"
            )
        staged = Staged(described.name, folder, len(classes))
        with worker(staged, announce(None, rules), (rules, record.machine.device)) as session, counting("crops") as bar:
            for number in range(len(crops)):
                answers.append(int(session.classify([crops[number]]).labels[0]))
                bar(number + 1, len(crops))
    return sheet(np.asarray(labels, dtype=np.int64), np.array(answers, dtype=np.int64), classes, lambda i: crops[i])
