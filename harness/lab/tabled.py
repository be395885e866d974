"""A trained package whose network is a table: read from one, written as one."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import msgspec
from torch import nn

from harness.atomic import machine
from harness.data.store import Store
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import SubmissionError
from harness.formats import Input
from harness.lab.fitted import as_stored
from harness.lab.networks import build, load_weights, refuse_unfit, untrained
from harness.lab.recipe import Recipe
from harness.lab.recipe import parse as parse_recipe
from harness.lab.removal import Rows, explicit
from harness.nets.architectures import table_rows
from harness.nets.build import network
from harness.nets.table import parse, text
from harness.staging import read_manifest
from harness.submission import MANIFEST, Manifest

TABLE = "network.yaml"
_RECIPE = "recipe.yaml"


class Tabled(NamedTuple):
    """A network with its weights for a data set."""

    manifest: Manifest
    rows: Rows  # explicit
    net: nn.Module  # in evaluation mode
    size: int  # pixels a side of its input
    info: WeightsInfo
    settings: bytes  # the package's recipe, as the result has it


def opened(package: Path, store: Store, recipe: Recipe) -> Tabled:
    """The package's network, as a table. Raises SubmissionError where it is none, or has no weights for the data."""
    manifest, data, classes = read_manifest(package), store.manifest.name, store.manifest.classes
    rows = _rows(package, manifest, len(classes))
    path = package / "weights" / f"{data}.safetensors"
    if not path.is_file():
        raise SubmissionError(
            f"{package.name}: no weights for {data}: expected weights/{path.name}; train them: harness train "
            f"{package.name} --data {data}",
            kind="weights",
        )
    info = read_info(path.with_suffix(".json"))
    if info.data_digest != store.manifest.digest or info.classes != classes:
        raise SubmissionError(
            f"{package.name}: expected weights that were fitted on this preparation of {data}, got another one's; "
            f"harness train {package.name} --data {data} --fresh trains anew",
            kind="weights",
        )
    if info.recipe.get("size") != recipe.size:
        raise SubmissionError(
            f"{package.name}: expected weights and recipe of one size, got {info.recipe.get('size')} and "
            f"{recipe.size} pixels; change size in {manifest.recipe}",
            kind="weights",
        )
    if manifest.input is not None and (differing := untrained(manifest.input, recipe.size)):
        raise SubmissionError(
            f"{package.name}: [input]: expected what training does: {'; '.join(differing)}; change [input], or size in "
            "the recipe",
            kind="model",
        )
    net = network(rows, len(classes))
    load_weights(net, path)
    refuse_unfit(net.eval(), package.name, Input(recipe.size), len(classes))
    return Tabled(manifest, rows, net, recipe.size, info, _settings(package / (manifest.recipe or _RECIPE), recipe))


def _rows(package: Path, manifest: Manifest, classes: int) -> Rows:
    """Those of [model], or of the one YAML file that makes the network of a model.py. Raises SubmissionError."""
    if manifest.model is not None and manifest.model.format == "table" and manifest.model.file is None:
        return explicit(table_rows(manifest.model, package))
    got = f"format {manifest.model.format}" if manifest.model is not None else "no table that makes that of model.py"
    if manifest.model is None and (package / "model.py").is_file():
        theirs = str(build(package, classes))
        for path in sorted(package.glob("*.yaml")):
            try:
                rows = explicit(parse(path.read_bytes(), path.name))
            except SubmissionError:  # a recipe
                continue
            if str(network(rows, classes)) == theirs:
                return rows
    raise SubmissionError(
        f"{package.name}: expected a network that is a table of blocks and its weights for each data set, got {got}; "
        "`harness new NAME --from table` makes one",
        kind="model",
    )


def digest(its: Tabled) -> str:
    """sha256 of the network: its rows, its size and its weights as they are stored."""
    total = hashlib.sha256(f"{its.size}\n{text(its.rows, '')}".encode())
    for name, value in sorted(as_stored(its.net.state_dict()).items()):
        total.update(name.encode() + value.numpy().tobytes())
    return total.hexdigest()


def write_package(folder: Path, name: str, its: Tabled, data: str, comment: str) -> None:
    """Writes a package without Python to an empty folder, with the network's weights for the data set of this name."""
    model = its.manifest.model
    said = {"name": name, "authors": its.manifest.authors, "description": f"{its.manifest.name[:100]}, compressed"}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in said.items() if value]
    lines += [f"batch = {its.manifest.batch}"] if its.manifest.batch > 1 else []
    lines += [f'recipe = "{_RECIPE}"', "", "[model]", 'format = "table"', f'architecture = "{TABLE}"']
    lines += [f"threads = {model.threads}"] if model is not None and model.threads is not None else []
    lines += ["", "[input]", f"size = {its.size}", ""]
    with machine(folder):
        (folder / MANIFEST).write_text("\n".join(lines), encoding="utf-8")
        (folder / TABLE).write_text(text(its.rows, comment), encoding="utf-8")
        (folder / _RECIPE).write_bytes(its.settings)
        tensors = {key: value.numpy() for key, value in as_stored(its.net.state_dict()).items()}
        write_weights(folder, data, tensors, msgspec.structs.replace(its.info, log=[]))


def settings_digest(recipe: Recipe) -> str:
    """sha256 of all settings."""
    return hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()


def _settings(path: Path, recipe: Recipe) -> bytes:
    """The file as it is, or without what only the package there has: weights to start from, parts to freeze by name."""
    own = msgspec.structs.replace(recipe, start_from="", frozen=())
    with machine(path, "read"):
        text = path.read_bytes()
    return text if own == recipe == parse_recipe(text, path.name) else msgspec.yaml.encode(own)


def reread(folder: Path, its: Tabled, data: str) -> Tabled:
    """What `write_package` wrote there, with the weights that it has now."""
    path = folder / "weights" / f"{data}.safetensors"
    rows = explicit(parse((folder / TABLE).read_bytes(), TABLE))
    net = network(rows, len(its.info.classes))
    load_weights(net, path)
    return its._replace(rows=rows, net=net.eval(), info=read_info(path.with_suffix(".json")))
