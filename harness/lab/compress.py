"""`harness compress`: blocks or channels out of a trained network, a step at a time, until a budget is met.

Read from `compress`, which is the whole of it. A generator that prints nothing: it yields a Tried for each network that
is looked at and a Step for each that is kept. Each step's network is a package of its own in the run's folder, and
steps.json there lists the whole ones, so that a killed compression goes on as `train` does.
"""

import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from torch import Tensor

from harness import scratch
from harness.atomic import machine, replace
from harness.data.store import Store
from harness.data.weights import read_info
from harness.errors import DataError, UsageError
from harness.lab.checkpoint import checkpoint_path
from harness.lab.counts import counts
from harness.lab.fitted import as_stored, validation_f1, with_weights
from harness.lab.narrowing import channels, fewest, narrowed
from harness.lab.recipe import Recipe
from harness.lab.removal import Rows, channels_in, obstacle, rows_without, without
from harness.lab.steps import LOG, Choice, Log, Order, Step, Tried, read_log, write_log
from harness.lab.tabled import Tabled, digest, reread, write_package
from harness.nets.build import network
from harness.nets.preprocess import batch
from harness.nets.table import InvertedResidual, adds_input
from harness.record import Result

FINE_TUNING = 0.2  # of the recipe's peak of the learning rate; the whole of it unlearns what was kept
_PICTURES = 32  # training crops that a linear map is fitted to
_SEED = 0  # of their choice
_LARGEST_SHARE = 0.95  # of the MACs that a step to a time keeps: a measured share of .999 would lead nowhere

Judge = Callable[[Path], Result]  # a package's folder to what the judge finds on validation crops
Fit = Callable[[Path, Recipe], None]  # trains a package's network by a recipe


class Bench(NamedTuple):
    """What a compression works with."""

    store: Store
    recipe: Recipe  # the package's
    judge: Judge
    fit: Fit
    name: str  # of the new package
    folder: Path  # of the run


def compress(its: Tabled, order: Order, bench: Bench) -> Generator[Tried | Step, None, None]:
    """Takes out of `its` network until it is as the order says; the steps that are done already come first.

    Raises UsageError where the budget cannot be met or the folder is of another order, and what judging raises.
    """
    with machine(bench.folder):
        bench.folder.mkdir(parents=True, exist_ok=True)
    log = read_log(bench.folder, order)
    if not log.steps:
        forget(bench.folder)
        write_log(bench.folder, log)  # before a step is there, else another order could take it for its own
    yield from log.steps
    while not log.steps or not met(order, log.steps):
        number = len(log.steps)
        folder = bench.folder / str(number)
        if not folder.is_dir():
            if not number:
                choice, cut = Choice("-"), its
            else:
                now = reread(bench.folder / str(number - 1), its, order.data)
                choice, cut = yield from _cut(now, log, bench)
            _place(folder, cut, choice, bench)
        if number:
            _fine_tune(folder, order, bench)
        log = Log(order, (*log.steps, _measured(number, folder, its, bench)))
        write_log(bench.folder, log)
        yield log.steps[-1]


def forget(folder: Path) -> None:
    """Removes a compression's log, then its steps, which without a log are nobody's."""
    with machine(folder):
        (folder / LOG).unlink(missing_ok=True)
        for old in folder.iterdir():
            if old.name.removesuffix(".json").isdigit():
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()


def met(order: Order, steps: tuple[Step, ...]) -> bool:
    """Whether the last step is within the budget."""
    first, last = steps[0], steps[-1]
    few = order.macs is None or last.macs <= order.macs
    return few and (order.time is None or last.time_ratio.value <= order.time * first.time_ratio.value)


def ordered(its: Tabled, order: Order) -> Order:
    """The order with the network's digest. Raises UsageError where its MACs are there already or cannot be reached."""
    if order.macs is not None:
        now, least = counts(its.net, its.size).macs, least_macs(its, order)
        if not least <= order.macs < now:
            raise UsageError(
                f"--macs: expected {least:,} to {now - 1:,} multiply-adds ({least / now:.1%} to 99.9% of "
                f"{its.manifest.name}'s {now:,}) by {order.by}, got {order.macs:,}"
            )
    return msgspec.structs.replace(order, digest=digest(its))


def least_macs(its: Tabled, order: Order) -> int:
    """Multiply-adds without all that can be taken out."""
    classes, rows = len(its.info.classes), its.rows
    if order.by == "channels":
        return counts(network(fewest(rows), classes), its.size).macs
    while removable := [number for number in range(len(rows)) if obstacle(rows, number) is None]:
        rows = rows_without(rows, removable[-1])
    return counts(network(rows, classes), its.size).macs


# One step


def _cut(now: Tabled, log: Log, bench: Bench) -> Generator[Tried, None, tuple[Choice, Tabled]]:
    """The network of the next step, before it is fine-tuned. Raises UsageError where nothing is left to take out."""
    if log.order.by == "blocks":
        return (yield from _block_out(now, log, bench))
    least = least_macs(now, log.order)
    if log.steps[-1].macs <= least:
        raise _nothing_left(log, bench)
    net, rows = narrowed(now.net, now.rows, now.size, max(least, _target(log.order, log.steps)))
    before, after = channels(now.rows), channels(rows)
    return Choice(f"{before - after} of {before} channels"), now._replace(net=net, rows=rows)


def _block_out(now: Tabled, log: Log, bench: Bench) -> Generator[Tried, None, tuple[Choice, Tabled]]:
    """The network without the block of the least loss for what it saves."""
    f1 = validation_f1(now.net, bench.store, now.size)
    pictures = _pictures(bench.store, now.size)
    cuts: dict[int, Tabled] = {}
    tried: list[Tried] = []
    for number in range(len(now.rows)):
        if obstacle(now.rows, number) is None:
            net = without(now.net, now.rows, number, pictures)
            cuts[number] = now._replace(rows=rows_without(now.rows, number), net=net)
            tried.append(_tried(number, now.rows, cuts[number], log.order, bench))
            yield tried[-1]
    best = cheapest(tried, f1, log.steps[-1])
    if best is None:
        raise _nothing_left(log, bench)
    return Choice(best.block, tuple(tried)), cuts[best.row]


def cheapest(tried: Sequence[Tried], f1: float, last: Step) -> Tried | None:
    """The least loss of F1 for the share of time, or of multiply-adds, that it saves; None where nothing saves any.

    What loses nothing comes first, the most saved of it.
    """

    def saved(one: Tried) -> float:
        if one.time_ratio is None:
            return 1 - one.macs / last.macs
        return 1 - one.time_ratio / last.time_ratio.value

    saving = [one for one in tried if saved(one) > 0]
    return min(saving, key=lambda one: (max(f1 - one.f1, 0) / saved(one), -saved(one)), default=None)


def _tried(number: int, rows: Rows, cut: Tabled, order: Order, bench: Bench) -> Tried:
    ratio = None
    if order.cost == "time":
        with scratch.lent("without") as folder:
            write_package(folder, bench.name, cut, order.data, "a try")
            ratio = bench.judge(folder).time_ratio.value
    f1 = validation_f1(with_weights(cut.net, as_stored(cut.net.state_dict())), bench.store, cut.size)
    return Tried(number, described(rows, number), f1, counts(cut.net, cut.size).macs, ratio)


def _target(order: Order, steps: tuple[Step, ...]) -> int:
    """Multiply-adds of the next step: the way that is left, shared evenly by the steps that are left."""
    first, last = steps[0], steps[-1]
    shares = [order.macs / last.macs] if order.macs is not None and last.macs > order.macs else []
    if order.time is not None and last.time_ratio.value > (goal := order.time * first.time_ratio.value):
        shares.append(min(goal / last.time_ratio.value, _LARGEST_SHARE))
    return int(last.macs * min(shares) ** (1 / max(1, order.steps - len(steps) + 1)))


def _pictures(store: Store, size: int) -> Tensor:
    crops = store.crops("train")
    chosen = np.random.default_rng(_SEED).permutation(len(crops))[:_PICTURES].tolist()
    return batch([crops[number] for number in chosen], size, "cpu")


def _place(folder: Path, cut: Tabled, choice: Choice, bench: Bench) -> None:
    """Writes a step's package: it is there whole, with its choice beside it, or not at all."""
    its, partial = counts(cut.net, cut.size), bench.folder / ".partial"
    comment = (
        f"{its.parameters:,} parameters with {len(cut.info.classes)} classes, {its.macs / 1e6:.1f} M MACs at "
        f"3x{cut.size}x{cut.size} (convolutions and linear)."
    )
    with machine(bench.folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write_package(partial, bench.name, cut, bench.store.manifest.name, comment)
        replace(folder.with_suffix(".json"), msgspec.json.encode(choice))
        partial.replace(folder)


def _fine_tune(folder: Path, order: Order, bench: Bench) -> None:
    """Trains a step's network, unless that is done."""
    info = folder / "weights" / f"{order.data}.json"
    begun = info.is_file() and bool(read_info(info).log)  # `_place` writes an empty one
    if order.epochs and not (begun and not checkpoint_path(folder, order.data).exists()):
        bench.fit(folder, fine_tuning(bench.recipe, order))


def fine_tuning(recipe: Recipe, order: Order) -> Recipe:
    """The recipe of a step. Nothing is frozen: without a block the parts behind it have other names."""
    return msgspec.structs.replace(
        recipe, epochs=order.epochs, max_lr=recipe.max_lr * FINE_TUNING, start_from=order.data, frozen=()
    )


def _measured(number: int, folder: Path, its: Tabled, bench: Bench) -> Step:
    net = reread(folder, its, bench.store.manifest.name).net
    path = folder.with_suffix(".json")
    try:
        choice = msgspec.json.decode(path.read_bytes(), type=Choice)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path}: expected what was taken out, got {error}; --fresh starts over") from error
    result = bench.judge(folder)
    f1 = validation_f1(net, bench.store, its.size)
    return Step(number, choice, *counts(net, its.size), f1, result.time_ratio, result.score.value)


def described(rows: Rows, number: int) -> str:
    """A row in a few words, like "2 residual 16->16"."""
    row, into = rows[number], channels_in(rows)[number]
    kind = type(row).__name__.lower()
    if isinstance(row, InvertedResidual):
        kind = "residual" if adds_input(row, into) else "inverted"
    return f"{number} {kind} {into}->{getattr(row, 'out', into)}"


def _nothing_left(log: Log, bench: Bench) -> UsageError:
    first, last = log.steps[0], log.steps[-1]
    return UsageError(
        f"expected a budget that can be met, got one below {last.macs / first.macs:.1%} of the multiply-adds and "
        f"{last.time_ratio.value / first.time_ratio.value:.1%} of the time, where nothing is left that saves more; the "
        f"steps are in {bench.folder}"
    )
