"""Makes a new submission: a copy of a bundled package, or one without Python from harness/starts."""

import re
import shutil
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import NamedTuple

from harness.atomic import machine
from harness.errors import UsageError
from harness.formats import FORMATS, FormatName
from harness.submission import MANIFEST, missing_for, parse

_STARTS = Path(__file__).with_name("starts")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r'^(name|authors)\s*=\s*".*"$', re.MULTILINE)
_HOMES = ("submissions", "baselines")  # a package is found by its name in either
_TEXTS = (".md", ".py", ".toml")


class From(StrEnum):
    """What a submission can start from."""

    template = "template"
    numpy = "numpy"
    table = "table"
    torchvision = "torchvision"
    timm = "timm"
    onnx = "onnx"
    openvino = "openvino"
    torch_export = "torch.export"
    torchscript = "torchscript"


class Copy(NamedTuple):
    """A bundled package that is copied; `edits` (old, new) take out what is true of that one alone."""

    package: str
    edits: tuple[tuple[str, str], ...]
    change: str  # what its author will want to change first
    without: tuple[str, ...] = ()  # files


class Declared(NamedTuple):
    """A package without Python. Its manifest and files lie in harness/starts."""

    format: FormatName
    manifest: str
    files: tuple[str, ...]
    change: str
    architecture: str = ""
    says: str = ""  # of the architecture


def _finished(name: FormatName) -> Declared:
    return Declared(name, "finished.toml", ("write.py",), "network() in write.py; [input] in submission.toml")


def _named(name: FormatName, architecture: str, says: str) -> Declared:
    return Declared(
        name, "trained.toml", ("recipe.yaml",), "architecture in submission.toml; recipe.yaml", architecture, says
    )


STARTS: dict[From, Copy | Declared] = {
    From.template: Copy(
        "submissions/template",
        (
            ("`harness new NAME` copies this folder.", "`harness new` copied it from submissions/template."),
            ("# template\n", "# $name\n"),
        ),
        "model.py; SIZE in preprocess.py; Recipe in fit.py",
    ),
    From.numpy: Copy(
        "baselines/colour_histogram",
        (
            ("; numpy only. The canary: must stay ineligible", "; numpy only"),
            (": a canary is to be plain, not tuned", ""),
        ),
        "histogram.py; the model in fit.py and predict.py",
        without=("README.md",),  # of the canary
    ),
    From.table: Declared(
        "table",
        "trained.toml",
        ("recipe.yaml", "network.yaml"),
        "network.yaml, recipe.yaml",
        architecture="network.yaml",
        says="a row a block",
    ),
    From.torchvision: _named("torchvision", "mobilenet_v3_small", "any classifier in torchvision.models"),
    From.timm: _named("timm", "mobilenetv3_small_050", "any name in timm.list_models()"),
    From.onnx: _finished("onnx"),
    From.openvino: _finished("openvino"),
    From.torch_export: _finished("torch.export"),
    From.torchscript: _finished("torchscript"),
}
_WEIGHTS_BY = {  # by the file that a start has: what makes its weights
    "fit.py": ("fit it", "python submissions/$name/fit.py --data DATA"),
    "recipe.yaml": ("train it", "harness train submissions/$name --data DATA"),
    "write.py": ("write it", "python submissions/$name/write.py --data DATA [--weights FILE.safetensors]"),
}


def new_submission(root: Path, name: str, start: From = From.template) -> Path:
    """Makes submissions/<name> of a start, under its own name and without weights; its folder.

    Raises UsageError on a name that no folder should have or that is taken and on a start that is not there,
    MachineError where it cannot write.
    """
    folder, its = root / "submissions" / name, STARTS[start]
    check_name(root, name)
    if isinstance(its, Copy) and not (root / its.package / MANIFEST).is_file():
        raise UsageError(f"--from {start}: expected {its.package} to copy, got none; take another start")
    with machine(folder):
        folder.mkdir(parents=True)
        try:
            if isinstance(its, Copy):
                _copy(root, its, folder)
            else:
                _declare(its, folder)
            parse((folder / MANIFEST).read_bytes(), f"{name}/{MANIFEST}")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def next_steps(folder: Path, start: From) -> list[tuple[str, str]]:
    """What to do with a package that was made of the start: (a few words, a command or what to change)."""
    weights = [step for file, step in _WEIGHTS_BY.items() if (folder / file).is_file()]
    steps = [
        *weights,
        ("check it", "harness check submissions/$name"),
        ("judge it", "harness evaluate submissions/$name --data DATA"),
    ]
    return [("change", STARTS[start].change), *((what, _filled(how, name=folder.name)) for what, how in steps)]


def notes(start: From) -> list[str]:
    """What speaks against a start here: what is not installed to make and to run it, with the command; its format."""
    its = STARTS[start]
    if isinstance(its, Copy):
        return []
    missing = missing_for(its.format, writing=True)
    return [text for text in (missing and f"not everything is installed: {missing}", FORMATS[its.format].note) if text]


def check_name(root: Path, name: str) -> None:
    """Raises UsageError on a name that no new package can have: an odd one, or one that is taken."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"expected a name of letters, digits, '.', '_' and '-', got {name!r}")
    for home in _HOMES:
        if (root / home / name).exists():
            raise UsageError(f"{home}/{name}: expected a new name, it is there already")


def _copy(root: Path, its: Copy, folder: Path) -> None:
    """A copy of the package that speaks of itself by its new name."""
    left_out = shutil.ignore_patterns("weights", "__pycache__", ".*", *its.without)
    shutil.copytree(root / its.package, folder, ignore=left_out, dirs_exist_ok=True)
    for path in folder.rglob("*"):
        if path.suffix not in _TEXTS or not path.is_file():
            continue
        text = re.sub(rf"\b{its.package}\b", f"submissions/{folder.name}", path.read_text(encoding="utf-8"))
        for old, new in its.edits:
            text = text.replace(old, _filled(new, name=folder.name))
        if path == folder / MANIFEST:
            text = _KEY.sub(lambda line: f'{line[1]} = "{folder.name if line[1] == "name" else ""}"', text)
        path.write_text(text, encoding="utf-8")


def _declare(its: Declared, folder: Path) -> None:
    values = {
        "name": folder.name,
        "format": its.format,
        "ending": FORMATS[its.format].endings[0],
        "architecture": its.architecture,
        "says": its.says,
    }
    for source, written in ((its.manifest, MANIFEST), *((file, file) for file in its.files)):
        text = (_STARTS / source).read_text(encoding="utf-8")
        (folder / written).write_text(_filled(text, **values), encoding="utf-8")


def _filled(text: str, **values: str) -> str:
    """A text with its $ names filled in; KeyError on one that is not given."""
    return Template(text).substitute(values)
