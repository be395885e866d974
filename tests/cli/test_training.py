"""harness train, then evaluate and predict with what it wrote."""

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Project
from tests.conftest import claimed_elsewhere, names


@pytest.fixture
def small(project: Project) -> Project:
    """The project with a recipe that takes seconds."""
    project.small_mbv3_cut()
    return project


def test_train_then_evaluate_and_predict(small: Project, tmp_path: Path) -> None:
    assert "train them: harness train submissions/mbv3_cut --data practice" in small.error(
        "evaluate", "mbv3_cut", code=4
    )
    said = small.run("train", "mbv3_cut", "--data", "practice").stdout
    assert "epoch 2/2" in said
    assert "images/s" in said
    info = json.loads((small.root / "submissions" / "mbv3_cut" / "weights" / "practice.json").read_text())
    assert len(info["log"]) == 2
    assert "has weights for practice already; --fresh" in small.error("train", "mbv3_cut", "--data", "practice", code=2)
    assert "epoch 2/2" in small.here("train", "mbv3_cut", "--data", "practice", "--fresh").stdout
    assert len(list((small.root / "runs" / "mbv3_cut" / "practice").glob("*/curves.svg"))) == 2
    assert "macro F1" in small.here("evaluate", "mbv3_cut", "--budget", "1s").stdout

    photos = tmp_path / "photos" / "deep"
    photos.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("b.png", (40, 900)), ("a.jpg", (31, 17))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(photos / name)
    (photos / "notes.txt").write_text("no photo")
    out = tmp_path / "labels.csv"
    said = small.run("predict", "mbv3_cut", "--images", str(photos.parent), "--out", str(out)).stdout
    assert "2 photos" in said
    assert "1 other files by their names" in said
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["photo"] for row in rows] == ["deep/a.jpg", "deep/b.png"]
    assert all(info["classes"][int(row["label"])] == row["class"] for row in rows)

    (photos / "c.jpg").write_bytes(b"broken")
    out.unlink()
    quick = ("predict", "colour_histogram", "--images", str(photos.parent), "--out", str(out))
    assert "deep/c.jpg" in small.error(*quick, code=3)
    assert len(out.read_text().splitlines()) == 3  # the good ones are not lost
    assert "left out 1 bad" in small.here(*quick, "--skip-bad").stdout
    assert len(out.read_text().splitlines()) == 3


def test_a_piped_training_writes_its_lines_to_the_pipe_though_its_bar_is_on_a_terminal(small: Project) -> None:
    bar, terminal = pty.openpty()
    command = [sys.executable, "-m", "harness", "train", "mbv3_cut", "--data", "practice"]
    environment = small.environment() | {"TERM": "xterm"}
    done = subprocess.run(
        command, env=environment, cwd=small.root, stdout=subprocess.PIPE, stderr=terminal, text=True, check=True
    )
    os.close(terminal)
    os.close(bar)
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("epoch")] == ["1/2", "2/2"]


def test_two_trainings_of_one_package_do_not_mix(small: Project) -> None:
    with claimed_elsewhere(small.root / "submissions" / "mbv3_cut" / "weights" / ".practice.lock"):
        said = small.error("train", "mbv3_cut", "--data", "practice", code=1)
    assert said == "harness: mbv3_cut on practice: another process trains it; wait for it or stop it"
    assert "epoch 2/2" in small.here("train", "mbv3_cut", "--data", "practice").stdout
    weights = small.root / "submissions" / "mbv3_cut" / "weights"
    assert names(weights) == ["practice.json", "practice.safetensors"]


def test_a_training_that_cannot_begin_leaves_no_folder(small: Project) -> None:
    (small.root / "submissions" / "mbv3_cut" / "mobilenetv3_cut.yaml").write_text("blocks: []\n")
    small.error("train", "mbv3_cut", "--data", "practice", code=4)
    assert not (small.root / "runs").exists()
    assert not (small.root / "submissions" / "mbv3_cut" / "weights").exists()


def test_a_set_without_training_crops_is_one_line(small: Project) -> None:
    small.here("prepare", "synthetic", "--judged-only")
    for fit in ("submissions/template/fit.py", "baselines/colour_histogram/fit.py"):
        done = subprocess.run(
            [sys.executable, fit, "--data", "embedded"],
            env=small.environment(),
            cwd=small.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("embedded: expected crops to train on")
        assert len(done.stderr.splitlines()) == 1


def test_mistakes_in_training(small: Project) -> None:
    assert "expected a recipe to train by" in small.error("train", "sharp", "--data", "practice", code=4)
    manifest = small.root / "submissions" / "mbv3_cut" / "submission.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace("taco_im156.yaml", "../template/submission.toml"))
    assert "expected a file in the package" in small.error("train", "mbv3_cut", "--data", "practice", code=4)
    manifest.write_text(text.replace("taco_im156.yaml", "none.yaml"))
    assert "No such file" in small.error("train", "mbv3_cut", "--data", "practice", code=4)
    manifest.write_text(text)
    (manifest.parent / "taco_im156.yaml").write_text("epochs: many\n")
    assert "epochs" in small.error("train", "mbv3_cut", "--data", "practice", code=4)
    (manifest.parent / "taco_im156.yaml").write_text("size: 32\nbatch: 6400\n")
    assert "expected 6400 crops or more" in small.error("train", "mbv3_cut", "--data", "practice", code=3)


def test_mistakes_in_predicting(small: Project, tmp_path: Path) -> None:
    out = str(tmp_path / "out.csv")
    assert "--images: expected a folder, got none: " in small.error(
        "predict", "sharp", "--images", str(tmp_path / "none"), "--out", out, code=3
    )
    (tmp_path / "folder.jpg").mkdir()
    assert "expected a folder with photos" in small.error(
        "predict", "sharp", "--images", str(tmp_path), "--out", out, code=3
    )
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    images = ("--images", str(tmp_path))
    assert "--out" in small.error("predict", "sharp", *images, "--out", str(tmp_path / "no" / "out.csv"), code=2)
    os.mkfifo(tmp_path / "pipe")
    assert "expected a plain file" in small.error("predict", "sharp", *images, "--out", str(tmp_path / "pipe"), code=2)
    assert "no weights for moon" in small.error(
        "predict", "colour_histogram", *images, "--out", out, "--data", "moon", code=4
    )
    weights = small.root / "baselines" / "colour_histogram" / "weights"
    for ending in ("json", "safetensors"):
        (weights / f"other.{ending}").write_bytes((weights / f"practice.{ending}").read_bytes())
    assert "expected one of other, practice" in small.error(
        "predict", "colour_histogram", *images, "--out", out, code=2
    )
