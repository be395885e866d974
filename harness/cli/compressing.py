"""harness compress."""

import contextlib
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import PACKAGE, DataOption, IsolationOption, open_data
from harness.cli.project import data_folder, note, read_rules

if TYPE_CHECKING:
    from harness.lab.compress import Bench
    from harness.lab.recipe import Recipe
    from harness.lab.steps import Order, Step, Tried
    from harness.lab.tabled import Tabled

RUNS = Path("runs") / "compress"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_STEPS = 4  # on the way to a budget, by channels
_EXTRA = ("torch-pruning>=1.5",)  # of --by channels
_HEAD = "step taken out            val F1 change params   MACs time ratio          score"


class By(StrEnum):
    """What is taken out."""

    blocks = "blocks"
    channels = "channels"


class Cost(StrEnum):
    """What a block's loss of F1 is set against."""

    time = "time"
    macs = "macs"


def compress(
    submission: Annotated[str, PACKAGE],
    by: Annotated[By, typer.Option(help="Whole blocks, one a step, or channels of all layers.")],
    name: Annotated[str, typer.Option(help="The new package's.")],
    data: DataOption = None,
    macs: Annotated[
        str | None, typer.Option(help="The budget: multiply-adds like 100M, or a share of what is there like 50%.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="The budget: a share of the time that is measured at the start, like 70%.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Of fine-tuning a step; 0: none.", min=0)] = 3,
    steps: Annotated[int | None, typer.Option(help=f"To the budget, by channels. Default: {_STEPS}.", min=1)] = None,
    cost: Annotated[
        Cost, typer.Option(help="A block's loss of F1 is set against its measured time, or its multiply-adds.")
    ] = Cost.time,
    passes: Annotated[int, typer.Option(help="Of each measurement of time and score.", min=2)] = 3,
    crops: Annotated[int, typer.Option(help="Validation crops that a measurement takes at most.", min=1)] = 400,
    baseline: Annotated[str | None, typer.Option(help="A package. Default: that of the rules.")] = None,
    isolation: IsolationOption = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, and replace an earlier compression of that name.")
    ] = False,
) -> None:
    """Make a trained network smaller and faster, to a budget, measured at each step: writes a new package.

    Takes a network that is a table of blocks (`harness new --from table`, or a model.py that reads a table beside
    it). Judges on validation crops, never on test crops. A compression that was stopped, by Ctrl-C or harder, goes on
    after its last whole step; its steps lie in runs/compress/NAME, each a package.
    """
    from harness import staging
    from harness.atomic import claimed
    from harness.cli.exporting import new_name, typed
    from harness.cli.rehearsing import rehearsals
    from harness.cli.training import read_recipe
    from harness.paths import project_root

    _check(by, macs, time, steps)
    root = project_root()
    rules = read_rules(root)
    package = staging.find(root, submission)
    against = staging.find(root, baseline or rules.baseline)
    recipe, path = read_recipe(package), data_folder(root, data)
    store = open_data(path)
    folder, run = package.parent / new_name(name, ""), root / RUNS / name

    from harness.lab import compress as lab  # torch takes seconds: what is wrong above is said first
    from harness.lab.export import refuse_taken
    from harness.lab.memory import keep_pages
    from harness.lab.publishing import MARK, publish
    from harness.lab.steps import Order
    from harness.lab.tabled import opened, settings_digest
    from harness.lab.train import train, whole_batches

    keep_pages()  # before torch has threads
    refuse_taken(folder, package, fresh, MARK)
    its = opened(package, store, recipe)
    if epochs:
        whole_batches(store, recipe.batch)
    asked = Order(
        package=its.manifest.name,
        digest="",
        recipe_digest=settings_digest(recipe),
        data=store.manifest.name,
        data_digest=store.manifest.digest,
        baseline=against.name,
        by=by.value,
        macs=None if macs is None else multiply_adds(macs, its),
        time=None if time is None else share(time),
        cost=cost.value,
        steps=steps or _STEPS,
        epochs=epochs,
        passes=passes,
        crops=crops,
    )
    order = lab.ordered(its, asked)

    def fit(step: Path, fine: "Recipe") -> None:
        """Its lines are notes: the table of the steps is what a pipe gets."""
        from harness.cli.training import show

        with contextlib.redirect_stdout(sys.stderr):
            show(train(step, store, fine), fine.epochs)

    with claimed(run / ".lock", f"{name}: another process compresses to it"):
        refuse_taken(folder, package, fresh, MARK)  # by a compression that has ended since
        if fresh:
            lab.forget(run)
        with rehearsals(root, rules, against, path, isolation, passes, crops) as judge:
            bench = lab.Bench(store, recipe, judge, fit, name, run)
            done = _shown(its, order, bench, _again(fresh, folder))
        refuse_taken(folder, package, fresh, MARK)  # by somebody, meanwhile
        publish(run, folder, order, done, _command(submission, order, macs, time, name))
    print(f"{name}: {its.manifest.name} compressed by {by.value}, {len(done) - 1} steps")
    print(f"  folder      {folder}")
    print(f"  steps       {run}")
    print(f"  judge it    harness evaluate {typed(root, folder)} --data {store.manifest.name}")


def _check(by: By, macs: str | None, time: str | None, steps: int | None) -> None:
    """What the command line alone tells. Raises UsageError, MachineError where an extra is not installed."""
    from harness.errors import MachineError, UsageError
    from harness.submission import unmet_of

    if macs is None and time is None:
        raise UsageError("expected a budget, --macs like 50% or 100M or --time like 70%, got none")
    if steps is not None and by is By.blocks:
        raise UsageError("--steps: expected --by channels, got blocks, which are taken out one a step")
    if time is not None:
        share(time)
    if by is By.channels and (unmet := unmet_of(_EXTRA)):
        install = " ".join(f"'{text}'" for text in _EXTRA)
        raise MachineError(
            f"compress --by channels: expected {', '.join(unmet)}; pip install {install}", kind="requires"
        )


def _again(fresh: bool, folder: Path) -> str:
    """How a stopped compression goes on."""
    if not fresh:
        return "the same command goes on"
    return f"the same command without --fresh goes on{f' once {folder} is moved away' if folder.exists() else ''}"


def _shown(its: "Tabled", order: "Order", bench: "Bench", again: str) -> "list[Step]":
    """Runs the compression and prints a line a step; the steps."""
    from harness.lab.compress import compress as compressed
    from harness.lab.steps import Tried

    done: list[Step] = []
    print(_HEAD, flush=True)
    try:
        for event in compressed(its, order, bench):
            if isinstance(event, Tried):
                note(_tried_line(event, done[-1]))
                continue
            done.append(event)
            print(step_line(event, done[0]), flush=True)
    except KeyboardInterrupt:
        note(f"stopped; {again} after the last whole step")
        raise
    return done


def step_line(step: "Step", first: "Step") -> str:
    """At most 80 columns for names of usual lengths."""
    ratio = step.time_ratio
    ends = f"({_ratio(ratio.low)}-{_ratio(ratio.high)})" if ratio.low is not None and ratio.high is not None else ""
    change = f"{step.f1 - first.f1:+.3f}" if step.number else ""
    return (
        f"{step.number:>4} {step.choice.removed:<20} {step.f1:>6.4f} {change:>6} {_short(step.parameters):>6} "
        f"{_short(step.macs):>6} {_ratio(ratio.value)} {ends:<13} {_ratio(step.score):>5}"
    ).rstrip()


def _tried_line(one: "Tried", now: "Step") -> str:
    timed = "" if one.time_ratio is None else f", time {one.time_ratio / now.time_ratio.value - 1:+.1%}"
    return f"     without {one.block}: val F1 {one.f1:.4f}, MACs {one.macs / now.macs - 1:+.1%}{timed}"


def _ratio(value: float) -> str:
    """Three digits behind the point, or three in all of what is far from 1."""
    return f"{value:.3f}" if value < 100 else f"{value:.3g}"


def _short(count: int) -> str:
    """Three or four digits of a count.

    >>> _short(255150), _short(22972416), _short(960)
    ('255.2k', '23.0M', '960')
    """
    unit = next(unit for unit in ("G", "M", "k", "") if count >= _UNITS[unit] or not unit)
    return f"{count / _UNITS[unit]:.1f}{unit}" if unit else str(count)


def multiply_adds(text: str, its: "Tabled") -> int:
    """A budget like "50%", "100M" or "22000000". Raises UsageError."""
    from harness.errors import UsageError
    from harness.lab.counts import counts

    if text.strip().endswith("%"):
        return int(share(text, "--macs") * counts(its.net, its.size).macs)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)", text.strip())
    if not found:
        raise UsageError(f"--macs: expected multiply-adds like 100M or a share like 50%, got {text!r}")
    return round(float(found[1]) * _UNITS[found[2]])


def share(text: str, option: str = "--time") -> float:
    """A share of what is there. Raises UsageError.

    >>> share("70%")
    0.7
    """
    from harness.errors import UsageError

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
    if not found or not 0 < float(found[1]) < 100:
        raise UsageError(f"{option}: expected a share above 0% and below 100%, like 70%, got {text!r}")
    return float(found[1]) / 100


def _command(submission: str, order: "Order", macs: str | None, time: str | None, name: str) -> str:
    budget = [*(["--macs", macs] if macs else []), *(["--time", time] if time else [])]
    ways = ["--steps", str(order.steps)] if order.by == "channels" else ["--cost", order.cost]
    words = ["harness compress", Path(submission).name, "--data", order.data, "--by", order.by, *budget, *ways]
    numbers = {"--epochs": order.epochs, "--passes": order.passes, "--crops": order.crops}
    words += [word for option, number in numbers.items() for word in (option, str(number))]
    return " ".join([*words, "--baseline", order.baseline, "--name", name])
