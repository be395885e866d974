"""A package's files, inspected as data before anything of them runs: plain files only, few, small, plainly named."""

import contextlib
import math
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from harness.errors import SubmissionError
from harness.rules import Limits

_DEPTH = 16  # folders within folders; far below what a path or a recursion bears
_NAME_BYTES = 200  # of one name, so that a copy of it fits wherever it is made
_MANIFEST_BYTES = 64 << 10
_HEADER_BYTES = 4 << 20  # of a safetensors file; one of 10,000 tensors has 1 MB
_KEPT = ("running_mean", "running_var", "num_batches_tracked")
_CACHES = ("__pycache__",)
# Names are printed, hashed and opened again: no controls, no marks that turn the direction of writing, no halves.
_NEVER = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")


class _Tensor(msgspec.Struct):
    """What a safetensors header says of a tensor; its __metadata__ has no shape."""

    shape: tuple[int, ...] = ()


def listed(package: Path, name: str, limits: Limits, left_out: tuple[str, ...]) -> dict[str, Path]:
    """Relative name -> path of every file of a package, sorted; hidden names, caches and its folders `left_out` aside.

    Everything is counted, what is left out too, before anything is opened. Raises SubmissionError (kind "package").
    """
    found: dict[str, Path] = {}
    size = 0
    for entries, (path, relative) in enumerate(_walk(package, name, left_out), 1):
        status = path.lstat()
        if not _hidden(relative):  # an editor's lock, a checkout's own files: never copied
            _check_plain(status, name, relative)
            _check_name(name, relative)
            if stat.S_ISREG(status.st_mode):
                found[relative] = path
                size += status.st_size
        if entries > limits.package_files or size > limits.package_mb << 20:
            _refuse(name, f"at most {limits.package_files} files and {limits.package_mb} MiB", "more")
    _check_case(found, name)
    return dict(sorted(found.items()))


def copied(source: Path, target: Path, name: str, limits: Limits, before: int = 0) -> int:
    """Copies one plain file of a package: what is copied is what was checked, no link is followed, no pipe waited for.

    Returns the bytes of the package so far, `before` with it. Raises SubmissionError (kind "package") where it is none
    (any more) or the package larger than its limit.
    """
    size = before
    with opened(source, name) as file, target.open("xb") as copy:
        while data := file.read(1 << 20):
            size += len(data)
            if size > limits.package_mb << 20:
                _refuse(name, f"at most {limits.package_mb} MiB, weights included", f"more with {source.name}")
            copy.write(data)
    return size


def manifest(path: Path, name: str) -> bytes:
    """The bytes of a submission.toml. Raises SubmissionError (kind "package") for one that is too large to be one."""
    with opened(path, name) as file:
        text = file.read(_MANIFEST_BYTES + 1)
    if len(text) > _MANIFEST_BYTES:
        _refuse(name, f"at most {_MANIFEST_BYTES >> 10} KiB in {path.name}", "more")
    return text


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[BinaryIO]:
    """A plain file of a package, open for reading. Raises SubmissionError (kind "package"), FileNotFoundError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            _refuse(name, "plain files only", f"{path.name}, a link")
        _refuse(name, f"to read {path.name}", (error.strerror or str(error)).lower())
    with os.fdopen(descriptor, "rb") as file:
        _check_plain(os.fstat(descriptor), name, path.name, folder=False)
        yield file


def _walk(package: Path, name: str, left_out: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Every entry below the package with its relative name; not what is below hidden folders and `left_out`."""
    todo = [(package, "", 0)]
    while todo:
        folder, above, depth = todo.pop()
        if depth > _DEPTH:
            _refuse(name, f"at most {_DEPTH} folders within each other", "more")
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    relative = above + entry.name
                    yield Path(entry.path), relative
                    aside = _hidden(entry.name) or relative in left_out or entry.name in _CACHES
                    if entry.is_dir(follow_symlinks=False) and not aside:
                        todo.append((Path(entry.path), f"{relative}/", depth + 1))
        except OSError as error:
            _refuse(name, f"to list {above or 'its folder'}", (error.strerror or str(error)).lower())


def _check_plain(status: os.stat_result, name: str, shown: str, *, folder: bool = True) -> None:
    """A link to a file of the organiser's, a pipe that nobody fills, a device: none of it is part of a package."""
    mode = status.st_mode
    if stat.S_ISDIR(mode) and folder:
        return
    if not stat.S_ISREG(mode):
        _refuse(name, "plain files only", f"{_shown(shown)}, a {_kind(mode)}")
    if status.st_nlink > 1:
        _refuse(name, "plain files only", f"{_shown(shown)}, one of {status.st_nlink} hard links to a file; copy it")


def _check_name(name: str, relative: str) -> None:
    last = relative.rpartition("/")[2]
    if len(os.fsencode(last)) > _NAME_BYTES:
        _refuse(name, f"file names of at most {_NAME_BYTES} bytes", f"{_shown(last[:40])}…")
    if any(unicodedata.category(character) in _NEVER for character in last) or "\\" in last:
        _refuse(name, "file names of printable characters", _shown(relative))


def _check_case(found: dict[str, Path], name: str) -> None:
    """Two names that are one on another file system, or that look like one."""
    seen: dict[str, str] = {}
    for relative in sorted(found):
        folded = unicodedata.normalize("NFKC", relative).casefold()
        if folded in seen:
            _refuse(name, "names that differ in more than case", f"{_shown(seen[folded])} and {_shown(relative)}")
        seen[folded] = relative


def _hidden(relative: str) -> bool:
    return relative.rpartition("/")[2].startswith(".")


def _shown(text: str) -> str:
    """A name as ASCII, whatever it holds: what is wrong with it must be seen and must do nothing."""
    return ascii(text) if not (text.isascii() and text.isprintable()) else text


def _kind(mode: int) -> str:
    names = (
        (stat.S_ISLNK, "link"),
        (stat.S_ISFIFO, "pipe"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISDIR, "folder"),
    )
    return next((kind for test, kind in names if test(mode)), "device")


def _refuse(name: str, expected: str, got: str) -> NoReturn:
    raise SubmissionError(f"{name}: expected {expected}, got {got}", kind="package")


def parameters(path: Path) -> int | None:
    """How many numbers were learnt, by the header of a safetensors file; None where it is none or has no such header.

    Source: the format is 8 bytes of length, then JSON of that length (huggingface.co/docs/safetensors). Batch norm's
    running statistics are kept and not learnt.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _HEADER_BYTES:
                return None
            header = msgspec.json.decode(file.read(length), type=dict[str, _Tensor])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    shapes = [one.shape for name, one in header.items() if name != "__metadata__" and not name.endswith(_KEPT)]
    count = sum(math.prod(shape) for shape in shapes)
    return count if 0 < count <= path.stat().st_size and all(side >= 0 for shape in shapes for side in shape) else None
