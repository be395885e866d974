"""A project of its own for each test of the command line, and `harness` as a user types it."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from harness.cli import run
from tests.conftest import ROOT, spinning
from tests.pictures import render_folder

TABLE = """
blocks:
  - {kind: conv, kernel: 3, out: 16, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 16, squeeze: 8, activation: relu}
"""
Done = subprocess.CompletedProcess[str]


class Project:
    """A project of its own: rules with small passes, the bundled packages, a practice set of a few photos."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "baselines", root / "baselines", ignore=shutil.ignore_patterns("weights", "__pycache__"))
        shutil.copytree(
            ROOT / "submissions", root / "submissions", ignore=shutil.ignore_patterns("weights", "__pycache__")
        )
        rules = root / "baselines" / "rules.toml"
        text = rules.read_text().replace("answer_s = 10.0", "answer_s = 1.0")
        text = re.sub(
            r"^baseline = .*$", 'baseline = "colour_histogram"', text, flags=re.MULTILINE
        )  # fitted in a second
        rules.write_text(
            text.replace("subset_crops = 150", "subset_crops = 30")
            .replace("subset_s = 3.0", "subset_s = 0.1")
            .replace("least_passes = 3", "least_passes = 2")
            .replace("pilot_passes = 5", "pilot_passes = 3")
        )
        for name in ("sharp", "blunt"):
            self.package(name, spinning(300 if name == "sharp" else 600))

    def package(self, name: str, predict: str, manifest: str | None = None) -> None:
        folder = self.root / "submissions" / name
        folder.mkdir(exist_ok=True)
        (folder / "submission.toml").write_text(f'name = "{name}"\n' if manifest is None else manifest)
        (folder / "predict.py").write_text(predict)

    def small_mbv3_cut(self) -> Path:
        """The package with a network and a recipe that take seconds."""
        package = self.root / "submissions" / "mbv3_cut"
        (package / "mobilenetv3_cut.yaml").write_text(TABLE)
        (package / "taco_im156.yaml").write_text("size: 32\nepochs: 2\nbatch: 16\nmax_lr: 0.05\n")
        return package

    def environment(self) -> dict[str, str]:
        return os.environ | {"HARNESS_ROOT": str(self.root), "COLUMNS": "80"}

    def run(self, *arguments: str, code: int = 0) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=self.root,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def here(self, *arguments: str, code: int = 0) -> Done:
        """The same in this process, which has loaded torch already."""
        done = self.tried(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def undisturbed(self, *arguments: str, code: int = 0) -> Done:
        """The same, again where others took the machine meanwhile: a flag makes every gate unsure."""
        for _ in range(3):
            done = self.tried(*arguments)
            if "  flag  " not in done.stdout:
                break
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def tried(self, *arguments: str) -> Done:
        """However it ends."""
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.environment().items():
                patch.setenv(name, value)
            patch.chdir(self.root)
            got = run(list(arguments))
        return Done(arguments, got, out.getvalue(), err.getvalue())

    def error(self, *arguments: str, code: int) -> str:
        """The one line that a command fails with."""
        lines = self.here(*arguments, code=code).stderr.strip().splitlines()
        errors = [line for line in lines if line.startswith("harness: ")]
        assert len(errors) == 1, lines
        return errors[0]

    def local(self) -> list[dict[str, object]]:
        """This machine's records, oldest first."""
        paths = sorted(self.root.glob("leaderboard/local/*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in paths]


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared practice set and a fitted colour histogram, made once."""
    project = Project(tmp_path_factory.mktemp("practice") / "project")
    render_folder(project.root / "photos", 30, seed=0)
    said = project.run("prepare", "folder", "photos", "--name", "practice").stdout
    assert "6 classes" in said
    subprocess.run(
        [sys.executable, "baselines/colour_histogram/fit.py", "--data", "practice"],
        cwd=project.root,
        env=project.environment(),
        check=True,
        capture_output=True,
    )
    return project.root


@pytest.fixture
def project(practice: Path, tmp_path: Path) -> Project:
    """A fresh project with the practice set in it."""
    project = Project(tmp_path / "project")
    shutil.copytree(practice / "data", project.root / "data")
    weights = Path("baselines") / "colour_histogram" / "weights"
    shutil.copytree(practice / weights, project.root / weights)
    return project


@pytest.fixture(scope="session")
def taught(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package: mbv3_cut with a small recipe, trained for the practice set, made once."""
    project = Project(tmp_path_factory.mktemp("taught") / "project")
    shutil.copytree(practice / "data", project.root / "data")
    package = project.small_mbv3_cut()
    project.here("train", "mbv3_cut", "--data", "practice")
    return package


@pytest.fixture
def trained(project: Project, taught: Path) -> Project:
    """The fresh project with the trained mbv3_cut."""
    shutil.copytree(taught, project.root / "submissions" / "mbv3_cut", dirs_exist_ok=True)
    return project
