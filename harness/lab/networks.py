"""A package's network: its model.py's, or one that its [model] names. Random weights."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from harness.errors import SubmissionError
from harness.formats import FORMATS, Input
from harness.nets.architectures import declared_network, load_state, table_rows
from harness.nets.table import shapes
from harness.staging import read_manifest
from harness.submission import MANIFEST, Manifest

_MODULE = "model.py"


def build(package: Path, classes: int) -> nn.Module:
    """The network with random weights: model.py's build(classes), run in this process, or [model] architecture's.

    Raises SubmissionError where there is neither, or what build returns is no module.
    """
    model = _manifest(package).model
    if model is None:
        return _of_module(package, classes)
    if not FORMATS[model.format].architecture:
        of = ", ".join(name for name, form in FORMATS.items() if form.architecture)
        raise SubmissionError(
            f"{package.name}: expected model.py with build(classes) or a [model] format of {of}, got {model.format}, "
            "whose file is a finished network",
            kind="model",
        )
    return declared_network(model, classes, package)


def trainable(package: Path, classes: int, size: int) -> nn.Module:
    """As `build`, for a training at this size in pixels.

    Raises SubmissionError too where a package without Python would see in the test what it did not in training.
    """
    manifest = _manifest(package)
    if manifest.model is not None and manifest.input is not None:  # else its predict.py's own affair
        if manifest.model.file is not None:
            raise SubmissionError(
                f"{package.name}: [model] file: expected none, a training writes weights/DATA.safetensors, got "
                f"{manifest.model.file}; take the line out",
                kind="model",
            )
        if differing := untrained(manifest.input, size):
            raise SubmissionError(
                f"{package.name}: [input]: expected what training does: {'; '.join(differing)}; change [input], or "
                "size in the recipe",
                kind="model",
            )
        if manifest.model.format == "table":
            shapes(table_rows(manifest.model, package), size, manifest.model.architecture or "")
    net = build(package, classes)
    refuse_unfit(net.eval(), package.name, Input(size), classes)
    return net.train()


@torch.inference_mode()
def refuse_unfit(net: nn.Module, name: str, its: Input, classes: int) -> None:
    """Raises SubmissionError (kind "model") where two black crops do not come out as scores, before minutes of work.

    `name` is the package's; the network is in evaluation mode, so that it stays as it was.
    """
    taken, expected = (2, *its.shape()), (2, classes)
    try:
        scores: object = net(torch.zeros(taken, dtype=getattr(torch, its.type)))
        got = str(tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__)
    except Exception as error:  # noqa: BLE001 (whatever a stranger's network raises)
        got = " ".join(str(error).split())[:300] or type(error).__name__
    if got != str(expected):
        raise SubmissionError(
            f"{name}: expected a network of {taken} to scores of {expected}, one for each class, got {got}",
            kind="model",
        )


def untrained(its: Input, size: int) -> list[str]:
    """How an input differs from that of training at this size, like "size 156, got 96"; empty where it does not.

    >>> untrained(Input((96, 96)), 96), untrained(Input(96, pad=False), 156)
    ([], ['size 156, got 96', 'pad true, got false'])
    """
    ours, theirs = (msgspec.to_builtins(one) | {"size": _short(one.sides())} for one in (Input(size), its))
    return [f"{key} {_toml(ours[key])}, got {_toml(theirs[key])}" for key in ours if theirs[key] != ours[key]]


def load_weights(net: nn.Module, path: Path) -> None:
    """Loads a safetensors file, float16 or float32, into the network. Raises SubmissionError where it does not fit."""
    try:
        load_state(net, load_file(path))  # float16 on disk, float32 here
    except (OSError, SafetensorError, RuntimeError) as error:
        said = " ".join(str(error).split())[:400]
        raise SubmissionError(f"{path}: expected its network's weights, got {said}", kind="weights") from error


def _manifest(package: Path) -> Manifest:
    """What the package says of itself; nothing where a model.py lies alone."""
    return read_manifest(package) if (package / MANIFEST).is_file() else Manifest(package.name)


def _short(sides: tuple[int, int]) -> int | list[int]:
    return sides[0] if sides[0] == sides[1] else list(sides)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_module(package: Path, classes: int) -> nn.Module:
    path = package / _MODULE
    spec = importlib.util.spec_from_file_location("model", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SubmissionError(f"{package.name}: expected model.py with build(classes), got none", kind="model")
    sys.path.insert(0, str(package))  # a model.py may import what lies beside it
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(package))
    entry: Callable[[int], object] | None = getattr(module, "build", None)
    net = entry(classes) if callable(entry) else None
    if not isinstance(net, nn.Module):
        raise SubmissionError(
            f"{package.name}: expected build(classes) in model.py to return a torch module, "
            f"got {'no such function' if entry is None else type(net).__name__}",
            kind="model",
        )
    return net
