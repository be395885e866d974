"""harness withdraw, supersede, freeze: what organisers decide about entries and boards."""

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import BOARDS, LOCAL, PUBLISHED, note

if TYPE_CHECKING:
    from harness.record import Record

_ENTRY = typer.Argument(help="An entry: its name on a board, or the first digits of its digest.")
_Lift = Annotated[bool, typer.Option("--lift", help="Take the decision back.")]
_Reason = Annotated[str, typer.Option(help="Shown on the board.")]


def withdraw(entry: Annotated[str, _ENTRY], reason: _Reason = "", lift: _Lift = False) -> None:
    """Take an entry out of the ranking; its records stay, and the board says why."""
    digest, name = _entry(entry)
    _decide("lift" if lift else "withdraw", digest, name, reason=reason)


def supersede(
    entry: Annotated[str, _ENTRY],
    by: Annotated[str | None, typer.Argument(help="The entry that takes its place.")] = None,
    lift: _Lift = False,
) -> None:
    """Rank another entry in the place of one; its records stay, and the board says by which."""
    from harness.errors import UsageError

    if (by is None) != lift:
        raise UsageError("expected the entry that takes its place, or --lift")
    digest, name = _entry(entry)
    if by is None:
        _decide("lift", digest, name)
        return
    other, others_name = _entry(by)
    if digest == other:
        raise UsageError(f"expected two entries, got {name} twice")
    _decide("supersede", digest, name, by=other, reason=others_name)


def freeze(
    data: Annotated[str, typer.Option(help="The data set whose boards are frozen.")], lift: _Lift = False
) -> None:
    """Freeze a data set's boards: runs from now on are shown, never ranked, and not published."""
    from harness.errors import DataError

    there = {record.data.digest: record.data.name for record in _records()}
    found = [digest for digest, name in there.items() if data in (name, digest)]
    if not found:
        raise DataError(f"no records of {data}: there are records of {', '.join(sorted(there.values())) or 'none'}")
    for digest in found:
        _decide("lift" if lift else "freeze", digest, there[digest])


def _decide(kind: str, of: str, name: str, *, by: str | None = None, reason: str = "") -> None:
    import msgspec

    from harness import records
    from harness.decisions import Decision
    from harness.judge.clock import utc_now
    from harness.paths import project_root

    made = msgspec.convert(
        {"kind": kind, "at_utc": utc_now(), "of": of, "name": name, "by": by, "reason": reason}, Decision
    )
    root = project_root()
    path = records.decide(root / BOARDS, made)
    note(f"{kind}: {name} ({of[:12]}); {path.relative_to(root)}; `harness leaderboard --write` makes the boards anew")


def _entry(text: str) -> tuple[str, str]:
    """(digest, name) of an entry of this checkout's records. Raises DataError where it is none or several."""
    from harness.errors import DataError
    from harness.report.clean import clean

    there = {record.submission.digest: clean(record.submission.name) for record in _records() if record.result}
    found = [digest for digest, name in there.items() if text == name or (len(text) >= 4 and digest.startswith(text))]
    if len(found) == 1:
        return found[0], there[found[0]]
    if not found:
        raise DataError(f"no entry {text}: there are {', '.join(sorted(set(there.values()))) or 'none'}")
    raise DataError(f"expected one entry, got {len(found)} of the name {text}: {', '.join(d[:12] for d in found)}")


def _records() -> "tuple[Record, ...]":
    from harness import records
    from harness.paths import project_root

    root = project_root()
    found: list[Record] = []
    for folder in (PUBLISHED, LOCAL):
        read, problems = records.read_all(root / folder)
        found += read
        for problem in problems:
            note(f"harness: skipped: {problem}")
    return tuple(found)
