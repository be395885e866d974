"""harness compare, harness verify, harness rescore: records again."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import (
    Demanded,
    Device,
    Scenario,
    Wanted,
    habits_here,
    judged_here,
    opened,
    seconds,
    with_submission,
)
from harness.cli.project import CHECKUPS, DUELS, LOCAL, PUBLISHED, data_folder, note, read_rules

if TYPE_CHECKING:
    from harness.judge.evaluate import Job
    from harness.raw import Raw
    from harness.record import Record
    from harness.rules import Rules

DIFFERENT = 6  # exit code
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
    baseline: Annotated[str | None, typer.Option(help="The baseline. Default: the record's name.")] = None,
    data: Annotated[str | None, typer.Option(help="The data set. Default: the record's name.")] = None,
    budget: Annotated[str, typer.Option(help="Time to spend, like 45s or 2m.")] = "45s",
) -> int:
    """Run a record's package again here: the same answers, and a time ratio where the record predicts it?

    Exit codes: 0 verified, 6 not.
    """
    from harness import records, staging
    from harness.judge.schedule import Budget
    from harness.paths import project_root
    from harness.report.against import verification, verified_text

    root = project_root()
    rules = read_rules(root)
    before = _with_result(record)
    raw = records.read_raw(record, before)
    plan = Budget(seconds(budget))
    wanted = Wanted(
        staging.find(root, submission or before.submission.name),
        staging.find(root, baseline or before.baseline.name),
        data_folder(root, data or before.data.name),
        Device(before.machine.device),
        None if before.isolation is None else Demanded(before.isolation.level),
        before.submission.weights_of,
        before.baseline.weights_of,
        scenario=Scenario(before.scenario),
    )
    with opened(root, rules, wanted) as job, with_submission(job, wanted) as both:
        _check_same(record, before, both)
        known = habits_here(root, both)
        again = dataclasses.replace(both, official=before.official)  # of the same half
        outcome, path = judged_here(root, again, plan, known)
    assert outcome.raw is not None
    found = verification((before, raw), (outcome.record, outcome.raw), known.between)
    print(verified_text(before, outcome.record, found))
    print(f"  record      {path.relative_to(root)}")
    return 0 if found.holds else DIFFERENT


def rescore(
    write: Annotated[bool, typer.Option("--write", help="Add what differs as new records beside the old.")] = False,
) -> int:
    """Derive every record again from its raw file, by the present rules: no run, no data set.

    Exit codes: 0 all are the same, or written with --write; 6 some differ.
    """
    from harness import records
    from harness.errors import DataError
    from harness.paths import project_root

    root = project_root()
    rules = read_rules(root)
    same = different = 0
    for folder in (PUBLISHED, LOCAL, CHECKUPS, DUELS):
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
            again = _again(record, raw, rules)
            if again is None:
                same += 1
                continue
            different += 1
            assert again[0].result is not None
            now = again[0].result.score.value
            print(f"{path.relative_to(root)}: score {record.result.score.value:.4f}, now {now:.4f}")
            if write:
                note(f"wrote {records.write(path.parent, *again).relative_to(root)}")
    print(f"{same} as the present rules derive them, {different} not")
    return DIFFERENT if different and not write else 0


def _again(record: "Record", raw: "Raw", rules: "Rules") -> "tuple[Record, Raw] | None":
    """The record and its raw file as the present rules have them; None where nothing changes."""
    import msgspec

    import harness
    from harness.derive import derive
    from harness.report.against import same_run

    raw = msgspec.structs.replace(raw, baseline_f1=rules.frozen_f1(record.data.digest, record.baseline.digest))
    result = derive(raw, rules, record.half)
    assert record.result is not None
    if record.rules == rules.digest() and same_run(record.result, result):
        return None
    changes = {"result": result, "rules": rules.digest(), "harness": harness.__version__}
    return msgspec.structs.replace(record, **changes, rescored_from=record.digest), raw


def _check_same(path: Path, before: "Record", job: "Job") -> None:
    """Raises DataError where what is here is not what the record was made of."""
    from harness.errors import DataError

    for what, then, now in (
        ("rules", before.rules, job.rules.digest()),
        ("data set", before.data.digest, job.exam.data.digest),
        ("baseline", before.baseline.digest, job.baseline.package.digest),
        ("submission", before.submission.digest, job.submission.package.digest),
    ):
        if then != now:
            raise DataError(
                f"{path}: expected the {what} of the record ({then[:12]}), got another here ({now[:12]}); "
                "check out the version that it was made with"
            )


def _with_result(path: Path) -> "Record":
    from harness import records
    from harness.errors import DataError

    record = records.read(path)
    if record.result is None:
        raise DataError(f"{path}: expected a record with a result, got a run that {record.status}")
    return record
