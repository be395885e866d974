"""Fits the network to a data set's training crops; keeps the weights that are best on its validation crops.

python submissions/template/fit.py --data NAME [--epochs N] [--fresh]

Ctrl-C writes the best weights so far. A fit that was stopped goes on where it was; --fresh starts again.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from model import build
from preprocess import SIZE, square
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torchvision.transforms import v2

from harness.data.store import Store, open_store
from harness.data.weights import WeightsInfo, write_weights
from harness.errors import HarnessError
from harness.metrics import confusion_matrix, macro_f1
from harness.paths import project_root, resolve


class Recipe(NamedTuple):
    """Every setting of a fit. Another recipe is another fit: it does not go on from this one's checkpoint."""

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 6e-3  # the peak of the one cycle
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    size: int = SIZE
    stored_size: int = 112  # training crops are kept a little larger, so that zooming in finds real pixels
    least_area: float = 0.4  # of a random crop of the training picture
    jitter: float = 0.3  # of brightness, contrast and saturation
    seed: int = 0


# Data


def tensors(store: Store, split: str, size: int) -> tuple[Tensor, Tensor]:
    """A split's pixels, uint8 (n, 3, size, size), and labels, int64 (n,). 1,000 crops of 112: 38 MB."""
    labels = torch.tensor(store.training_labels(split).labels)
    return torch.stack([square(crop, size) for crop in store.crops(split)]), labels


def augmented_batches(pixels: Tensor, labels: Tensor, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, each picture changed by itself; the last, smaller batch is left out."""
    augment = v2.Compose(
        [
            v2.RandomResizedCrop(recipe.size, scale=(recipe.least_area, 1.0), ratio=(0.8, 1.25)),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),  # on a belt there is no up
            v2.ColorJitter(recipe.jitter, recipe.jitter, recipe.jitter),
        ]
    )
    batch = min(recipe.batch, len(labels))
    order = torch.randperm(len(labels))[: len(labels) // batch * batch]
    for chosen in order.split(batch):
        yield torch.stack([augment(pixels[number]) for number in chosen]), labels[chosen]


# Validation


@torch.inference_mode()
def validation_f1(net: nn.Module, pixels: Tensor, labels: Tensor, classes: int) -> float:
    """Macro F1, as harness computes it."""
    net.eval()
    device = next(net.parameters()).device
    answers = torch.cat([net(part.to(device)).argmax(dim=1).cpu() for part in pixels.split(256)])
    return float(macro_f1(confusion_matrix(labels.numpy(), answers.numpy(), classes)))


# Checkpoints


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: written beside its place, then renamed."""
    path.parent.mkdir(exist_ok=True)
    torch.save(state, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def read_checkpoint(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The state of a stopped fit of this recipe and data, None where there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)  # no pickled code
    if state["identity"] != identity:
        print(f"{path.name} is of another recipe, network or data set: starting again")
        return None
    return state


# Training


def train_epoch(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss_of: nn.Module,
    optimiser: Optimizer,
    schedule: LRScheduler,
) -> tuple[float, float]:
    """One pass over the batches: the mean loss, and images per second."""
    net.train()
    device = next(net.parameters()).device
    begin, total, seen = perf_counter(), torch.zeros((), device=device), 0
    for pixels, labels in batches:
        loss = loss_of(net(pixels.to(device)), labels.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.detach() * len(labels)  # stays on the device: reading it would wait for it
        seen += len(labels)
    return total.item() / seen, seen / (perf_counter() - begin)


def fit(store: Store, package: Path, recipe: Recipe, fresh: bool) -> None:
    """Fit, print a line an epoch, write the best weights."""
    manifest, device = store.manifest, "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.seed)
    pixels, labels = tensors(store, "train", recipe.stored_size)
    validation = tensors(store, "val", recipe.size)

    net = build(len(manifest.classes)).to(device)
    # Macro F1 counts a rare class as much as a common one; the root, for 1 / count would overdo it.
    class_weights = labels.bincount(minlength=len(manifest.classes)).clamp(min=1).rsqrt().to(device)
    loss_of = nn.CrossEntropyLoss(class_weights, label_smoothing=recipe.label_smoothing)
    optimiser = AdamW(net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * (len(labels) // min(recipe.batch, len(labels)))
    schedule = OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps)
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}

    checkpoint = package / "weights" / f"{manifest.name}.checkpoint"
    identity = {"recipe": recipe._asdict(), "data": manifest.digest, "network": str(net)}
    log: list[dict[str, int | float | str]] = []
    best: dict[str, Tensor] = {}
    state = None if fresh else read_checkpoint(checkpoint, identity)
    if state:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        log, best = state["log"], state["best"]
        print(f"going on after epoch {len(log)}")

    try:
        begin, done = perf_counter(), len(log)
        for epoch in range(done, recipe.epochs):
            torch.manual_seed(recipe.seed + epoch)  # so a fit that was stopped draws what it would have drawn
            loss, speed = train_epoch(net, augmented_batches(pixels, labels, recipe), loss_of, optimiser, schedule)
            f1 = validation_f1(net, *validation, len(manifest.classes))
            if f1 > max((entry["val_f1"] for entry in log), default=-1.0):
                best = {name: value.cpu().clone() for name, value in net.state_dict().items()}
            log.append({"epoch": epoch + 1, "loss": loss, "val_f1": f1})
            state = {name: part.state_dict() for name, part in parts.items()}
            save_checkpoint(checkpoint, {**state, "identity": identity, "log": log, "best": best})
            left = (perf_counter() - begin) / (epoch + 1 - done) * (recipe.epochs - epoch - 1)
            print(
                f"epoch {epoch + 1}/{recipe.epochs}  loss {loss:.3f}  val F1 {f1:.4f}"
                f"  {speed:,.0f} images/s  {left:.0f} s left",
                flush=True,
            )
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
    else:
        checkpoint.unlink(missing_ok=True)
    if log and best:
        info = WeightsInfo(manifest.classes, manifest.digest, recipe._asdict(), log)
        path = write_weights(package, manifest.name, {k: v.numpy() for k, v in best.items()}, info)
        print(f"best val F1 {max(entry['val_f1'] for entry in log):.4f}: wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="a data set's name in data/, or its path")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--fresh", action="store_true", help="leave the checkpoint of a stopped fit unread")
    args = parser.parse_args()
    folder = resolve(project_root(), args.data, "data")
    try:
        fit(open_store(folder), Path(__file__).resolve().parent, Recipe(epochs=args.epochs), args.fresh)
    except HarnessError as error:
        sys.exit(error.message)
