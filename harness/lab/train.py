"""`harness train`: read from top to bottom. One fit of a package's network by its recipe.

A generator: it yields a Step a batch and an Epoch an epoch and prints nothing. It may be killed at any moment: the
checkpoint of the last whole epoch, weights/<data>.checkpoint, lets the same call go on as if nothing had happened.
weights/<data>.safetensors holds the best weights so far, after each epoch that made better ones and at the end.
"""

from collections.abc import Generator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

from harness.data.store import Store
from harness.errors import DataError
from harness.lab.augment import Key, TrainingPictures
from harness.lab.checkpoint import checkpoint_path, epochs_in, epochs_since_best, read_checkpoint, write_checkpoint
from harness.lab.distributed import gathered, mean, parallel
from harness.lab.fitted import Log, as_stored, load_start, store_weights, validation_f1, with_weights
from harness.lab.frozen import freeze
from harness.lab.networks import trainable
from harness.lab.pixels import collated, ready
from harness.lab.randomness import restore, seed_all, states
from harness.lab.ranks import ALONE, Ranks
from harness.lab.recipe import Recipe
from harness.lab.run import Run, versions_here
from harness.lab.sampling import batches
from harness.metrics import Ints


class Step(NamedTuple):
    """A batch is done."""

    epoch: int  # from 0
    step: int  # in the epoch, from 1
    steps: int
    images_per_s: float


class Epoch(NamedTuple):
    """An epoch is done. `val_f1` is that of the weights as they would be stored."""

    epoch: int  # from 1
    loss: float
    val_f1: float
    best: bool
    images_per_s: float


class Stopped(NamedTuple):
    """A training that may go on."""

    epochs: int  # done
    run: str  # the name of its run's folder, empty where it has none


class Parts(NamedTuple):
    """What a training changes."""

    net: nn.Module
    optimiser: Optimizer
    schedule: OneCycleLR
    scaler: torch.amp.GradScaler

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._asdict().items()}

    def load(self, state: Mapping[str, Any]) -> None:
        for name, part in self._asdict().items():
            part.load_state_dict(state[name])


def train(
    package: Path, store: Store, recipe: Recipe, fresh: bool = False, *, run: Run | None = None, ranks: Ranks = ALONE
) -> Generator[Step | Epoch, None, None]:
    """Fits the package's network to the training split, keeps the weights best on validation, writes them.

    Goes on after the last epoch of a stopped fit, unless `fresh`. `run` keeps what there is to know of it. `ranks`:
    this process among those that train together, which have been `joined`. Raises SubmissionError for what is wrong
    with the package or where the stopped fit is of another recipe, data or network; DataError for unfit data;
    MachineError where something cannot be written.
    """
    # Data
    device = "cuda" if torch.cuda.is_available() else "cpu"
    labels, crops = store.training_labels("train").labels, store.crops("train")
    steps, ours = whole_batches(store, recipe.batch), ranks.part(recipe.batch)
    pictures = TrainingPictures(crops, labels, recipe, keep=device == "cpu")

    # Network, loss, optimiser
    seed_all(recipe.seed)
    net = trainable(package, len(store.manifest.classes), recipe.size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    still = freeze(net, recipe.frozen, package.name)
    shift = logit_shift(labels, len(store.manifest.classes), recipe).to(device)
    parts = parts_of(net, recipe, steps)

    # Where a stopped fit goes on
    checkpoint = checkpoint_path(package, store.manifest.name)
    if fresh and ranks.writes:
        checkpoint.unlink(missing_ok=True)  # a kill before the next one must not bring the old training back
    identity = _identity(recipe, store, net)
    log, best = _begin(parts, package, store, recipe, None if fresh else read_checkpoint(checkpoint, identity), ranks)
    if run is not None:
        run.begin(recipe, versions_here(store, str((log or [{}])[0].get("start_sha256", "")), ranks.world), log)
    together = parallel(net, ranks)

    # Epochs
    for epoch in range(epochs_in(log), recipe.epochs):
        if recipe.patience and epochs_since_best(log) >= recipe.patience:
            break
        net.train()
        for part in still:
            part.eval()
        begin, keys = perf_counter(), [batch[ours] for batch in batches(labels, recipe, epoch, steps)]
        total = yield from _steps(parts, together, pictures, keys, shift, recipe)
        speed = steps * recipe.batch / (perf_counter() - begin)
        # Validation, of the weights as they would be stored; the first process decides for all
        stored = as_stored(net.state_dict())
        f1 = gathered(validation_f1(with_weights(net, stored), store, recipe.size) if ranks.writes else 0.0, ranks)[0]
        is_best = f1 > max((float(entry["val_f1"]) for entry in log), default=-1.0)
        best = stored if is_best else best
        log.append({"epoch": epoch + 1, "loss": mean(total, ranks) / steps, "val_f1": f1})
        random = gathered(states(device), ranks)
        if ranks.writes:
            if run is not None:
                speeds = {"images_per_s": speed, "seconds": perf_counter() - begin}
                entry = {**log[-1], "lr": float(parts.schedule.get_last_lr()[0]), **speeds}
                run.epoch(entry, net.state_dict(), best if is_best else None)
            about = {"identity": identity, "log": log, "best": best, "random": random, "run": run and run.folder.name}
            write_checkpoint(checkpoint, {**parts.state(), **about})
            if is_best:
                store_weights(package, store, recipe, best, log)
        yield Epoch(epoch + 1, float(log[-1]["loss"]), f1, is_best, speed)

    # Result
    if ranks.writes:
        store_weights(package, store, recipe, best, log)
        checkpoint.unlink(missing_ok=True)


def parts_of(net: nn.Module, recipe: Recipe, steps: int) -> Parts:
    """The recipe's optimiser, schedule and gradient scaler for a network; `steps` an epoch."""
    device, optimiser, total = next(net.parameters()).device.type, optimiser_of(net, recipe), recipe.epochs * steps
    least, most = momenta(recipe.momentum)
    schedule = OneCycleLR(
        optimiser,
        recipe.max_lr,
        total_steps=total,
        pct_start=warm_up(recipe.pct_start, total),
        anneal_strategy="cos",
        cycle_momentum=recipe.optimiser == "sgd",
        base_momentum=least,
        max_momentum=most,
    )
    return Parts(net, optimiser, schedule, torch.amp.GradScaler(device, enabled=_half(device, recipe)))


def _begin(
    parts: Parts, package: Path, store: Store, recipe: Recipe, state: Mapping[str, Any] | None, ranks: Ranks
) -> tuple[Log, dict[str, Tensor]]:
    """Loads a stopped fit's state, or the weights to start from; the log so far and its best weights."""
    if ranks.rank:
        seed_all(recipe.seed + ranks.rank)  # each process drops out other units
    if state is not None:
        parts.load(state)
        if ranks.rank < len(state["random"]):
            restore(state["random"][ranks.rank])
        return state["log"], state["best"]
    return load_start(parts.net, package, store, recipe) if recipe.start_from else ([], {})


def _steps(
    parts: Parts, together: nn.Module, pictures: TrainingPictures, keys: list[list[Key]], shift: Tensor, recipe: Recipe
) -> Generator[Step, None, Tensor]:
    """An epoch's steps; the sum of their losses, of shape (). `keys`: of this process's pictures, a list a batch."""
    device = shift.device.type
    half, workers = _half(device, recipe), 4 if device == "cuda" else 0  # on a CPU the network takes all cores
    begin, total = perf_counter(), torch.zeros((), device=device)
    loader = DataLoader(pictures, batch_sampler=keys, num_workers=workers, collate_fn=collated)
    for step, (pixels, answers) in enumerate(loader, start=1):  # uint8 (batch, 3, size, size), int64 (batch,)
        with torch.autocast(device, torch.float16, enabled=half):
            logits = together(ready(pixels, device))  # (batch, classes)
            loss = functional.cross_entropy(logits + shift, answers.to(device), label_smoothing=recipe.label_smoothing)
        parts.optimiser.zero_grad()
        parts.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        parts.scaler.step(parts.optimiser)
        parts.scaler.update()
        parts.schedule.step()
        total += loss.detach()  # stays on the device: reading it would wait for it
        yield Step(keys[0][0].epoch, step, len(keys), step * recipe.batch / (perf_counter() - begin))
    return total


def _half(device: str, recipe: Recipe) -> bool:
    return device == "cuda" and recipe.precision == "float16"


def stopped(package: Path, store: Store, recipe: Recipe) -> Stopped:
    """What a checkpoint holds of this fit, 0 epochs where there is none. Raises SubmissionError as `train` does."""
    net = trainable(package, len(store.manifest.classes), recipe.size)
    state = read_checkpoint(checkpoint_path(package, store.manifest.name), _identity(recipe, store, net))
    return Stopped(epochs_in(state["log"]), state["run"] or "") if state else Stopped(0, "")


def whole_batches(store: Store, batch: int) -> int:
    """Steps an epoch; the last, smaller batch is left out. Raises DataError where there is none, or no validation."""
    train_crops, val_crops = store.manifest.crops["train"], store.manifest.crops["val"]
    if train_crops < batch or not val_crops:
        raise DataError(
            f"{store.manifest.name}: expected {batch} crops or more to train on and some for validation, "
            f"got {train_crops} and {val_crops}"
        )
    return train_crops // batch


def optimiser_of(net: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's, over all parameters that are not frozen."""
    learnt = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if recipe.optimiser == "adamw":
        return AdamW(learnt, recipe.max_lr, weight_decay=recipe.weight_decay)
    return SGD(learnt, recipe.max_lr, recipe.momentum, weight_decay=recipe.weight_decay)


def warm_up(share: float, steps: int) -> float:
    """The share of `steps` until the peak of OneCycleLR: two steps at least, for torch divides by one less.

    >>> warm_up(0.05, 1000), warm_up(0.05, 20), warm_up(0.05, 2), warm_up(0.5, 2)
    (0.05, 0.1, 0.05, 0.25)
    """
    return max(share, 2 / steps) if steps > 2 else min(share, 0.25)


def momenta(mean: float) -> tuple[float, float]:
    """Between which OneCycleLR moves SGD's momentum, against the learning rate: .05 about the recipe's, less near 0, 1.

    >>> momenta(0.9), momenta(0.99), momenta(0.0)
    ((0.85, 0.95), (0.985, 0.995), (0.0, 0.0))
    """
    swing = min(0.05, mean / 2, (1 - mean) / 2)
    return round(mean - swing, 12), round(mean + swing, 12)


def logit_shift(labels: Ints, classes: int, recipe: Recipe) -> Tensor:
    """What is added to the logits in training, (classes,): tau * log prior, arXiv:2007.07314; zeros without it."""
    if recipe.loss != "logit_adjusted":
        return torch.zeros(classes)
    counts = torch.tensor(np.bincount(labels, minlength=classes), dtype=torch.float32)
    return recipe.tau * (counts / counts.sum()).clamp(min=1e-6).log()


def _identity(recipe: Recipe, store: Store, net: nn.Module) -> dict[str, Any]:
    """What must be equal for a fit to go on from a checkpoint.

    The crops by number too: the digest of a rendered set does not cover those to train on.
    """
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    return {
        "recipe": msgspec.to_builtins(recipe),
        "data": store.manifest.digest,
        "crops": len(store.crops("train")),
        "network": f"{net} {shapes}",
    }
