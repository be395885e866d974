"""The copy of a package that runs: what is in it, what is refused, what its digest is over."""

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from harness import inspection, submission
from harness.errors import HarnessError, SubmissionError, UsageError
from harness.rules import Rules
from harness.staging import Target, find, likely_target, staged
from tests.conftest import CLASSES, ROOT, MakePackage


def stage(package: Path, target: Target, rules: Rules) -> tuple[str, dict[str, bytes]]:
    """Its digest, and what lies in the copy."""
    with staged(package, target, rules.limits) as (described, folder):
        files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        return described.digest, files


def add_weights(package: Path, data: str, classes: tuple[str, ...] = CLASSES, value: float = 1.0) -> None:
    (package / "weights").mkdir(exist_ok=True)
    save_file({"w": np.full(3, value)}, package / "weights" / f"{data}.safetensors")
    (package / "weights" / f"{data}.json").write_text(json.dumps({"classes": classes, "recipe": {}}))


def refused(package: Path, target: Target, rules: Rules) -> SubmissionError:
    with pytest.raises(SubmissionError) as caught, staged(package, target, rules.limits):
        pass
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 4
    return caught.value


def test_weights_of_another_preparation_of_the_data_are_a_transfer_or_refused(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net", model="x = 1\n")
    add_weights(package, "exam")
    known = target._replace(digest="a" * 64)
    stage(package, known, the_rules)  # weights that do not say
    info = {"classes": CLASSES, "data_digest": "a" * 64}
    (package / "weights" / "exam.json").write_text(json.dumps(info))
    stage(package, known, the_rules)
    (package / "weights" / "exam.json").write_text(json.dumps(info | {"data_digest": "b" * 64}))
    error = refused(package, known, the_rules)
    assert error.kind == "weights"
    assert "fitted on another preparation of exam" in error.message
    stage(package, known._replace(weights_of="exam"), the_rules)


def test_the_copy_has_the_files_and_the_weights_of_one_data_set(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net", model="x = 1\n")
    add_weights(package, "exam")
    add_weights(package, "another", value=2.0)
    (package / "__pycache__").mkdir()
    (package / ".git").mkdir()
    (package / ".git" / "config").write_text("")
    _, files = stage(package, target, the_rules)
    assert set(files) == {
        "submission.toml",
        "predict.py",
        "model.py",
        "weights.safetensors",
        "weights.json",
        "classes.json",
    }
    assert json.loads(files["classes.json"]) == list(CLASSES)
    assert files["weights.safetensors"] == (package / "weights" / "exam.safetensors").read_bytes()


def test_what_a_package_weighs_is_read_from_its_weights(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net", model="x = 1\n")
    add_weights(package, "exam")
    tensors = {"a": np.zeros((4, 5)), "b.running_mean": np.zeros(7), "b.bias": np.zeros(())}
    save_file(tensors, package / "weights" / "exam.safetensors", {"by": "us"})
    with staged(package, target, the_rules.limits) as (described, _):
        assert (described.format, described.parameters, described.macs) == ("python", 21, msgspec.UNSET)
    with staged(make_package("plain"), target, the_rules.limits) as (described, _):
        assert described.parameters is msgspec.UNSET


STRANGE = (
    *(b'{"a":{"shape":[-1]}}', b'{"a":{"shape":[9999999999]}}', b'{"a":{"shape":[1e9]}}', b'{"a":{"shape":"x"}}'),
    *(b"{}", b"[]", b"null", b"{" * 9, b"\xff" * 9),
)


@pytest.mark.parametrize("header", [b"", b"\xff" * 8, *(len(text).to_bytes(8, "little") + text for text in STRANGE)])
def test_a_strange_header_says_nothing(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(header)
    assert inspection.parameters(path) is None


def test_the_copy_is_readable_by_all_and_writable_by_none_and_goes_away(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    with staged(make_package("net"), target, the_rules.limits) as (_, folder):
        assert folder.stat().st_mode & 0o777 == 0o755
        assert (folder / "predict.py").stat().st_mode & 0o777 == 0o444
    assert not folder.exists()


def test_the_digest_is_over_every_byte_that_runs(make_package: MakePackage, target: Target, the_rules: Rules) -> None:
    package = make_package("net")
    add_weights(package, "exam")
    first, _ = stage(package, target, the_rules)
    assert stage(package, target, the_rules)[0] == first
    add_weights(package, "another")
    assert stage(package, target, the_rules)[0] == first, "another data set's weights do not run"
    add_weights(package, "exam", value=1.5)
    second, _ = stage(package, target, the_rules)
    (package / "predict.py").write_text("# a comment\n" + (package / "predict.py").read_text())
    third, _ = stage(package, target, the_rules)
    assert len({first, second, third}) == 3


def test_missing_weights_name_the_way_to_get_them(make_package: MakePackage, target: Target, the_rules: Rules) -> None:
    package = make_package("net", fit="")
    error = refused(package, target, the_rules)
    assert error.kind == "weights"
    assert "no weights for exam" in error.message
    assert "fit.py --data exam" in error.message
    add_weights(package, "another")
    assert "it has those of another: `evaluate --weights-of` takes them" in refused(package, target, the_rules).message


def test_weights_of_another_data_set_are_a_transfer(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net")
    add_weights(package, "another", value=3.0)
    with staged(package, target._replace(weights_of="another"), the_rules.limits) as (described, folder):
        assert described.weights_of == "another"
        assert (folder / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("classes", "hint"),
    [
        (CLASSES[::-1], "the same names in another order"),
        ((*CLASSES[:5], "Glass"), "other names"),
        (("a",), "other names"),
    ],
)
def test_other_class_names_are_shown_beside_the_data_sets(
    classes: tuple[str, ...], hint: str, make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net")
    add_weights(package, "exam", classes)
    error = refused(package, target, the_rules)
    assert error.kind == "classes"
    assert ", ".join(CLASSES) in error.message
    assert ", ".join(classes) in error.message
    assert hint in error.message


def test_a_package_with_fixed_classes_must_have_the_data_sets(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net", manifest='name = "net"\nclasses = ["Cat", "Dog"]\n')
    assert refused(package, target, the_rules).kind == "classes"


@pytest.mark.parametrize("what", ["link", "linked folder", "pipe", "linked weights"])
def test_only_plain_files_are_taken(
    what: str, make_package: MakePackage, target: Target, the_rules: Rules, tmp_path: Path
) -> None:
    package = make_package("net")
    if what == "link":
        (package / "labels").symlink_to("/etc/passwd")
    elif what == "linked folder":
        (package / "folder").symlink_to("/etc")
    elif what == "pipe":
        os.mkfifo(package / "pipe")
    else:
        add_weights(package, "exam")
        (package / "weights" / "exam.safetensors").rename(tmp_path / "elsewhere")
        (package / "weights" / "exam.safetensors").symlink_to(tmp_path / "elsewhere")
    error = refused(package, target, the_rules)
    assert error.kind == "package"
    assert "expected plain files only" in error.message


def test_a_package_that_is_too_large_is_refused(make_package: MakePackage, target: Target, the_rules: Rules) -> None:
    package = make_package("net")
    small = msgspec.structs.replace(the_rules, limits=msgspec.structs.replace(the_rules.limits, package_files=3))
    (package / "a").write_text("")
    (package / "b").write_text("")
    assert "expected at most 3 files" in refused(package, target, small).message


def test_no_predict_is_said(make_package: MakePackage, target: Target, the_rules: Rules) -> None:
    package = make_package("net")
    (package / "predict.py").unlink()
    assert (
        "expected a file predict.py or [model] in submission.toml, got none"
        in refused(package, target, the_rules).message
    )


def test_no_manifest_is_said(make_package: MakePackage, target: Target, the_rules: Rules) -> None:
    package = make_package("net")
    (package / "submission.toml").unlink()
    error = refused(package, target, the_rules)
    assert (error.kind, "expected submission.toml" in error.message) == ("manifest", True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a key name"),
        ("name = 3", "name: expected str, got int"),
        ('name = "x"\nrequire = []', "unknown key require"),
        ('name = "x"\nrequires = ["torch >= "]', "expected one like torch>=2.9"),
        ('name = "x"\nbatch = 0', "batch: expected 1 to 1024, got 0"),
        ('name = ""', "name: expected printable characters"),
        ('name = "a\\u0007b"', "name: expected printable characters"),
        (f'name = "{"x" * 300}"', "name: expected at most 200 characters, got 300"),
        ("name = ", "expected the keys of a package: Invalid value"),
        ("\x00", "expected the keys of a package: Invalid statement (at line 1"),
    ],
)
def test_a_malformed_manifest_names_its_fault(text: str, says: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        submission.parse(text.encode(), "net/submission.toml")
    assert says in caught.value.message
    assert caught.value.message.startswith("net/submission.toml: ")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_one_clear_error(text: bytes) -> None:
    try:
        submission.parse(text, "submission.toml")
    except HarnessError as error:
        assert error.kind == "manifest"


def test_requirements_are_checked_before_anything_runs(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    manifest = 'name = "net"\nrequires = ["numpy>=1", "numpy>=99", "nothing-of-this-name>=1"]\n'
    error = refused(make_package("net", manifest=manifest), target, the_rules)
    assert error.kind == "requires"
    assert "numpy>=99 (installed: " in error.message
    assert "nothing-of-this-name>=1 (not installed)" in error.message
    assert "pip install" in error.message


def test_an_unknown_package_lists_those_that_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        find(ROOT, "no_such_thing")
    listed = caught.value.message.partition("there are ")[2].partition(" and ")[0].split(", ")
    assert {"colour_histogram", "mbv3_cut"} <= set(listed)
    with pytest.raises(UsageError, match="did you mean mbv3_cut"):
        find(ROOT, "mbv3-cut")


def test_what_a_package_is_checked_for_comes_from_its_weights(make_package: MakePackage) -> None:
    package = make_package("net")
    assert len(likely_target(package, None).classes) == 6
    add_weights(package, "trash", ("a", "b", "c"))
    assert likely_target(package, None) == Target("trash", ("a", "b", "c"))


def test_a_models_outside_data_comes_along_under_the_name_that_it_has_for_it(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net", manifest='name = "net"\n[model]\nformat = "onnx"\n[input]\nsize = 32\n')
    (package / "predict.py").unlink()
    (package / "weights").mkdir()
    for data in ("exam", "another"):
        (package / "weights" / f"{data}.json").write_text(json.dumps({"classes": CLASSES}))
        (package / "weights" / f"{data}.onnx").write_bytes(b"a model")
        (package / "weights" / f"{data}.onnx.data").write_bytes(b"its weights")
    _, files = stage(package, target, the_rules)
    assert {name for name in files if name not in ("submission.toml", "classes.json", "harness-model.json")} == {
        "weights.onnx",
        "weights.json",
        "exam.onnx.data",
    }


def test_a_model_that_was_renamed_keeps_the_outside_data_that_it_names(
    make_package: MakePackage, target: Target, the_rules: Rules
) -> None:
    package = make_package("net", manifest='name = "net"\n[model]\nformat = "onnx"\n[input]\nsize = 32\n')
    (package / "predict.py").unlink()
    (package / "weights").mkdir()
    (package / "weights" / "exam.json").write_text(json.dumps({"classes": CLASSES}))
    (package / "weights" / "exam.onnx").write_bytes(b"location: model.onnx.data")
    for name in ("model.onnx.data", "other.onnx.data", "notes.txt"):
        (package / "weights" / name).write_bytes(b"some bytes")
    _, files = stage(package, target, the_rules)
    assert "model.onnx.data" in files
    assert not {"other.onnx.data", "notes.txt"} & set(files)
