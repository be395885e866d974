"""harness compare, harness verify, harness rescore: records again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import (
    Demanded,
    Device,
    Wanted,
    habits_here,
    keep,
    opened,
    planned,
    seconds,
    with_submission,
)
from harness.cli.project import LOCAL, PUBLISHED, data_folder, note, read_rules, watching

if TYPE_CHECKING:
    from harness.record import Record

NOT_VERIFIED = 6
_Path = Annotated[Path, typer.Argument(help="A record: leaderboard/…/NAME.json.")]


def compare(first: _Path, second: _Path) -> None:
    """Two records of one board: time ratio, F1 and score of the first against the second."""
    from harness.errors import DataError
    from harness.paths import project_root
    from harness.report.against import compared_text
    from harness.report.rank import better

    one, other = _with_result(first), _with_result(second)
    key, its = one.key(), other.key()
    if key != its:
        differing = [name for name in key.__struct_fields__ if getattr(key, name) != getattr(its, name)]
        raise DataError(
            f"expected two records of one board, got two that differ in {', '.join(differing)}: "
            "run both packages here, or `harness duel` them"
        )
    print(compared_text(one, other, better(one, other, read_rules(project_root()))))


def verify(
    record: _Path,
    submission: Annotated[str | None, typer.Option(help="The package. Default: the record's name.")] = None,
    budget: Annotated[str, typer.Option(help="Time to spend, like 45s or 2m.")] = "45s",
) -> int:
    """Run a record's package again here: the same answers, and a time ratio where the record predicts it?

    Exit codes: 0 verified, 6 not.
    """
    from harness import records, staging
    from harness.errors import DataError
    from harness.judge import evaluate as judge
    from harness.judge.schedule import Budget
    from harness.paths import project_root
    from harness.report.against import verification, verified_text

    root = project_root()
    rules = read_rules(root)
    before = _with_result(record)
    raw = records.read_raw(record, before)
    plan = Budget(seconds(budget))
    level = None if before.isolation is None else Demanded(before.isolation.level)
    wanted = Wanted(
        staging.find(root, submission or before.submission.name),
        staging.find(root, before.baseline.name),
        data_folder(root, before.data.name),
        Device(before.machine.device),
        level,
        before.submission.weights_of,
        before.baseline.weights_of,
    )
    with opened(root, rules, wanted) as job, with_submission(job, wanted) as both:
        for what, then, now in (
            ("data set", before.data.digest, both.exam.data.digest),
            ("baseline", before.baseline.digest, both.baseline.package.digest),
            ("submission", before.submission.digest, both.submission.package.digest),
        ):
            if then != now:
                raise DataError(
                    f"{record}: expected the {what} of the record ({then[:12]}), got another one here ({now[:12]}); "
                    "check out the version that it was made with"
                )
        known = habits_here(root, both)
        with watching() as watch:
            outcome = judge.evaluate(planned(both, plan, known), watch)
        path = keep(root, outcome)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.raw is not None
    found = verification((before, raw), (outcome.record, outcome.raw), known.between)
    print(verified_text(before, outcome.record, found))
    print(f"  record      {path.relative_to(root)}")
    return 0 if found.answers_hold and found.time_holds else NOT_VERIFIED


def rescore(
    write: Annotated[
        bool, typer.Option("--write", help="Add what differs as new records beside the old ones.")
    ] = False,
) -> None:
    """Derive every record again from its raw file, by the present rules: no run, no data set."""
    import msgspec

    import harness
    from harness import records
    from harness.derive import derive
    from harness.errors import DataError
    from harness.paths import project_root
    from harness.report.against import same_run

    root = project_root()
    rules = read_rules(root)
    same = 0
    for folder in (PUBLISHED, LOCAL):
        read, problems = records.read_paths(root / folder)
        for problem in problems:
            note(f"harness: skipped: {problem}")
        replaced = {record.rescored_from for record in read.values()}
        for path, record in read.items():
            if record.result is None or record.digest in replaced:
                continue
            try:
                raw = records.read_raw(path, record)
            except DataError as error:
                note(f"harness: skipped: {error.message}")
                continue
            result = derive(raw, rules)
            if record.rules == rules.digest() and same_run(record.result, result):
                same += 1
                continue
            print(f"{path.relative_to(root)}: score {record.result.score.value:.4f}, now {result.score.value:.4f}")
            if write:
                again = msgspec.structs.replace(
                    record,
                    result=result,
                    rules=rules.digest(),
                    harness=harness.__version__,
                    rescored_from=record.digest,
                )
                added = records.write(path.parent, again, raw)
                note(f"wrote {added.relative_to(root)}")
    print(f"{same} records are as the present rules derive them")


def _with_result(path: Path) -> "Record":
    from harness import records
    from harness.errors import DataError

    record = records.read(path)
    if record.result is None:
        raise DataError(f"{path}: expected a record with a result, got a run that {record.status}")
    return record
