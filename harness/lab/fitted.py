"""The weights of a fit: those it starts with, those it stores, and what they are worth on the validation crops."""

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from harness.atomic import machine
from harness.data.store import Store
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import SubmissionError
from harness.lab.recipe import Recipe
from harness.metrics import confusion_matrix, macro_f1
from harness.nets.preprocess import batch

Log = list[dict[str, int | float | str]]  # one entry an epoch, of `epoch`, `loss` and `val_f1`
_VALIDATION_BATCH = 64
_LARGEST_HALF = 65504.0  # of float16


def start_path(package: Path, start_from: str) -> Path:
    """The file that a recipe's start_from names: the package's weights for a data set, or a path of its own.

    A path ends in .safetensors and is looked for in the package unless it begins at the root.
    """
    if start_from.endswith(".safetensors"):
        return package / start_from
    return package / "weights" / f"{start_from}.safetensors"


def load_start(net: nn.Module, package: Path, store: Store, recipe: Recipe) -> tuple[Log, dict[str, Tensor]]:
    """Loads the weights that the recipe starts from; the log's first entry, and the weights as they would be stored.

    A head for other classes stays random. Raises SubmissionError (kind "weights") where there are no such weights,
    they are another network's, or they were fitted on another preparation of these data.
    """
    path = start_path(package, recipe.start_from)
    try:
        content = path.read_bytes()
        start = load(content)
    except (OSError, SafetensorError) as error:
        got = error.strerror if isinstance(error, OSError) else error
        raise SubmissionError(f"{path}: expected weights to start from, got {got}", kind="weights") from error
    _refuse_other_preparation(path, package, store)
    own = net.state_dict()
    net.load_state_dict(own | _fitting(own, start, len(store.manifest.classes), path))
    stored = as_stored(net.state_dict())
    f1 = validation_f1(with_weights(net, stored), store, recipe.size)
    return [{"epoch": 0, "val_f1": f1, "start_sha256": hashlib.sha256(content).hexdigest()}], stored


def _fitting(own: Mapping[str, Tensor], start: Mapping[str, Tensor], classes: int, path: Path) -> dict[str, Tensor]:
    """The tensors of `start` for this network. A head, a row a class, may be another's or, at the end, missing."""
    fitting = {name: value for name, value in start.items() if name in own and own[name].shape == value.shape}
    last = max((number for number, name in enumerate(own) if name in fitting), default=-1)

    def is_head(number: int, name: str) -> bool:
        if own[name].shape[:1] != (classes,):
            return False
        if name not in start:
            return number > last
        return start[name].dim() == own[name].dim() and start[name].shape[1:] == own[name].shape[1:]

    head = {name for number, name in enumerate(own) if is_head(number, name)}
    wrong = [name for name in own if name not in fitting and name not in head] + [n for n in start if n not in own]
    if wrong or not fitting:
        name = wrong[0] if wrong else next(iter(own))
        ours, theirs = (str(tuple(side[name].shape)) if name in side else "none" for side in (own, start))
        raise SubmissionError(
            f"{path}: expected weights of this network, got another's: {name} is {theirs}, here {ours}", kind="weights"
        )
    return fitting


def _refuse_other_preparation(path: Path, package: Path, store: Store) -> None:
    """Weights for this data set by name must be for it by digest, too."""
    if path.resolve() != (package / "weights" / f"{store.manifest.name}.safetensors").resolve():
        return
    if read_info(path.with_suffix(".json")).data_digest != store.manifest.digest:
        raise SubmissionError(
            f"{path}: expected weights fitted on this preparation of {store.manifest.name}, got another one's: they "
            "may know test photos; --fresh without --start-from trains anew",
            kind="weights",
        )


def store_weights(package: Path, store: Store, recipe: Recipe, best: Mapping[str, Tensor], log: Log) -> None:
    """Writes weights/<data>.safetensors and .json. A log of fewer epochs than the recipe's: it was stopped, or early.

    Raises MachineError where they cannot be written; what was there stays.
    """
    info = WeightsInfo(store.manifest.classes, store.manifest.digest, flat(recipe), log)
    with machine(package / "weights"):
        write_weights(package, store.manifest.name, {name: value.numpy() for name, value in best.items()}, info)


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


def flat(recipe: Recipe) -> dict[str, int | float | str]:
    """Every setting as it is noted beside the weights."""
    values = msgspec.to_builtins(recipe)
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in values.items()}
