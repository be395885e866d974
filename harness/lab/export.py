"""`harness export`: a trained network as a package without Python, checked before it is kept.

Over all validation crops the written file's scores are compared with the network's, and the labels of both packages
by the road that `harness evaluate` takes, preprocessing included. An int8 export is not held to that: its F1 is said.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from harness import scratch
from harness.atomic import machine
from harness.data.store import Store
from harness.data.weights import WeightsInfo, read_info, write_info
from harness.errors import DataError, SubmissionError, UsageError
from harness.formats import FORMATS, FormatName, Input, Model, declared
from harness.lab.networks import build, load_weights
from harness.lab.programs import Target, folded, unfolded, write
from harness.lab.quantise import CALIBRATION_CROPS, QUANTISERS, Quantised
from harness.metrics import Ints, confusion_matrix, macro_f1
from harness.staging import read_manifest
from harness.submission import MANIFEST, Manifest
from harness.wire import Reason
from harness.worker.package import Failed
from harness.worker.pixels import preparing
from harness.worker.runtimes import RUNTIMES

LEAST_AGREEMENT = 0.999  # of the validation crops' labels
LARGEST_DIFFERENCE = 1e-3  # of a score, absolute
_BATCH = 32
_README = "README.md"

Answers = Callable[[Path], Ints]  # a package's labels of the validation crops, by the road that `evaluate` takes


class Source(NamedTuple):
    """What is exported: a package's network with its weights for a data set, in evaluation mode."""

    package: Path
    manifest: Manifest
    net: nn.Module  # (n, *input.shape()) -> scores (n, classes)
    input: Input
    info: WeightsInfo


class Order(NamedTuple):
    """What is to be written."""

    to: Target
    folder: Path  # of the new package; its name is the package's
    int8: bool = False  # of QUANTISERS alone
    half: bool = False  # weights stored as float16, computed in float32; ONNX alone
    fresh: bool = False  # an earlier export there is replaced, its README.md kept


class Checked(NamedTuple):
    """How far the export answers like the package, over the validation crops."""

    crops: int
    agreement: float  # share of equal labels
    largest_difference: float  # of any score; of an int8 export before it was quantised
    f1: float  # validation macro F1 of the package
    exported_f1: float


class Exported(NamedTuple):
    """What was written."""

    folder: Path
    size_bytes: int  # of the model's files
    checked: Checked
    not_folded: str | None  # why the batch norms are still there


def export(source: Source, store: Store, order: Order, answers: Answers) -> Exported:
    """Writes the new package, checked.

    Raises SubmissionError where the network cannot be exported or the export does not answer like it (kind "export"),
    UsageError where the folder is there, DataError without crops to check or to calibrate with. Nothing is left then.
    """
    refuse_taken(order.folder, source.package, order.fresh, "exported_from")
    if order.int8:
        _quantised(order.to)
    _refuse_no_crops(store, order)
    before = answers(source.package)
    with scratch.lent("export") as partial:
        path = _described(partial, source, store, order)
        net, not_folded = (unfolded(source.net), None) if order.half else folded(source.net)
        try:
            write(net, order.to, path, source.input, order.half)
            difference = largest_difference(source, store, order.to, path)
        except Failed as failed:
            raise SubmissionError(f"{source.package.name}: {failed}", kind="export") from failed
        if order.int8 and difference <= LARGEST_DIFFERENCE:
            QUANTISERS[_quantised(order.to)](path, source.input, store)
        checked = _compared(store, before, answers(partial), difference)
        _refuse_different(order, checked)
        size = sum(file.stat().st_size for file in path.parent.iterdir() if file.suffix != ".json")
        if (order.folder / _README).is_file():
            with machine(order.folder):
                shutil.copy(order.folder / _README, partial / _README)
        keep(partial, order.folder)
    return Exported(order.folder, size, checked, not_folded)


def _quantised(to: Target) -> Quantised:
    """The format as one that can be quantised. Raises UsageError."""
    if to == "torch.export":
        raise UsageError(f"int8: expected a format of {', '.join(QUANTISERS)}, got {to}")
    return to


def opened(package: Path, store: Store) -> Source:
    """The package's trained network. Raises SubmissionError where it has none, or does not say what it takes."""
    manifest, data = read_manifest(package), store.manifest.name
    path = package / "weights" / f"{data}.safetensors"
    if manifest.model is not None and manifest.model.file is not None:
        raise SubmissionError(
            f"{package.name}: expected weights/{path.name} and .json, got [model] file = {manifest.model.file}; "
            "move it there and take the line out",
            kind="weights",
        )
    net = build(package, len(store.manifest.classes))
    if manifest.input is None and manifest.recipe is None:
        raise SubmissionError(
            f"{package.name}: expected [input] in {MANIFEST} or a recipe of `harness train`, got neither; add [input] "
            'with the size, mean and std that its network takes (or type = "uint8")',
            kind="export",
        )
    if not path.is_file():
        raise SubmissionError(
            f"{package.name}: no weights for {data}: expected weights/{path.name}; train it on {data} first",
            kind="weights",
        )
    info = read_info(path.with_suffix(".json"))
    load_weights(net, path)
    net.eval().to(memory_format=torch.channels_last)
    return Source(package, manifest, net, manifest.input or _trained_input(package, info), info)


def _trained_input(package: Path, info: WeightsInfo) -> Input:
    size = info.recipe.get("size")
    if not isinstance(size, int) or size < 1:
        raise SubmissionError(
            f"{package.name}: expected size in the recipe of weights/*.json, got {size}; add [input] to {MANIFEST}",
            kind="weights",
        )
    return Input(size)


def refuse_taken(folder: Path, package: Path, fresh: bool, mark: str) -> None:
    """Raises UsageError where the folder is there; `fresh` replaces what harness made alone, never what someone wrote.

    `mark`: the key that harness leaves in the recipe of weights/*.json of such a package.
    """
    name = folder.name
    if not folder.exists() and not folder.is_symlink():
        return
    if not fresh:
        raise UsageError(f"{name}: expected a new name, it is there already; --fresh replaces it, --name names another")
    infos = [path.read_text(errors="replace") for path in (folder / "weights").glob("*.json")]
    if folder.resolve() == package.resolve() or not infos or not all(f'"{mark}"' in text for text in infos):
        made = "export" if mark == "exported_from" else "compression"
        raise UsageError(f"{name}: expected an earlier {made} to replace, got another package; --name names a new one")


def _refuse_no_crops(store: Store, order: Order) -> None:
    name, crops = store.manifest.name, store.manifest.crops
    if not crops["val"]:
        raise DataError(f"{name}: expected validation crops to check the export with, got none; prepare it with some")
    if order.int8 and not crops["train"]:
        raise DataError(
            f"{name}: expected training crops, got none: int8 without calibration data; remove {store.path} and "
            "prepare it whole"
        )


# Writing


def _described(package: Path, source: Source, store: Store, order: Order) -> Path:
    """Writes all of a package but its model; where that goes."""
    weights = package / "weights"
    settings = {"exported_from": source.manifest.name}
    if order.int8:
        crops = min(CALIBRATION_CROPS, store.manifest.crops["train"])
        settings["quantised"] = f"int8, calibrated on {crops} training crops"
    info = msgspec.structs.replace(source.info, recipe={**source.info.recipe, **settings})
    with machine(package):
        weights.mkdir()
        text = manifest_text(order.folder.name, source.manifest, order.to, source.input)
        (package / MANIFEST).write_text(text, encoding="utf-8")
        write_info(weights / f"{store.manifest.name}.json", info)
    return weights / f"{store.manifest.name}{FORMATS[order.to].endings[0]}"


def manifest_text(name: str, its: Manifest, to: FormatName, taken: Input) -> str:
    """The submission.toml of an export.

    >>> print(manifest_text("mine_onnx", Manifest("mine"), "onnx", Input(96, type="uint8")))
    name = "mine_onnx"
    description = "mine, exported to onnx"
    <BLANKLINE>
    [model]
    format = "onnx"
    <BLANKLINE>
    [input]
    size = 96
    pad = true
    layout = "NCHW"
    resize = "bilinear"
    type = "uint8"
    <BLANKLINE>
    """
    said = {"name": name, "authors": its.authors, "description": f"{its.name[:100]}, exported to {to}"}
    lines = [f"{key} = {_toml(value)}" for key, value in said.items() if value]
    lines += [f"batch = {its.batch}"] if its.batch > 1 else []
    height, width = taken.sides()
    values = msgspec.to_builtins(taken) | {"size": height if height == width else [height, width]}
    for key in ("mean", "std") if taken.type == "uint8" else ():
        del values[key]
    lines += ["", "[model]", f"format = {_toml(to)}", "", "[input]"]
    return "\n".join([*lines, *(f"{key} = {_toml(value)}" for key, value in values.items())]) + "\n"


def _toml(value: object) -> str:
    """Printable strings, numbers, truth values and lists of them are written as in JSON."""
    return json.dumps(value, ensure_ascii=False)


def keep(partial: Path, folder: Path) -> None:
    """Copies a new package beside its place, then gives it its name; what was there goes."""
    with machine(folder):
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            shutil.copytree(partial, beside / "new")
            if folder.exists():
                folder.replace(beside / "old")
            (beside / "new").replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


# Checking


def largest_difference(source: Source, store: Store, to: FormatName, path: Path) -> float:
    """Of the written file's scores from the network's, over all validation crops. Raises Failed."""
    its = msgspec.structs.replace(declared(Model(to), source.input, source.manifest.batch), file=str(path))
    run = RUNTIMES[to](its, "cpu", torch.get_num_threads()).only(0)
    prepare, crops, largest = preparing(source.input), store.crops("val"), 0.0
    for start in range(0, len(crops), _BATCH):
        pixels = prepare([crops[i] for i in range(start, min(start + _BATCH, len(crops)))])
        with torch.inference_mode():
            expected = source.net(torch.from_numpy(pixels)).numpy()
        got = run(pixels)
        if got.shape != expected.shape:
            raise Failed(Reason.MODEL, f"expected scores of shape {expected.shape}, got {got.shape}")
        # What is no number differs as much as can be.
        largest = max(largest, float(np.nan_to_num(np.abs(got - expected), nan=np.inf).max()))
    return largest


def _compared(store: Store, before: Ints, after: Ints, difference: float) -> Checked:
    labels, classes = store.training_labels("val").labels, len(store.manifest.classes)
    ours, theirs = (float(macro_f1(confusion_matrix(labels, answers, classes))) for answers in (before, after))
    return Checked(len(labels), float(np.mean(before == after)), difference, ours, theirs)


def _refuse_different(order: Order, checked: Checked) -> None:
    agrees = order.int8 or checked.agreement >= LEAST_AGREEMENT
    close = checked.largest_difference <= LARGEST_DIFFERENCE
    if agrees and close:
        return
    # Scores that are each within d change places only where they lie within 2 d of each other.
    why = "; either the best two scores lie as close (is it trained?), or predict does more than the network"
    raise SubmissionError(
        f"{order.folder.name}: expected equal labels for {LEAST_AGREEMENT:.1%} of {checked.crops} validation crops and "
        f"scores within {LARGEST_DIFFERENCE:g}, got {checked.agreement:.2%} and {checked.largest_difference:.2g} with "
        f"{order.to}{why if close else ''}; nothing is written",
        kind="export",
    )
