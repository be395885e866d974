"""harness export, then check and evaluate what it wrote."""

import json
import re

import pytest

from tests.cli.conftest import Project


def test_an_export_is_judged_like_any_package(trained: Project) -> None:
    said = trained.run("export", "mbv3_cut", "--to", "onnx", "--name", "cut_out").stdout
    assert re.search(r"cut_out: mbv3_cut as onnx, [\d,]+ bytes", said)
    assert re.search(r"labels +100\.00% of \d+ validation crops as mbv3_cut's", said)
    assert re.search(r"scores +within \d", said)
    assert "harness evaluate cut_out --data practice" in said
    assert "ok    crop of 3000x2000" in trained.here("check", "cut_out").stdout
    assert "macro F1" in trained.run("evaluate", "cut_out", "--budget", "1s").stdout
    again = ("export", "mbv3_cut", "--to", "onnx", "--name", "cut_out")
    assert "it is there already; --fresh" in trained.error(*again, code=2)
    assert "cut_out: " in trained.here(*again, "--fresh").stdout


def test_an_int8_export_says_what_it_loses_and_gains(trained: Project) -> None:
    said = trained.here("export", "mbv3_cut", "--to", "onnx", "--int8", "--see", "90%", "--name", "small").stdout
    assert re.search(r"val F1 +\d\.\d{4}, mbv3_cut \d\.\d{4}", said)
    assert "small against mbv3_cut on practice" in said
    assert re.search(r"int8 +F1 [+-]\d\.\d{4} \(.*\); [\d.]+ times as fast", said)
    record = re.search(r"record +(\S+)", said)
    assert record is not None
    assert json.loads((trained.root / record[1]).read_text())["baseline"]["name"] == "mbv3_cut"


def test_what_cannot_be_exported_is_one_line(project: Project) -> None:
    def error(*arguments: str, code: int) -> str:
        return project.error("export", *arguments, code=code)

    assert "no weights for practice" in error("mbv3_cut", "--to", "onnx", code=4)
    assert "null: expected model.py with build(classes)" in error("null", "--to", "onnx", code=4)
    assert "--int8: expected --to onnx or openvino" in error("mbv3_cut", "--to", "torch.export", "--int8", code=2)
    assert "--half: expected --to onnx without --int8" in error("mbv3_cut", "--to", "openvino", "--half", code=2)
    assert "'--to': 'tflite' is not one of" in error("mbv3_cut", "--to", "tflite", code=2)
    assert "--name: expected a plain name" in error("mbv3_cut", "--to", "onnx", "--name", "../up", code=2)


def test_what_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.errors import MachineError
    from harness.submission import check_writer

    monkeypatch.setattr("harness.submission.unmet_of", lambda requires: [f"{requires[-1]} (not installed)"])
    with pytest.raises(MachineError, match=r"onnxscript>=0\.5 \(not installed\); pip install 'onnxscript>=0\.5'$"):
        check_writer("onnx", "export to onnx")
