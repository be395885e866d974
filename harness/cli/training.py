"""harness train."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import counting, data_folder, note

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.lab.recipe import Recipe
    from harness.lab.train import Epoch, Step


def train(
    submission: Annotated[str, typer.Argument(help="A package with a network and a recipe: its folder, or its name.")],
    data: Annotated[str | None, typer.Option(help="A data set. Default: the only one that is prepared.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1)] = None,
    start_from: Annotated[
        str | None, typer.Option(help="Start with the package's weights for this data set, not with random ones.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; a stopped training and weights that are there are replaced.")
    ] = False,
) -> None:
    """Train a package's network on a data set: writes weights/DATA.safetensors and its log beside it.

    A training that was stopped, by Ctrl-C or harder, goes on after its last whole epoch. The bundled networks need
    5 to 9 GB of memory.
    """
    import msgspec

    from harness import staging
    from harness.data.store import open_store
    from harness.data.synthetic import KIND, add_training_scenes
    from harness.paths import project_root

    root = project_root()
    package = staging.find(root, submission)
    recipe = read_recipe(package)
    if epochs is not None:
        recipe = msgspec.structs.replace(recipe, epochs=epochs)
    if start_from is not None:
        recipe = msgspec.structs.replace(recipe, start_from=start_from)
    folder = data_folder(root, data)
    store = open_store(folder)
    if store.manifest.source == KIND and not len(store.crops("train")):
        note("rendering the training scenes, once")
        with counting("scenes") as progress:
            add_training_scenes(folder, progress)
        store = open_store(folder)

    from harness.lab.memory import LIKELY_GB, available_gb, keep_pages

    if (free := available_gb()) is not None and free < LIKELY_GB:
        note(f"{free:.1f} GB of memory are available; the bundled networks need 5 to 9: close other programs")
    keep_pages()  # before torch has threads
    from harness.lab import train as lab  # torch takes seconds: what is wrong above is said first

    name = store.manifest.name
    done = 0 if fresh else lab.epochs_done(package, store, recipe)
    if not (fresh or done or recipe.start_from == name):  # weights that go on from themselves are never worse
        refuse_finished(package, name)
    if done:
        note(f"going on after epoch {done} of {recipe.epochs}")
    try:
        show(lab.train(package, store, recipe, fresh), recipe.epochs)
    except KeyboardInterrupt:
        note("stopped; the same command goes on after the last whole epoch")
        raise
    best, epoch = best_epoch(package, name)
    print(f"{package.name} on {name}: validation macro F1 {best:.4f}, the best, after epoch {epoch}")
    print(f"  weights     {package / 'weights' / name}.safetensors")
    print(f"  judge it    harness evaluate {submission} --data {name}")


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


def show(events: "Generator[Step | Epoch, None, None]", epochs: int) -> None:
    """Draws a bar on a terminal and prints a line an epoch."""
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
        task = progress.add_task("starting", total=None, speed=0.0)
        for event in events:
            if isinstance(event, Step):
                done, of = event.epoch * event.steps + event.step, epochs * event.steps
                name = f"epoch {event.epoch + 1}/{epochs}"
                progress.update(task, description=name, completed=done, total=of, speed=event.images_per_s)
                continue
            print(
                f"epoch {event.epoch}/{epochs}  loss {event.loss:.3f}  val F1 {event.val_f1:.4f}"
                f"{' *' if event.best else '  '}  {event.images_per_s:.1f} images/s",
                flush=True,
            )
