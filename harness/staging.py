"""Makes the copy of a package that runs: plain files only, the weights of one data set, a digest over all of it."""

import contextlib
import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from harness import inspection, scratch, submission
from harness.atomic import machine
from harness.errors import SubmissionError, UsageError
from harness.formats import ENDINGS, FORMATS, MODEL_FILE, declared
from harness.paths import resolve
from harness.record import Package
from harness.rules import Limits

CLASSES_FILE = "classes.json"
_WEIGHTS, _TRAINABLE = "weights", ("fit.py", "model.py")
WEIGHTS_FILE = "weights"  # and an ending, in the staged copy
_LEFT_OUT = (_WEIGHTS,)  # and hidden names, caches
_INFO_BYTES = 4 << 20  # of weights/<data>.json; its log of a training has some 100 KB


class Target(NamedTuple):
    """What a package is staged for: a data set's name and ordered class names; whose weights it takes."""

    data: str
    classes: tuple[str, ...]
    weights_of: str | None = None  # another data set's, on purpose: a transfer
    digest: str | None = None  # the data set's; weights that name another one were fitted on another split

    @property
    def weights(self) -> str:
        """The data set whose weights are taken."""
        return self.weights_of or self.data


class _Info(msgspec.Struct):
    """What staging reads of weights/<data>.json; its other keys are the package's own."""

    classes: tuple[str, ...]
    data_digest: str | None = None


_GRAPH_BYTES = 64 << 20  # of a model file; one whose weights lie outside of it is far smaller
HOMES = ("submissions", "baselines")
_NAMED = 6  # packages that a message lists


def find(root: Path, name: str) -> Path:
    """The folder of a package, by path or by its name in one of HOMES. Raises UsageError with the names there are."""
    for home in HOMES if name else ():
        path = resolve(root, name, home)
        if path.is_dir():
            return path
    there = sorted(path.parent.name for home in HOMES for path in (root / home).glob(f"*/{submission.MANIFEST}"))
    close = difflib.get_close_matches(name, there, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else _there(there)
    raise UsageError(
        f"no package {name or 'without a name'}: expected a folder or a name in {' or '.join(HOMES)}; {hint}"
    )


def _there(names: list[str]) -> str:
    if not names:
        return "there is none yet; `harness new NAME` makes one"
    return f"there are {', '.join(names[:_NAMED])}" + (f" and {len(names) - _NAMED} more" * (len(names) > _NAMED))


def read_manifest(package: Path) -> submission.Manifest:
    """The package's submission.toml. Raises SubmissionError (kind "manifest") where it is missing or malformed."""
    try:
        text = inspection.manifest(package / submission.MANIFEST, package.name)
    except FileNotFoundError:
        raise SubmissionError(
            f"{package.name}: expected {submission.MANIFEST}, got no such file; `harness new NAME` makes one",
            kind="manifest",
        ) from None
    return submission.parse(text, f"{package.name}/{submission.MANIFEST}")


def weights_of(package: Path) -> list[str]:
    """The names of the data sets that the package has weights for, sorted."""
    return sorted(path.stem for path in (package / _WEIGHTS).glob("*.json") if path.stem.isprintable())


def likely_target(package: Path, data: str | None) -> Target:
    """What to check a package for, without a data set: `data`'s weights, else the first that it has.

    Class names come from the weights, else from the manifest, else there are six without a name.
    """
    names = weights_of(package)
    chosen = data or (names[0] if names else "DATA")
    manifest = read_manifest(package)
    if chosen in names:
        return Target(chosen, _info(manifest.name, package / _WEIGHTS / f"{chosen}.json").classes)
    return Target(chosen, manifest.classes or tuple(f"class {number}" for number in range(6)))


def takes_weights(package: Path) -> bool:
    """Whether the package runs with a data set's weights: it has a weights/ folder, a fit.py or a model.py; without
    Python, whether it names no file.
    """
    model = read_manifest(package).model
    if model is not None:
        return model.file is None
    return any((package / name).exists() for name in (_WEIGHTS, *_TRAINABLE))


def unstaged(package: Path, weights_of: str | None) -> Package:
    """What a record says of a package before it is staged: no digest, its folder's name where it says no other."""
    try:
        manifest = read_manifest(package)
    except SubmissionError:
        return Package(name=package.name, digest="", weights_of=weights_of)
    return Package(manifest.name, "", manifest.authors, manifest.description, weights_of)


@contextlib.contextmanager
def staged(package: Path, target: Target, limits: Limits) -> Iterator[tuple[Package, Path]]:
    """A copy of the package for the target, and what a record says of it; the copy is gone at the end.

    Raises SubmissionError: kinds "manifest", "package" (files that are not allowed), "requires", "weights", "classes".
    """
    manifest = read_manifest(package)
    submission.check_requirements(manifest)
    _check_kind(package, manifest)
    files = inspection.listed(package, manifest.name, limits, _LEFT_OUT)
    _check_model(files, manifest)
    for ours in (CLASSES_FILE, MODEL_FILE):
        files.pop(ours, None)
    files |= _weights(package, manifest, target)
    folder = scratch.folder("package")
    try:
        with machine(folder):
            size = 0
            for name, source in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                size = inspection.copied(source, folder / name, manifest.name, limits, size)
            (folder / CLASSES_FILE).write_bytes(msgspec.json.encode(target.classes))
            if manifest.model is not None and manifest.input is not None:
                said = declared(manifest.model, manifest.input, manifest.batch)
                (folder / MODEL_FILE).write_bytes(msgspec.json.encode(said))
            digest, size = _seal(folder)
        numbers = inspection.parameters(folder / f"{WEIGHTS_FILE}.safetensors")
        yield (
            Package(
                name=manifest.name,
                digest=digest,
                authors=manifest.authors,
                description=manifest.description,
                weights_of=target.weights_of,
                size_bytes=size,
                format="python" if manifest.model is None else manifest.model.format,
                parameters=msgspec.UNSET if numbers is None else numbers,
            ),
            folder,
        )
    finally:
        scratch.remove(folder)


def _check_kind(package: Path, manifest: submission.Manifest) -> None:
    """Raises SubmissionError unless the package has either a predict.py or a [model]."""
    has_python, model = (package / submission.PREDICT).is_file(), manifest.model
    if model is None:
        if not has_python:
            raise SubmissionError(
                f"{manifest.name}: expected a file {submission.PREDICT} or [model] in {submission.MANIFEST}, got none",
                kind="package",
            )
        return
    if has_python:
        raise SubmissionError(
            f"{manifest.name}: expected {submission.PREDICT} or [model], got both; one of them would never run",
            kind="package",
        )


def _check_model(files: dict[str, Path], manifest: submission.Manifest) -> None:
    """Raises SubmissionError unless the file that [model] names is one of those that are copied, with all its parts."""
    model = manifest.model
    if model is None or model.file is None:
        return
    for ending in FORMATS[model.format].endings:
        name = str(PurePosixPath(model.file).with_suffix(ending))
        if name in files:
            continue
        hint = ""
        if name.startswith(f"{_WEIGHTS}/"):
            hint = f"; what lies in {_WEIGHTS}/ is taken by the data set's name, without file"
        raise SubmissionError(
            f"{manifest.name}: [model] file: expected {name} in the package, got none{hint}", kind="package"
        )


def _weights(package: Path, manifest: submission.Manifest, target: Target) -> dict[str, Path]:
    """The weight files for the target, under the names that the package sees; none for a package without."""
    if manifest.classes is not None:
        submission.check_classes(manifest.name, manifest.classes, target.data, target.classes)
    if not takes_weights(package):
        return {}
    folder = package / _WEIGHTS
    info = folder / f"{target.weights}.json"
    endings = _endings(manifest)
    tensors = {ending: path for ending in endings if (path := folder / f"{target.weights}{ending}").is_file()}
    whole = endings if manifest.model is not None else tuple(tensors)
    if not (tensors and len(tensors) == len(whole) and info.is_file()):
        raise SubmissionError(_no_weights(package, manifest, target, folder), kind="weights")
    said = _info(manifest.name, info)
    submission.check_classes(manifest.name, said.classes, target.data, target.classes)
    if target.weights_of is None and target.digest is not None and said.data_digest not in (None, target.digest):
        raise SubmissionError(
            f"{manifest.name}: its weights were fitted on another preparation of {target.data}, whose training photos "
            f"may be test photos here; fit again, or --weights-of {target.data} (a transfer)",
            kind="weights",
        )
    staged = {f"{WEIGHTS_FILE}{ending}": path for ending, path in tensors.items()} | {"weights.json": info}
    return staged | (_outside(tensors, manifest.name) if manifest.model is not None else {})


def _outside(tensors: dict[str, Path], name: str) -> dict[str, Path]:
    """What a model's file holds outside of itself, like trash.onnx.data: it names it, so it keeps its name.

    A model that was renamed still names it as before: what lies beside it is asked for by the bytes of its name.
    """
    found = {}
    for model in tensors.values():
        beside = [path for path in sorted(model.parent.iterdir()) if path.suffix not in (*ENDINGS, ".json")]
        if not beside:
            continue
        with inspection.opened(model, name) as file:
            its = file.read(_GRAPH_BYTES)
        for path in beside:
            if path.is_file() and (path.name.startswith(model.name) or path.name.encode() in its):
                found[path.name] = path
    return found


def _endings(manifest: submission.Manifest) -> tuple[str, ...]:
    """How a package's weights end: those of its format, all of them; with a predict.py any that is known."""
    return ENDINGS if manifest.model is None else FORMATS[manifest.model.format].endings


def _info(name: str, info: Path) -> _Info:
    try:
        with inspection.opened(info, name) as file:
            return msgspec.json.decode(file.read(_INFO_BYTES), type=_Info)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SubmissionError(
            f"{name}: weights/{info.name}: expected class names, got {error}", kind="weights"
        ) from error


def _no_weights(package: Path, manifest: submission.Manifest, target: Target, folder: Path) -> str:
    ending = _endings(manifest)[0] if manifest.model is not None else ".safetensors"
    others = sorted(path.stem for path in folder.glob("*.json") if path.stem != target.weights)
    text = f"{manifest.name}: no weights for {target.weights}: expected weights/{target.weights}{ending} and .json"
    if manifest.recipe is not None:
        text += f"; train them: harness train {_shown(package)} --data {target.weights}"
    elif (package / "fit.py").exists():
        text += f"; fit them: python {_shown(package)}/fit.py --data {target.weights}"
    elif (package / "write.py").exists():
        text += f"; write them: python {_shown(package)}/write.py --data {target.weights}"
    if others:
        text += f"; it has those of {', '.join(others)}: `evaluate --weights-of` takes them, marked as a transfer"
    return text


def _shown(path: Path) -> str:
    """As short as it can be typed here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _seal(folder: Path) -> tuple[str, int]:
    """Makes the copy read-only for every user; (sha256 over its sorted names and contents, bytes in all)."""
    total, size = hashlib.sha256(), 0
    folder.chmod(0o755)
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
            continue
        path.chmod(0o444)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder)}\0{content}\n".encode())
        size += path.stat().st_size
    return total.hexdigest(), size
