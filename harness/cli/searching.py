"""harness search."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli.jobs import BaselineOption, DataOption, Demanded, IsolationOption, open_data
from harness.cli.project import data_folder, note, read_rules

if TYPE_CHECKING:
    from optuna import Study

    from harness.cli.rehearsing import Rehearse
    from harness.lab.search.run import Moment
    from harness.lab.search.study import Entry
    from harness.record import Result

SEARCHES = Path("searches")
_OPTUNA = ("optuna>=4.2",)


class Objective(StrEnum):
    """What is searched for."""

    front = "front"
    score = "score"


class _Of(NamedTuple):
    """A search: its package, name, folder and storage."""

    package: Path
    name: str
    folder: Path
    storage: str


class _Plan(NamedTuple):
    """What is to be searched, and how it is judged."""

    space: Path
    trials: int
    objective: Objective
    baseline: str | None
    data: Path
    crops: int
    passes: int
    isolation: Demanded | None


def search(
    submission: Annotated[str, typer.Argument(help="A package with a table of blocks and a recipe: where it starts.")],
    space: Annotated[Path | None, typer.Option(help="A YAML file of what may change; see docs/searching.md.")] = None,
    trials: Annotated[int | None, typer.Option(help="To finish, in all.", min=1)] = None,
    objective: Annotated[
        Objective,
        typer.Option(help="front: F1 up and time down; score: the competition's, and weak trials stop early."),
    ] = Objective.front,
    data: DataOption = None,
    baseline: BaselineOption = None,
    storage: Annotated[
        str | None, typer.Option(help="An SQLAlchemy URL, or journal:FILE. Default: SQLite in the search's folder.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="The search's name. Default: SUBMISSION-DATA.")] = None,
    crops: Annotated[int, typer.Option(help="Validation crops to judge on, at most.", min=1)] = 400,
    passes: Annotated[int, typer.Option(help="Of the judge, each trial.", min=2, max=40)] = 3,
    every: Annotated[bool, typer.Option("--all", help="Show all trials, not the front alone.")] = False,
    export: Annotated[int | None, typer.Option(help="Make a submission of this trial.", min=0)] = None,
    name: Annotated[str | None, typer.Option(help="Of that submission. Default: SUBMISSION_trialTRIAL.")] = None,
    isolation: IsolationOption = None,
) -> None:
    """Search better networks and recipes for a package; each is trained, and judged on validation crops.

    The same command goes on after any stop; a second one beside it shares the
    work. Without --space and --trials it shows what there is.
    """
    from harness import staging
    from harness.errors import UsageError
    from harness.paths import project_root
    from harness.submission import check_installed

    check_installed(_OPTUNA, "search")
    if (space is None) != (trials is None):
        raise UsageError("expected --space and --trials together; neither shows what there is")
    if name is not None and export is None:
        raise UsageError("--name: expected --export TRIAL beside it; --study names a search")
    root = project_root()
    package, path = staging.find(root, submission), data_folder(root, data)
    title = study or f"{package.name}-{path.name}"
    if Path(title).name != title or title.startswith(".") or not title.isprintable() or "?" in title:  # a URL's
        raise UsageError(f"--study: expected a plain name without ?, got {title!r}")
    folder = root / SEARCHES / title
    of = _Of(package, title, folder, storage or f"sqlite:///{folder / 'study.db'}")
    if space is not None and trials is not None:
        _run(root, of, _Plan(space, trials, objective, baseline, path, crops, passes, isolation))
    elif storage is None and not folder.is_dir():
        raise UsageError(f"no search {title} in {SEARCHES}/; begin it with --space FILE --trials N")
    found = _show(root, of, every)
    if export is not None:
        _export(root, of, found, export, name or f"{package.name}_trial{export}")


def _run(root: Path, of: _Of, plan: _Plan) -> None:
    """Runs trials until there are enough, a line each. What is wrong is said before anything is written."""
    from harness import staging
    from harness.cli.rehearsing import rehearsals
    from harness.cli.spaces import checked

    rules, store = read_rules(root), open_data(plan.data)
    ready = checked(of.package, plan.space, store)
    baseline = staging.find(root, plan.baseline or rules.baseline)

    from harness.lab.memory import keep_pages

    keep_pages()  # before torch has threads
    from harness.lab.networks import build
    from harness.lab.search import run as lab

    build(of.package, len(store.manifest.classes))  # a package whose network cannot be built has none to search
    at_start = f"{ready.epochs} epochs at {ready.size} pixels"
    note(f"search {of.name}: {len(ready.space.knobs)} values vary; the starting point has {at_start}")
    with (
        rehearsals(root, rules, baseline, plan.data, plan.isolation, plan.passes, plan.crops) as judge,
        _watching(plan.trials) as (watch, pause),
    ):
        judged = _patient(judge, pause)
        shared = {"--baseline": baseline.name, "--crops": str(plan.crops), "--passes": str(plan.passes)}
        study = _study(of, plan.objective, ready.identity | shared)
        order = lab.Order(
            of.folder, of.folder.parent, ready.space, ready.files, store, plan.objective.value, rules.score, plan.trials
        )
        try:
            for entry in lab.search(study, order, judged, watch):
                pause()
                print(_line(entry), flush=True)
        except KeyboardInterrupt:
            note("stopped; the same command goes on")
            raise


def _study(of: _Of, objective: Objective, identity: dict[str, str]) -> "Study":
    """The search's trials, in its folder, which stays only where they can be opened."""
    from harness.atomic import machine
    from harness.lab.search.study import open_study

    made = not of.folder.is_dir()
    with machine(of.folder):
        of.folder.mkdir(parents=True, exist_ok=True)
    try:
        return open_study(of.storage, of.folder, objective.value, identity)
    except BaseException:
        if made:
            shutil.rmtree(of.folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                of.folder.parent.rmdir()
        raise


def _patient(judge: "Rehearse", pause: Callable[[], None]) -> "Rehearse":
    """A judge that waits as long as it takes for another one: a trained trial is not lost to a long run elsewhere."""
    from harness.errors import MachineError

    def judged(package: Path) -> "Result":
        pause()  # the judge has a bar of its own, and draws it only when its clock stands
        while True:
            try:
                return judge(package)
            except MachineError as error:
                if error.kind != "busy":
                    raise

    return judged


@contextlib.contextmanager
def _watching(trials: int) -> "Iterator[tuple[Callable[[Moment], None], Callable[[], None]]]":
    """A bar for a trial's moments on a terminal, else a line a step of it; and what takes the bar away."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with contextlib.ExitStack() as shown:
        bars: list[Progress] = []
        said = [""]

        def pause() -> None:
            shown.close()
            bars.clear()

        def watch(moment: "Moment") -> None:
            text = f"trial {moment.number}, {moment.finished} of {trials} finished: {moment.what}"
            if moment.share is None or not console.is_terminal:
                if text != said[0]:
                    note(text)
                said[0] = text
                return
            if not bars:
                bars.append(shown.enter_context(Progress(*columns, console=console, transient=True)))
                bars[0].add_task(text, total=1.0)
            bars[0].update(bars[0].task_ids[0], description=text, completed=moment.share)

        yield watch, pause


def _line(entry: "Entry") -> str:
    """A trial that has just ended."""
    from harness.cli.trials import f1_text, ratio_text
    from harness.report.clean import clean

    its = entry.measured
    if its is None:
        return clean(f"trial {entry.number}: {entry.end}: {entry.why}", 300)
    f1, ratio = f1_text(its.f1), ratio_text(its.time_ratio)
    return f"trial {entry.number}: F1 {f1}, time ratio {ratio}, score {its.score.value:.4f}"


def _show(root: Path, of: _Of, every: bool) -> "list[Entry]":
    """Prints the front, or all trials, and draws the picture; the trials."""
    from harness.atomic import machine, replace
    from harness.cli.trials import found_text
    from harness.lab.search import picture
    from harness.lab.search.study import entries, load_study

    found = entries(load_study(of.storage, of.name))
    print(found_text(found, every))
    if not any(entry.measured for entry in found):
        return found
    with machine(of.folder):
        of.folder.mkdir(parents=True, exist_ok=True)
        drawn = picture.svg(found, f"{of.name}: macro F1 against time, with 95 % intervals")
        replace(of.folder / "front.svg", drawn.encode())
        replace(of.folder / "front.png", picture.png(drawn))
    print(f"  picture     {(of.folder / 'front.svg').relative_to(root)} and .png")
    return found


def _export(root: Path, of: _Of, found: "list[Entry]", number: int, name: str) -> None:
    """Makes submissions/NAME of a finished trial. Raises UsageError where there is no such trial here."""
    from harness.errors import UsageError
    from harness.lab.search.kept import export_trial
    from harness.lab.search.study import package_of
    from harness.scaffold import check_name

    check_name(root, name)
    here = [its.number for its in found if its.measured is not None and package_of(of.folder, its.number).is_dir()]
    if number not in here:
        there = ", ".join(map(str, here)) or "none yet"
        raise UsageError(f"--export {number}: expected a trial that was finished here ({there})")
    export_trial(package_of(of.folder, number), root / "submissions" / name)
    print(f"made submissions/{name} of trial {number}")
    print(f"  check it    harness check {name}")
