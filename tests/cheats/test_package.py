"""What a package's files may be: inspected as data, before anything of it runs."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.errors import SubmissionError
from harness.rules import Limits, Rules
from harness.staging import Target, staged
from tests.cells import Cell
from tests.conftest import CLASSES, PREDICT, MakePackage


def refusal(package: Path, target: Target, limits: Limits) -> SubmissionError:
    with pytest.raises(SubmissionError) as caught, staged(package, target, limits):
        pass
    assert "\n" not in caught.value.message
    return caught.value


def a_device(package: Path) -> None:
    try:
        os.mknod(package / "x", 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def a_socket(package: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(package)  # a socket's path is short
        try:
            made.bind("x")
        finally:
            os.chdir(before)


def a_hard_link(package: Path) -> None:
    secret = package.parent / "labels"
    secret.write_text("[0, 1]")
    os.link(secret, package / "x")


def deep(package: Path) -> None:
    for _ in range(60):
        package /= "d"
        package.mkdir()


def wide(package: Path) -> None:
    for number in range(40):
        (package / f"folder{number}").mkdir()


def weights(package: Path, info: str, tensors: bytes = b"\0") -> None:
    (package / "weights").mkdir()
    (package / "weights" / "exam.json").write_text(info)
    (package / "weights" / "exam.safetensors").write_bytes(tensors)


def nested(package: Path) -> None:
    weights(package, '{"classes": ' + "[" * 100_000 + "]" * 100_000 + "}")


def a_linked_manifest(package: Path) -> None:
    (package / "submission.toml").rename(package.parent / "elsewhere")
    (package / "submission.toml").symlink_to(package.parent / "elsewhere")


def a_piped_manifest(package: Path) -> None:
    (package / "submission.toml").unlink()
    os.mkfifo(package / "submission.toml")


def sparse(package: Path) -> None:
    with (package / "big").open("wb") as file:
        file.truncate(1 << 40)


INSPECTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link out of it": (lambda p: (p / "x").symlink_to("/etc/passwd"), "expected plain files only, got x, a link"),
    "a linked folder": (lambda p: (p / "x").symlink_to("/etc"), "expected plain files only, got x, a link"),
    "a pipe": (lambda p: os.mkfifo(p / "x"), "expected plain files only, got x, a pipe"),
    "a socket": (a_socket, "expected plain files only, got x, a socket"),
    "a device": (a_device, "expected plain files only, got x, a device"),
    "a hard link to the labels": (a_hard_link, "expected plain files only, got x, one of 2 hard links"),
    "a manifest by a link": (a_linked_manifest, "expected plain files only, got submission.toml, a link"),
    "a manifest that is a pipe": (a_piped_manifest, "expected plain files only, got submission.toml, a pipe"),
    "a manifest of 1 MiB": (
        lambda p: (p / "submission.toml").write_text('name = "x"\n#' + "x" * (1 << 20)),
        "expected at most 64 KiB in submission.toml, got more",
    ),
    "a name with a newline": (lambda p: (p / "a\nb").write_text(""), "expected file names of printable characters"),
    "a name with an escape": (lambda p: (p / "\x1b[2J").write_text(""), "expected file names of printable characters"),
    "a name that turns the writing": (
        lambda p: (p / "weights\u202etxt.py").write_text(""),
        "expected file names of printable characters, got 'weights\\u202etxt.py'",
    ),
    "a name that is no text": (
        lambda p: (Path(os.fsdecode(os.fsencode(str(p)) + b"/\xff\xfe"))).write_text(""),
        "expected file names of printable characters",
    ),
    "a name that is too long": (lambda p: (p / ("x" * 230)).write_text(""), "expected file names of at most 200 bytes"),
    "two names that differ in case": (
        lambda p: [(p / name).write_text("") for name in ("Model.py", "model.py")],
        "expected names that differ in more than case, got Model.py and model.py",
    ),
    "two names that look alike": (
        lambda p: [(p / name).write_text("") for name in ("ﬁt.py", "fit.py")],
        "expected names that differ in more than case",
    ),
    "folders without end": (deep, "expected at most 16 folders within each other, got more"),
    "too many folders": (wide, "expected at most 30 files"),
    "a file of a terabyte that takes no space": (sparse, "expected at most 30 files and 8 MiB, got more"),
    "class names nested without end": (nested, "weights/exam.json: expected class names"),
    "weights larger than a package may be": (
        lambda p: weights(p, json.dumps({"classes": CLASSES}), b"x" * (9 << 20)),
        "expected at most 8 MiB, weights included, got more with exam.safetensors",
    ),
    "files and weights that are larger together": (
        lambda p: (
            (p / "more.bin").write_bytes(b"x" * (5 << 20)),
            weights(p, json.dumps({"classes": CLASSES}), b"x" * (5 << 20)),
        ),
        "expected at most 8 MiB, weights included, got more with exam.safetensors",
    ),
}


@pytest.mark.parametrize("name", INSPECTED)
def test_a_package_that_is_not_plain_is_refused(
    name: str, make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    spoil, says = INSPECTED[name]
    limits = msgspec.structs.replace(the_rules.limits, package_mb=8, package_files=30)
    package = make_package("net")
    with staged(package, target, limits):
        pass  # the control: without what is wrong with it, it is taken
    spoil(package)
    assert says in refusal(package, target, limits).message


SHADOWS = ("json", "os", "socket", "harness", "wire", "struct", "sitecustomize", "usercustomize", "conftest", "setup")


def test_nothing_of_a_package_runs_before_its_load_or_in_the_place_of_ours(strong: Cell) -> None:
    """Files that Python, pytest or pip would run on their own, and names of modules that the worker needs."""
    shadows = dict.fromkeys(SHADOWS, "raise SystemExit('a package ran in the place of ours')\n")
    assert strong.error(PREDICT, **shadows) is None


def test_a_copy_is_what_runs_and_what_the_digest_is_of(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net")
    with staged(package, target, the_rules.limits) as (described, folder):
        (package / "predict.py").write_text("raise SystemExit")
        assert (folder / "predict.py").read_text() == PREDICT
    with staged(package, target, the_rules.limits) as (changed, _):
        assert changed.digest != described.digest


def test_pickled_weights_are_opened_in_the_worker_alone(
    strong: Cell, make_package: MakePackage, target: Target, the_rules: Rules, tmp_path: Path
) -> None:
    """A pickle that runs code: the judge hashes it and no more; in the worker it is in its cell."""
    marker = tmp_path / "ran"
    package = make_package("net")
    spell = f"cbuiltins\nexec\n(S'open({str(marker)!r}, \"w\").close()'\ntR.".encode()
    (package / "weights.pkl").write_bytes(spell)
    with staged(package, target, the_rules.limits):
        assert not marker.exists()
    said = strong.tried(f"import pickle\npickle.loads({spell!r})")
    assert not marker.exists()
    assert "Error" in said
    import pickle

    pickle.loads(spell)  # noqa: S301 (the control)
    assert marker.exists()
