"""harness new NAME --from START: each start, done with what `harness new` prints, is checked and judged."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from harness.cli import run
from harness.formats import Input
from harness.lab.recipe import parse
from harness.scaffold import STARTS, Copy, From, new_submission
from harness.staging import read_manifest
from tests.cli.conftest import Project
from tests.conftest import ROOT, names

JUDGED = (From.numpy, From.onnx)  # the table's classifies a photo; the template is judged in test_cli.py
SAYS = {"fit.py": "wrote ", "recipe.yaml": "the best, after epoch 1", "write.py": "UNTRAINED"}  # on its way to weights
SMALL = (("size: 128", "size: 32"), ("size = 128", "size = 32"), ("epochs: 50", "epochs: 1"))


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, for commands in this process, which imports torch once for all of them."""
    monkeypatch.setenv("HARNESS_ROOT", str(project.root))
    monkeypatch.chdir(project.root)
    return project


def step(said: str, word: str) -> str:
    """The command that `harness new` printed for a step."""
    found = re.search(rf"^  {word} it +(.+)$", said, re.MULTILINE)
    assert found is not None, said
    return found[1].replace("DATA", "practice")


def followed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a command of a user here, a fit.py as a process: it imports what lies beside it."""
    words = shlex.split(re.sub(r" \[.*\]", "", command))
    if words[0] == "harness":
        assert run(words[1:]) == 0
    elif words[1].endswith("fit.py"):
        subprocess.run([sys.executable, *words[1:]], check=True)
    else:
        monkeypatch.setattr(sys, "argv", words[1:])
        runpy.run_path(words[1], run_name="__main__")


def ruff(folder: Path, *arguments: str) -> None:
    """Under the project's own rules, as if it lay in its submissions."""
    for path in folder.glob("*.py"):
        shown = f"submissions/{folder.name}/{path.name}"
        subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", shown, "-"],
            cwd=ROOT,
            input=path.read_bytes(),
            stdout=subprocess.DEVNULL,
            check=True,
        )


def make_small(folder: Path) -> None:
    """Seconds, not minutes: small crops and one epoch."""
    for path in folder.iterdir():
        text = path.read_text()
        for old, new in SMALL if read_manifest(folder).model else (("epochs: int = 60", "epochs: int = 1"),):
            text = text.replace(old, new)
        path.write_text(text)


@pytest.mark.parametrize("start", From)
def test_a_start_is_checked_and_judged_after_what_it_says(
    start: From, here: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "mine", "--from", start]) == 0
    said, folder = capfd.readouterr().out, here.root / "submissions" / "mine"
    assert said.startswith("made submissions/mine\n  change ")
    ruff(folder, "check")
    ruff(folder, "format")
    make_small(folder)
    (making,) = (file for file in SAYS if (folder / file).exists())
    followed(step(said, {"fit.py": "fit", "recipe.yaml": "train", "write.py": "write"}[making]), monkeypatch)
    assert SAYS[making] in capfd.readouterr().out
    assert {Path(name).stem for name in names(folder / "weights")} == {"practice"}  # nothing hidden is left
    assert here.run(*shlex.split(step(said, "check"))[1:]).stdout.count("ok ") == 8
    if start in JUDGED:
        assert "macro F1" in here.run(*shlex.split(step(said, "judge"))[1:], "--budget", "1s").stdout
    if start is From.table:
        (here.root / "photos").mkdir()
        Image.new("RGB", (40, 30)).save(here.root / "photos" / "black.png")
        assert "1 photos" in here.run("predict", "mine", "--images", "photos", "--out", "labels.csv").stdout


def test_a_start_speaks_of_itself_alone(project: Project) -> None:
    for start, its in STARTS.items():
        folder = new_submission(project.root, f"my-{start}", start)
        text = "".join(path.read_text() for path in folder.rglob("*.*"))
        assert "$" not in text
        assert f'name = "my-{start}"\nauthors = ""\n' in text
        assert re.search(rf"python submissions/my-{start}/|recipe\.yaml", text)
        assert not re.search("canary|colour_histogram|submissions/template/", text)
        if not isinstance(its, Copy):
            manifest = read_manifest(folder)
            assert (manifest.model.format, manifest.input) == (its.format, Input(128))  # type: ignore[union-attr]
            if manifest.recipe is not None:
                assert parse((folder / manifest.recipe).read_bytes(), "").size == 128
    scripts = {
        path.read_text().replace(path.parent.name, "") for path in project.root.glob("submissions/my-*/write.py")
    }
    assert len(scripts) == 1


def test_names_that_are_taken_or_no_names_are_one_line(project: Project) -> None:
    def error(*arguments: str) -> str:
        return project.error("new", *arguments, code=2)

    assert "submissions/template: expected a new name, it is there already" in error("template", "--from", "numpy")
    assert "baselines/null: expected a new name, it is there already" in error("null")
    assert "expected a name of letters, digits" in error("../x", "--from", "onnx")
    assert "'--from': 'keras' is not one of 'template', 'numpy', " in error("mine", "--from", "keras")
    shutil.rmtree(project.root / "submissions" / "template")
    assert "--from template: expected submissions/template to copy, got none" in error("mine")
    assert not (project.root / "submissions" / "mine").exists()


def test_a_start_that_cannot_be_written_leaves_nothing(project: Project) -> None:
    (project.root / "baselines" / "colour_histogram" / "submission.toml").write_text("name = 1\n")
    assert "name: expected" in project.error("new", "mine", "--from", "numpy", code=4)
    shutil.rmtree(project.root / "submissions")
    (project.root / "submissions").write_text("a file")
    assert "cannot write: Not a directory" in project.error("new", "mine", "--from", "onnx", code=1)
    assert (project.root / "submissions").is_file()


def test_what_is_not_installed_is_a_note_with_its_command(
    here: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unmet(requires: Sequence[str]) -> list[str]:
        return [f"{text} (not installed)" for text in requires if not text.startswith("torch")]

    monkeypatch.setattr("harness.submission.unmet_of", unmet)
    for start, command in (
        ("timm", "pip install 'timm>=1.0'"),
        ("openvino", "pip install 'openvino>=2025.0'"),
        ("onnx", "pip install 'onnxruntime>=1.20' 'onnx>=1.17' 'onnxscript>=0.5'"),
    ):
        assert run(["new", f"my_{start}", "--from", start]) == 0
        assert command in capsys.readouterr().err
    assert run(["new", "mine", "--from", "torch.export"]) == 0
    assert capsys.readouterr().err == ""


def test_write_takes_weights_and_fails_in_one_line(
    here: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v3_small

    folder = new_submission(here.root, "mine", From.torchscript)
    assert "write them: python submissions/mine/write.py --data practice" in here.error("evaluate", "mine", code=4)
    own = here.root / "own.safetensors"
    save_file(mobilenet_v3_small(num_classes=6).state_dict(), own)
    write = runpy.run_path(str(folder / "write.py"))["main"]
    write("practice", own)
    said = capsys.readouterr().out
    assert "weights of own.safetensors" in said
    assert "UNTRAINED" not in said
    assert json.loads((folder / "weights" / "practice.json").read_text())["recipe"] == {"weights": "own.safetensors"}
    monkeypatch.setattr(sys, "argv", ["write.py", "--data", "nothing"])
    with pytest.raises(SystemExit, match=r"^no data set nothing[^\n]*$"):
        runpy.run_path(str(folder / "write.py"), run_name="__main__")
