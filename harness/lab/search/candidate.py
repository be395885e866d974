"""A trial's network: knobs' values to a recipe and rows, and those to a package that can be trained and judged."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from torch import nn

from harness import submission
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import SubmissionError, UsageError
from harness.lab.checkpoint import checkpoint_path
from harness.lab.fitted import flat
from harness.lab.recipe import Recipe
from harness.lab.recipe import parse as parse_recipe
from harness.lab.search.space import Knob, Space, Value, Values, Written, fields_of, laid
from harness.nets.table import Row, parse, read_table, shapes, text
from harness.staging import read_manifest

_NAME, _SIZE = re.compile(r"^name\s*=.*$", re.MULTILINE), re.compile(r"^size\s*=.*$", re.MULTILINE)
_LEFT_OUT = shutil.ignore_patterns("weights", "__pycache__", ".*", "README.md")


class Files(NamedTuple):
    """Of the package that a search starts from: its folder, and the names of its table and recipe in it."""

    package: Path
    table: str
    recipe: str


class Candidate(NamedTuple):
    """What a trial trains."""

    recipe: Recipe
    rows: tuple[Row, ...]

    def digest(self) -> str:
        """sha256; equal networks with equal recipes have the same, whichever knobs made them."""
        said = text(self.rows, "") + msgspec.yaml.encode(self.recipe).decode()
        return hashlib.sha256(said.encode()).hexdigest()


def space_over(written: Written, files: Files, recipe: Recipe, source: str) -> Space:
    """A space file over a package's files. Raises UsageError, and SubmissionError where its table cannot be read."""
    table = read_table((files.package / files.table).read_bytes(), files.table)
    return laid(written, recipe, table, source)


def drawn(space: Space, draw: Callable[[Knob], Value]) -> dict[str, Value]:
    """A value for each knob that matters: none for a block that is cut, nor for fields that its kind does not have."""
    values: dict[str, Value] = {}
    for knob in space.knobs:
        number, name = _block_of(knob.place)
        if number is not None and name not in ("cut", "kind"):
            kind = values.get(f"table.blocks.{number}.kind", space.table["blocks"][number]["kind"])
            if name not in fields_of(kind):
                continue
        if number is not None and name != "cut" and values.get(f"table.blocks.{number}.cut"):
            continue
        values[knob.place] = draw(knob)
    return values


def candidate(space: Space, values: Values, files: Files) -> Candidate:
    """The network of these values, the starting point's where there are none.

    Raises SubmissionError where there is no such network: a number out of range, a stride that leaves no pixels.
    """
    recipe = space.recipe | {
        place.removeprefix("recipe."): value for place, value in values.items() if place.startswith("recipe.")
    }
    table = {name: values.get(f"table.{name}", space.table[name]) for name in ("width", "depth")}
    made = parse_recipe(msgspec.yaml.encode(recipe), files.recipe)
    rows = parse(msgspec.yaml.encode(table | {"blocks": _blocks(space, values)}), files.table)
    shapes(rows, made.size, files.table)
    return Candidate(made, rows)


def refuse_impossible(space: Space, files: Files, source: str) -> Candidate:
    """The starting point. Raises UsageError naming the place of a value that, alone, makes no network of it."""
    try:
        start = candidate(space, {}, files)
    except SubmissionError as error:
        raise UsageError(f"{source}: the starting point with its single values: {error.message}") from error
    for knob in space.knobs:
        if knob.place.endswith(".cut"):
            continue  # of a table of one block nothing would be left, which its trial says
        for value in knob.setting.choose or (knob.setting.low, knob.setting.high):
            try:
                candidate(space, {knob.place: value}, files)
            except SubmissionError as error:
                raise UsageError(f"{source}: {knob.place}: {value}: {error.message}") from error
    return start


def write_package(made: Candidate, files: Files, folder: Path, name: str, about: str) -> None:
    """Makes the folder a package of the candidate; weights and checkpoint that are in it stay.

    Raises SubmissionError where its submission.toml is written so that it cannot be changed here.
    """
    shutil.copytree(files.package, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
    (folder / files.table).write_text(text(made.rows, about), encoding="utf-8")
    comment = "".join(f"# {line}\n" for line in about.splitlines())
    (folder / files.recipe).write_text(comment + msgspec.yaml.encode(made.recipe).decode(), encoding="utf-8")
    rename(folder, name, made.recipe.size)
    start_from = files.package / "weights" / made.recipe.start_from
    for ending in (".safetensors", ".json") if made.recipe.start_from else ():
        (folder / "weights").mkdir(exist_ok=True)
        if (weights := start_from.with_name(start_from.name + ending)).is_file():
            shutil.copy(weights, folder / "weights")


def rename(folder: Path, name: str, size: int | None = None) -> None:
    """Writes another name, and another size of [input], into a package's submission.toml."""
    path = folder / submission.MANIFEST
    said = _NAME.sub(f'name = "{name}"', path.read_text(encoding="utf-8"), count=1)
    if size is not None:
        said = _SIZE.sub(f"size = {size}", said)
    path.write_text(said, encoding="utf-8")
    manifest = read_manifest(folder)
    sides = manifest.input.sides() if manifest.input is not None else None
    if manifest.name != name or (size is not None and sides not in (None, (size, size))):
        raise SubmissionError(
            f"{submission.MANIFEST}: expected name = and, under [input], size = on lines of their own", kind="manifest"
        )


def write_untrained(net: nn.Module, package: Path, data: str, info: WeightsInfo) -> None:
    """Random weights, for a package whose time is taken before it is trained: time does not depend on weights."""
    write_weights(package, data, {name: value.numpy() for name, value in net.state_dict().items()}, info)


def _block_of(place: str) -> tuple[int | None, str]:
    """Block and field of a knob; None where it is of no block."""
    parts = place.split(".")
    return (int(parts[2]), parts[3]) if parts[:2] == ["table", "blocks"] else (None, "")


def _blocks(space: Space, values: Values) -> list[dict[str, Any]]:
    """The table's blocks with these values: some cut, copies behind those that are copied."""
    added = [value for place, value in values.items() if place.startswith("table.add.")]
    blocks: list[dict[str, Any]] = []
    for number, start in enumerate(space.table["blocks"]):
        if values.get(f"table.blocks.{number}.cut"):
            continue
        names = ("kind", *space.varied[number])
        changed = {name: values[place] for name in names if (place := f"table.blocks.{number}.{name}") in values}
        block = start | changed
        block = {name: value for name, value in block.items() if name == "kind" or name in fields_of(block["kind"])}
        again = block | {"repeat": 1} | ({"stride": 1} if block.get("stride", 1) != 1 else {})
        blocks += [block, *[again] * added.count(number)]
    return blocks


def is_trained(package: Path, data: str, recipe: Recipe) -> bool:
    """Whether the training of a worker that was killed is whole: its weights are there and its checkpoint is gone.

    Weights that the training itself starts from do not tell.
    """
    path = package / "weights" / f"{data}.json"
    if recipe.start_from == data or checkpoint_path(package, data).exists() or not path.is_file():
        return False
    return read_info(path).recipe == flat(recipe)


def curve_of(package: Path, data: str) -> list[float]:
    """Macro F1 on validation after each epoch, those before a kill too."""
    log = read_info(package / "weights" / f"{data}.json").log
    return [float(entry["val_f1"]) for entry in log if int(entry["epoch"])]
