"""`harness train`: read from top to bottom. One fit of a package's network by its recipe.

A generator: it yields a Step a batch and an Epoch an epoch and prints nothing. It may be killed at any moment: the
checkpoint of the last whole epoch, weights/<data>.checkpoint, lets the same call go on as if nothing had happened.
weights/<data>.safetensors holds the best weights so far, after each epoch that made better ones and at the end.
"""

import copy
from collections.abc import Generator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

from harness.data.store import Store
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import DataError, SubmissionError
from harness.lab.augment import Key, TrainingPictures
from harness.lab.checkpoint import checkpoint_path, epochs_in, read_checkpoint, write_checkpoint
from harness.lab.networks import trainable
from harness.lab.recipe import Recipe
from harness.metrics import Ints, confusion_matrix, macro_f1
from harness.nets.preprocess import batch, normalised

Log = list[dict[str, int | float | str]]  # one entry an epoch, of `epoch`, `loss` and `val_f1`
_VALIDATION_BATCH = 64
_LARGEST_HALF = 65504.0  # of float16


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


def train(package: Path, store: Store, recipe: Recipe, fresh: bool = False) -> Generator[Step | Epoch, None, None]:
    """Fits the package's network to the training split, keeps the weights best on validation, writes them.

    Goes on after the last epoch of a stopped fit, unless `fresh`. Raises SubmissionError for what is wrong with the
    package or where the stopped fit is of another recipe, data or network; DataError for unfit data.
    """
    # Data
    manifest, device = store.manifest, "cuda" if torch.cuda.is_available() else "cpu"
    labels, crops = store.training_labels("train").labels, store.crops("train")
    steps = whole_batches(store, recipe.batch)
    pictures = TrainingPictures(crops, labels, recipe)
    workers = 4 if device == "cuda" else 0  # on a CPU the network takes all cores, pictures are a hundredth of it

    # Network, loss, optimiser
    torch.manual_seed(recipe.seed)
    net = trainable(package, len(manifest.classes), recipe.size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shift = logit_shift(labels, len(manifest.classes), recipe).to(device)
    optimiser = optimiser_of(net, recipe)
    schedule = OneCycleLR(
        optimiser,
        recipe.max_lr,
        total_steps=recipe.epochs * steps,
        pct_start=warm_up(recipe.pct_start, recipe.epochs * steps),
        anneal_strategy="cos",
        cycle_momentum=recipe.optimiser == "sgd",
    )
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule, "scaler": scaler}

    # Where a stopped fit goes on
    checkpoint = checkpoint_path(package, manifest.name)
    identity = _identity(recipe, store, net)
    log: Log = []
    best: dict[str, Tensor] = {}
    if not fresh and (state := read_checkpoint(checkpoint, identity)):
        for name, part in parts.items():
            part.load_state_dict(state[name])
        log, best = state["log"], state["best"]
    elif recipe.start_from:
        best, log = load_start(net, package, store, recipe)

    # Epochs
    for epoch in range(epochs_in(log), recipe.epochs):
        net.train()
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(crops))[: steps * recipe.batch]
        batches = [[Key(epoch, int(i)) for i in chosen] for chosen in order.reshape(steps, recipe.batch)]
        begin, total = perf_counter(), torch.zeros((), device=device)
        loader = DataLoader(pictures, batch_sampler=batches, num_workers=workers)
        for step, (pixels, answers) in enumerate(loader, start=1):  # uint8 (batch, 3, size, size), int64 (batch,)
            with torch.autocast(device, torch.float16, enabled=device == "cuda"):
                logits = net(normalised(pixels, device))  # (batch, classes)
                loss = functional.cross_entropy(
                    logits + shift, answers.to(device), label_smoothing=recipe.label_smoothing
                )
            optimiser.zero_grad()
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimiser)
            scaler.update()
            schedule.step()
            total += loss.detach()  # stays on the device: reading it would wait for it
            yield Step(epoch, step, steps, step * recipe.batch / (perf_counter() - begin))
        speed = steps * recipe.batch / (perf_counter() - begin)
        # Validation, of the weights as they would be stored
        stored = as_stored(net.state_dict())
        f1 = validation_f1(with_weights(net, stored), store, recipe.size)
        is_best = f1 > max((float(entry["val_f1"]) for entry in log), default=-1.0)
        best = stored if is_best else best
        log.append({"epoch": epoch + 1, "loss": total.item() / steps, "val_f1": f1})
        state = {name: part.state_dict() for name, part in parts.items()}
        write_checkpoint(checkpoint, {**state, "identity": identity, "log": log, "best": best})
        if is_best:
            store_weights(package, store, recipe, best, log)
        yield Epoch(epoch + 1, total.item() / steps, f1, is_best, speed)

    # Result
    store_weights(package, store, recipe, best, log)
    checkpoint.unlink(missing_ok=True)


def epochs_done(package: Path, store: Store, recipe: Recipe) -> int:
    """How many epochs of this fit a checkpoint holds, 0 where there is none. Raises SubmissionError as `train` does."""
    net = trainable(package, len(store.manifest.classes), recipe.size)
    state = read_checkpoint(checkpoint_path(package, store.manifest.name), _identity(recipe, store, net))
    return epochs_in(state["log"]) if state else 0


def whole_batches(store: Store, batch: int) -> int:
    """Steps an epoch; the last, smaller batch is left out. Raises DataError where there is none, or no validation."""
    train_crops, val_crops = store.manifest.crops["train"], store.manifest.crops["val"]
    if train_crops < batch or not val_crops:
        raise DataError(
            f"{store.manifest.name}: expected {batch} crops or more to train on and some for validation, "
            f"got {train_crops} and {val_crops}"
        )
    return train_crops // batch


def load_start(net: nn.Module, package: Path, store: Store, recipe: Recipe) -> tuple[dict[str, Tensor], Log]:
    """Loads the package's weights for the recipe's start_from; as they would be stored, and the log's first entry.

    Layers of another shape, as the head for other classes, stay random. Raises SubmissionError (kind "weights")
    where there are no such weights, nothing in them fits, or they were fitted on another preparation of these data.
    """
    path = package / "weights" / f"{recipe.start_from}.safetensors"
    try:
        start = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SubmissionError(f"{path}: expected weights to start from, got {error}", kind="weights") from error
    own = net.state_dict()
    fitting = {name: value for name, value in start.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise SubmissionError(f"{path}: expected weights of this network, got none that fits", kind="weights")
    same = recipe.start_from == store.manifest.name
    if same and read_info(path.with_suffix(".json")).data_digest != store.manifest.digest:
        raise SubmissionError(
            f"{path}: expected weights fitted on this preparation of {store.manifest.name}, got another one's: they "
            "may know test photos; --fresh without --start-from trains anew",
            kind="weights",
        )
    net.load_state_dict(own | fitting)
    stored = as_stored(net.state_dict())
    return stored, [{"epoch": 0, "val_f1": validation_f1(with_weights(net, stored), store, recipe.size)}]


def store_weights(package: Path, store: Store, recipe: Recipe, best: Mapping[str, Tensor], log: Log) -> None:
    """Writes weights/<data>.safetensors and .json; a log of fewer epochs than the recipe's is a stopped fit's."""
    info = WeightsInfo(store.manifest.classes, store.manifest.digest, _flat(recipe), log)
    write_weights(package, store.manifest.name, {name: value.numpy() for name, value in best.items()}, info)


def optimiser_of(net: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's, over all parameters."""
    if recipe.optimiser == "adamw":
        return AdamW(net.parameters(), recipe.max_lr, weight_decay=recipe.weight_decay)
    return SGD(net.parameters(), recipe.max_lr, recipe.momentum, weight_decay=recipe.weight_decay)


def warm_up(share: float, steps: int) -> float:
    """The share of `steps` until the peak of OneCycleLR: two steps at least, for torch divides by one less.

    >>> warm_up(0.05, 1000), warm_up(0.05, 20), warm_up(0.05, 2)
    (0.05, 0.1, 0.05)
    """
    return max(share, 2 / steps) if steps > 2 else share


def logit_shift(labels: Ints, classes: int, recipe: Recipe) -> Tensor:
    """What is added to the logits in training, (classes,): tau * log prior, arXiv:2007.07314; zeros without it."""
    if recipe.loss != "logit_adjusted":
        return torch.zeros(classes)
    counts = torch.tensor(np.bincount(labels, minlength=classes), dtype=torch.float32)
    return recipe.tau * (counts / counts.sum()).clamp(min=1e-6).log()


def as_stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as it is written: on the CPU, float16 where that can hold it (a running variance may be too large)."""
    stored = {}
    for name, value in state.items():
        value = value.detach().cpu()  # noqa: PLW2901
        fits = value.is_floating_point() and value.abs().max().item() < _LARGEST_HALF
        stored[name] = value.half() if fits else value.clone()
    return stored


def with_weights(net: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the network with these weights, in evaluation mode."""
    other = copy.deepcopy(net)
    other.load_state_dict(state)  # copies into float32
    return other.eval()


@torch.inference_mode()
def validation_f1(net: nn.Module, store: Store, size: int) -> float:
    """Macro F1 over the validation split, as harness computes it."""
    device = next(net.parameters()).device
    labels, crops = store.training_labels("val").labels, store.crops("val")
    answers = []
    for start in range(0, len(crops), _VALIDATION_BATCH):
        part = [crops[i] for i in range(start, min(start + _VALIDATION_BATCH, len(crops)))]
        answers.append(net(batch(part, size, device)).argmax(dim=1).cpu().numpy())
    return float(macro_f1(confusion_matrix(labels, np.concatenate(answers), len(store.manifest.classes))))


def _identity(recipe: Recipe, store: Store, net: nn.Module) -> dict[str, Any]:
    """What must be equal for a fit to go on from a checkpoint.

    The crops by number too: the digest of a rendered set does not cover those to train on.
    """
    return {
        "recipe": msgspec.to_builtins(recipe),
        "data": store.manifest.digest,
        "crops": len(store.crops("train")),
        "network": str(net),
    }


def _flat(recipe: Recipe) -> dict[str, int | float | str]:
    values = msgspec.to_builtins(recipe)
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in values.items()}
