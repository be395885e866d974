"""A search space, its package and the data, checked against each other before a search begins."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from harness.data.store import Store
    from harness.lab.search.candidate import Files
    from harness.lab.search.space import Space, Written
    from harness.submission import Manifest

_SPACE_BYTES = 1 << 20


class Ready(NamedTuple):
    """A search space that was checked against its package and the data."""

    files: "Files"
    space: "Space"
    epochs: int  # of the starting point
    size: int  # of its input, pixels a side
    identity: dict[str, str]  # what all trials of the search have in common


def checked(package: Path, path: Path, store: "Store") -> Ready:
    """Reads a space file. Raises HarnessError on whatever is wrong with it, the package or the data."""
    from harness import staging
    from harness.atomic import read_bytes
    from harness.lab.search.candidate import refuse_impossible
    from harness.lab.search.space import read

    text, source = read_bytes(path, _SPACE_BYTES), str(path)
    written = read(text, source)
    manifest = staging.read_manifest(package)
    files = _files(package, manifest, written, source)
    space, package_text = _laid(files, written, source)
    start = refuse_impossible(space, files, source)
    _check(package, manifest, store, space)
    identity = {
        "the package": _digest(package_text),
        "--space": _digest(text),
        "--data": store.manifest.digest,
    }
    return Ready(files, space, start.recipe.epochs, start.recipe.size, identity)


def _files(package: Path, manifest: "Manifest", written: "Written", source: str) -> "Files":
    """Where the package has its table and its recipe. Raises UsageError where it has no table."""
    from harness.cli.training import read_recipe
    from harness.errors import UsageError
    from harness.lab.search.candidate import Files

    read_recipe(package)  # refuses a package without, and one that lies elsewhere
    model, named = manifest.model, written.table.file
    table = model.architecture if model is not None and model.format == "table" else named
    if not table:
        raise UsageError(
            f"{package.name}: expected a table of blocks: [model] format table as `harness new NAME --from table` "
            f"makes, or its file under table: file: in {source}, got neither"
        )
    if Path(table).name != table or not (package / table).is_file() or (named and named != table):
        raise UsageError(f"{source}: table.file: expected the package's table, got {named or table}")
    assert manifest.recipe is not None
    return Files(package, table, manifest.recipe)


def _laid(files: "Files", written: "Written", source: str) -> "tuple[Space, bytes]":
    """The space over the package, and the bytes that it lies on."""
    from harness.cli.training import read_recipe
    from harness.lab.search.candidate import space_over
    from harness.submission import MANIFEST

    texts = [(files.package / name).read_bytes() for name in (files.table, files.recipe, MANIFEST)]
    return space_over(written, files, read_recipe(files.package), source), b"\0".join(texts)


def _check(package: Path, manifest: "Manifest", store: "Store", space: "Space") -> None:
    """Raises what the data say against the package or the space."""
    from harness.lab.train import whole_batches
    from harness.submission import check_classes

    if manifest.classes is not None:
        check_classes(package.name, manifest.classes, store.manifest.name, store.manifest.classes)
    store.training_labels("train")
    batches = [knob.setting for knob in space.knobs if knob.place == "recipe.batch"]
    largest = [one for its in batches for one in (*its.choose, its.high) if isinstance(one, int)]
    whole_batches(store, max([space.recipe["batch"], *largest]))


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
