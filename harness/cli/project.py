"""What several commands need of a project: its rules, its data sets, progress on stderr."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError, UsageError
from harness.paths import RULES, resolve
from harness.report.clean import clean
from harness.rules import Rules, parse

if TYPE_CHECKING:
    from harness.report.board import Board

BOARDS = Path("leaderboard")
LOCAL = BOARDS / "local"
PUBLISHED = BOARDS / "records"
PROFILES = BOARDS / "profiles"  # by `harness profile --publish`
DUELS = LOCAL / "duels"
CHECKUPS = LOCAL / "checkups"  # this machine's, by `harness doctor`


def read_rules(root: Path) -> Rules:
    """The project's rules file. Raises DataError."""
    try:
        text = (root / RULES).read_bytes()
    except OSError as error:
        raise DataError(f"{root / RULES}: expected the rules file, got {error.strerror}") from error
    return parse(text, str(RULES))


def data_folder(root: Path, name: str | None) -> Path:
    """The data set of that name, or the only one that is prepared. Raises UsageError where that is not one."""
    if name is not None:
        return resolve(root, name, "data")
    there = sorted(path.parent for path in (root / "data").glob("[!.]*/manifest.json"))
    if len(there) == 1:
        return there[0]
    if not there:
        raise UsageError("no data set is prepared; `harness prepare folder DIR --name NAME` makes one")
    raise UsageError(f"--data: expected one of {', '.join(path.name for path in there)}, got none")


def new_data_folder(root: Path, name: str) -> Path:
    """Where a data set of this name is made. Raises UsageError on a name that leads elsewhere."""
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"--name: expected a plain name, got {name!r}")
    return root / "data" / name


def profiled(root: Path, boards: "Iterable[Board]") -> "tuple[Board, ...]":
    """The boards with what published profiles say of their entries; a file that is none is named and skipped."""
    from harness import profiles
    from harness.report.profiled import with_profiles

    found, problems = profiles.read_all(root / PROFILES)
    for problem in problems:
        note(f"harness: skipped: {problem}")
    return with_profiles(boards, found)


def note(text: str) -> None:
    """A line for the person, not for a pipe."""
    print(clean(text, 2000), file=sys.stderr)


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for (done, of): on a terminal alone."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@contextlib.contextmanager
def watching() -> Iterator[Callable[[str, float], None]]:
    """A bar for (what, share) that draws only when it is told to: never while the judge's clock runs."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<16}"), BarColumn(), TimeElapsedColumn())
    silent = not console.is_terminal
    with Progress(*columns, console=console, transient=True, auto_refresh=False, disable=silent) as progress:
        task = progress.add_task("starting", total=1.0)

        def watch(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share, refresh=True)

        yield watch
