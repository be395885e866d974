"""harness train."""

import contextlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli.project import counting, data_folder, note

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.data.store import Store
    from harness.lab.ranks import Ranks
    from harness.lab.recipe import Recipe
    from harness.lab.tracking import TrackerName
    from harness.lab.train import Epoch, Step


_LET_SPEAK_S = 30.0  # importing torch may take one process so much longer than another


class Track(StrEnum):
    """Where a training's curves go beside its run's folder."""

    tensorboard = "tensorboard"
    wandb = "wandb"


def train(
    submission: Annotated[str, typer.Argument(help="A package with a network and a recipe: its folder, or its name.")],
    data: Annotated[str | None, typer.Option(help="A data set. Default: the only one that is prepared.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1)] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            help="Start with the package's weights for this data set, or with a FILE.safetensors of its network, whose "
            "classes may be others; not with random ones."
        ),
    ] = None,
    track: Annotated[
        Track | None, typer.Option(help="Curves for TensorBoard or W&B too; W&B without a key needs no network.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; a stopped training and weights that are there are replaced.")
    ] = False,
) -> None:
    """Train a package's network on a data set: writes weights/DATA.safetensors and its log beside it.

    What it did is kept in runs/PACKAGE/DATA/: settings, log, curves, weights. docs/training.md says all of it.

    A training that was stopped, by Ctrl-C or harder, goes on after its last whole epoch, in the same folder.

    Several GPUs: torchrun --nproc-per-node N -m harness train SUBMISSION. Memory: 5 to 9 GB for the bundled networks.
    """
    from harness import staging
    from harness.lab.ranks import of_environment
    from harness.lab.tracking import check_tracker
    from harness.paths import project_root

    root, ranks = project_root(), of_environment(os.environ)
    with one_voice(ranks):
        package = staging.find(root, submission)
        recipe = changed(read_recipe(package), package, epochs, start_from)
        ranks.part(recipe.batch)
        tracker: TrackerName | None = None if track is None else track.value
        if tracker is not None:
            check_tracker(tracker)
        store = with_training_crops(data_folder(root, data), ranks)
        fit(root, package, store, recipe, Way(fresh, tracker, ranks))
        print(f"  judge it    harness evaluate {submission} --data {store.manifest.name}")


class Way(NamedTuple):
    """How a training is run, whatever it trains."""

    fresh: bool
    track: "TrackerName | None"
    ranks: "Ranks"


def fit(root: Path, package: Path, store: "Store", recipe: "Recipe", way: Way) -> None:
    """Trains, or goes on, and says what came of it and where it lies. Raises MachineError where another one does."""
    from harness.atomic import claimed
    from harness.lab.memory import LIKELY_GB, available_gb, keep_pages

    if (free := available_gb()) is not None and free < LIKELY_GB:
        note(f"{free:.1f} GB of memory are available; the bundled networks need 5 to 9: close other programs")
    keep_pages()  # before torch has threads
    name, runs = store.manifest.name, root / "runs" / package.name / store.manifest.name
    lock, said = package / "weights" / f".{name}.lock", f"{package.name} on {name}: another process trains it"
    with claimed(lock, said) if way.ranks.writes else contextlib.nullcontext():
        folder = _fitted(package, store, recipe, way, runs)
    best, epoch = best_epoch(package, name)
    print(f"{package.name} on {name}: validation macro F1 {best:.4f}, the best, after epoch {epoch}")
    print(f"  weights     {package / 'weights' / name}.safetensors")
    print(f"  run         {folder}")
    if offline := sorted((folder / "wandb").glob("offline-run-*")):
        print(f"  W&B         offline; to send it: wandb sync {offline[-1]}")


def _fitted(package: Path, store: "Store", recipe: "Recipe", way: Way, runs: Path) -> Path:
    """Trains, or goes on, a line an epoch; the run's folder, a new one of `runs` or the stopped one's."""
    from harness.lab import train as lab  # torch takes seconds: what is wrong above is said first
    from harness.lab.distributed import joined
    from harness.lab.run import Run, new_folder

    before = lab.Stopped(0, "") if way.fresh else lab.stopped(package, store, recipe)
    if not (way.fresh or before.epochs or recipe.start_from == store.manifest.name):  # from itself: never worse
        refuse_finished(package, store.manifest.name)
    if before.epochs:
        note(f"going on after epoch {before.epochs} of {recipe.epochs}")
    run = Run(runs / before.run if before.run else new_folder(runs), way.track)
    try:
        with joined(way.ranks), contextlib.closing(run):
            events = lab.train(
                package, store, recipe, way.fresh, run=run if way.ranks.writes else None, ranks=way.ranks
            )
            last = show(events, recipe.epochs)
    except KeyboardInterrupt:
        how = "the same command without --fresh" if way.fresh else "the same command"
        note(f"stopped; {how} goes on after the last whole epoch")
        raise
    if last < recipe.epochs:
        print(f"stopped early: no better validation macro F1 for {recipe.patience} epochs")
    return run.folder


@contextlib.contextmanager
def one_voice(ranks: "Ranks") -> "Iterator[None]":
    """Of the processes of torchrun the first one speaks; another says in one line what went wrong in it alone."""
    from harness.errors import HarnessError, MachineError

    if ranks.world == 1:
        yield
        return
    with contextlib.ExitStack() as silent, open(os.devnull, "w") as nowhere:
        if not ranks.writes:
            silent.enter_context(contextlib.redirect_stdout(nowhere))
            silent.enter_context(contextlib.redirect_stderr(nowhere))
        try:
            yield
        except (HarnessError, KeyboardInterrupt) as error:
            if ranks.writes:
                raise
            code = error.exit_code if isinstance(error, HarnessError) else 130
            if code != 130:  # torchrun ends all as soon as one has failed: the first one is to speak before
                with contextlib.suppress(KeyboardInterrupt):
                    Event().wait(_LET_SPEAK_S)
            raise typer.Exit(code) from error
        except RuntimeError as error:  # another process has ended, as a rule
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise MachineError(f"process {ranks.rank} of {ranks.world}: {said[0]}") from error


def changed(recipe: "Recipe", package: Path, epochs: int | None, start_from: str | None) -> "Recipe":
    """The recipe with what the command line says otherwise. A path there is one from the current folder."""
    import msgspec

    if epochs is not None:
        recipe = msgspec.structs.replace(recipe, epochs=epochs)
    if start_from is not None:
        if start_from.endswith(".safetensors"):
            path = Path(start_from).resolve()
            start_from = str(path.relative_to(package) if path.is_relative_to(package) else path)
        recipe = msgspec.structs.replace(recipe, start_from=start_from)
    return recipe


def with_training_crops(folder: Path, ranks: "Ranks") -> "Store":
    """The data set, with its training scenes rendered where it is the embedded one without them. Raises DataError."""
    from harness.data.store import open_store
    from harness.data.synthetic import KIND, add_training_scenes
    from harness.errors import DataError

    store = open_store(folder)
    if store.manifest.source == KIND and not len(store.crops("train")):
        if ranks.world > 1:  # they would all render
            raise DataError(f"{store.manifest.name}: expected training scenes, got none; harness prepare synthetic")
        note("rendering the training scenes, once")
        with counting("scenes") as progress:
            add_training_scenes(folder, progress)
        store = open_store(folder)
    return store


def read_recipe(package: Path) -> "Recipe":
    """The recipe that submission.toml names. Raises SubmissionError where there is none."""
    from harness import staging
    from harness.errors import SubmissionError
    from harness.lab.recipe import parse

    manifest = staging.read_manifest(package)
    if manifest.recipe is None:
        how = f"; it has its own: python {package}/fit.py" if (package / "fit.py").exists() else ""
        raise SubmissionError(
            f'{manifest.name}: expected a recipe to train by, like recipe = "recipe.yaml" in submission.toml, '
            f"got none{how}",
            kind="recipe",
        )
    path = package / manifest.recipe
    if path.resolve().parent != package.resolve():
        raise SubmissionError(
            f"{manifest.name}: recipe: expected a file in the package, got {manifest.recipe}", kind="recipe"
        )
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{manifest.name}/{manifest.recipe}: {error.strerror}", kind="recipe") from error
    return parse(text, f"{manifest.name}/{manifest.recipe}")


def refuse_finished(package: Path, data: str) -> None:
    """Hours of training are not replaced by a slip. Raises UsageError."""
    from harness.errors import UsageError

    if (package / "weights" / f"{data}.safetensors").exists():
        raise UsageError(f"{package.name} has weights for {data} already; --fresh trains again and replaces them")


def best_epoch(package: Path, data: str) -> tuple[float, int]:
    """(validation macro F1, epoch from 1) of the stored weights, by their log."""
    from harness.data.weights import read_info

    log = read_info(package / "weights" / f"{data}.json").log
    best = max(log, key=lambda entry: float(entry["val_f1"]))
    return float(best["val_f1"]), int(best["epoch"])


def show(events: "Generator[Step | Epoch, None, None]", epochs: int) -> int:
    """Draws a bar on a terminal and prints a line an epoch. The last epoch that it saw, else `epochs`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from harness.lab.train import Step

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[speed]:.0f} images/s"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with (
        contextlib.closing(events),
        Progress(
            *columns,
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # else the lines of a pipe would go to the terminal
        ) as progress,
    ):
        task, last = progress.add_task("starting", total=None, speed=0.0), epochs
        for event in events:
            if isinstance(event, Step):
                done, of = event.epoch * event.steps + event.step, epochs * event.steps
                name = f"epoch {event.epoch + 1}/{epochs}"
                progress.update(task, description=name, completed=done, total=of, speed=event.images_per_s)
                continue
            last = event.epoch
            print(
                f"epoch {event.epoch}/{epochs}  loss {event.loss:.3f}  val F1 {event.val_f1:.4f}"
                f"{' *' if event.best else '  '}  {event.images_per_s:.1f} images/s",
                flush=True,
            )
    return last
