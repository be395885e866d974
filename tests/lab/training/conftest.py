"""A project to train in as a user does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.store import Store
from tests.conftest import ROOT


class Home:
    """A project's root with `harness train` as a user types it, with one thread."""

    def __init__(self, root: Path) -> None:
        (root / "baselines").mkdir()
        shutil.copy(ROOT / "baselines" / "rules.toml", root / "baselines")
        self.root = root
        self.environment = os.environ | {"HARNESS_ROOT": str(root), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def command(self, package: Path, store: Store, *more: str) -> list[str]:
        return [sys.executable, "-m", "harness", "train", str(package), "--data", str(store.path), *more]

    def train(self, package: Path, store: Store, *more: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        command = self.command(package, store, *more)
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def runs(self, package: Path, store: Store) -> list[Path]:
        return sorted((self.root / "runs" / package.name / store.manifest.name).iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)
