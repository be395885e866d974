"""A network that comes from elsewhere, as the model file of a package without Python: what its write.py calls.

harness export does more: it starts from a trained package and holds the answers of both against each other.
"""

import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from torch import nn

from harness.atomic import machine
from harness.data.store import Store
from harness.data.weights import WeightsInfo, write_info
from harness.errors import SubmissionError
from harness.formats import FORMATS, Input
from harness.lab.export import Source, largest_difference
from harness.lab.networks import load_weights, refuse_unfit
from harness.lab.programs import WRITERS, Target, folded, write, write_torchscript
from harness.staging import read_manifest
from harness.submission import MANIFEST, Manifest, check_writer
from harness.worker.package import Failed

Finished = Target | Literal["torchscript"]  # the formats whose file is a whole network
FINISHED: tuple[Finished, ...] = (*WRITERS, "torchscript")


class Written(NamedTuple):
    """What was written."""

    path: Path
    size_bytes: int  # of the model's files
    crops: int  # validation crops that the file was tried on
    largest_difference: float  # of any of its scores there from the network's


def write_model(net: nn.Module, package: Path, store: Store, weights: Path | None) -> Written:
    """Writes the network, with the weights of a safetensors file or as it is, as weights/<data>.* of the package.

    The format and the input are those of its submission.toml. Raises SubmissionError where that names no such format,
    the weights do not fit or the network cannot be written, MachineError where something is not installed or the
    folder cannot be written to. What was there before is replaced at the end, or stays.
    """
    manifest = read_manifest(package)
    to, its = _asked(package, manifest)
    check_writer(to, f"{package.name}: format {to}")
    if weights is not None:
        load_weights(net, weights)
    refuse_unfit(net.eval(), package.name, its, len(store.manifest.classes))
    settings: dict[str, int | float | str] = {"weights": weights.name if weights is not None else "of network()"}
    info = WeightsInfo(store.manifest.classes, store.manifest.digest, settings, log=[])
    source = Source(package, manifest, net, its, info)
    folder, name = package / "weights", f"{store.manifest.name}{FORMATS[to].endings[0]}"
    with machine(folder):
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as partial:
            try:
                difference = _written(source, store, to, Path(partial) / name)
            except Failed as failed:
                raise SubmissionError(f"{package.name}: {failed}", kind="model") from failed
            size = _keep(Path(partial), folder, store.manifest.name, info)
    return Written(folder / name, size, store.manifest.crops["val"], difference)


def _asked(package: Path, manifest: Manifest) -> tuple[Finished, Input]:
    """The format to write and the input that it takes. Raises SubmissionError."""
    model, its = manifest.model, manifest.input
    to = next((one for one in FINISHED if model is not None and one == model.format and model.file is None), None)
    if to is None or its is None:
        got = "no [model]" if model is None else f"format {model.format}" + f", file {model.file}" * bool(model.file)
        raise SubmissionError(
            f"{package.name}: expected [model] in {MANIFEST} with a format of {', '.join(FINISHED)} and without file, "
            f"got {got}",
            kind="model",
        )
    return to, its


def _written(source: Source, store: Store, to: Finished, path: Path) -> float:
    """The largest difference of the written file's scores. Raises Failed."""
    net, _ = folded(source.net)  # most runtimes would do it themselves; torch.export's does not
    if to == "torchscript":
        write_torchscript(net, path, source.input)
    else:
        write(net, to, path, source.input)
    return largest_difference(source, store, to, path)


def _keep(partial: Path, folder: Path, data: str, info: WeightsInfo) -> int:
    """Gives the files their names, their classes last: classes never lie beside another model. Their size in bytes."""
    size, info_path = 0, folder / f"{data}.json"
    info_path.unlink(missing_ok=True)
    for file in partial.iterdir():
        size += file.stat().st_size
        file.replace(folder / file.name)
    write_info(info_path, info)
    return size
