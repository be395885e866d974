"""A training that was stopped ends with the weights of one that was not, to the last bit, at one thread."""

import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.store import Store
from harness.errors import SubmissionError
from harness.lab.randomness import seed_all, states
from harness.lab.run import read_log
from harness.lab.train import stopped
from tests.lab.training.conftest import Home
from tests.lab.training.networks import PLAIN, RANDOM, RECIPE, STEPS, fit, make, same, stop, without_times


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tinted: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a training that was never stopped, its run in run/."""
    package = make(tmp_path_factory.mktemp("whole") / "random", RANDOM)
    fit(package, tinted, RECIPE, package / "run")
    return package


@settings(max_examples=8, deadline=None)
@given(stops=st.lists(st.integers(1, STEPS * RECIPE.epochs - 1), min_size=1, max_size=3))
def test_a_training_stopped_anywhere_ends_with_the_same_bits(stops: list[int], tinted: Store, whole: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = make(Path(folder) / "random", RANDOM)
        for steps in stops:
            stop(package, tinted, RECIPE, steps, package / "run")
            torch.manual_seed(steps)  # another process would have other states
            random.seed(steps)
            np.random.seed(steps)
        fit(package, tinted, RECIPE, package / "run")
        for name in ("run/last.safetensors", "run/best.safetensors", "weights/tinted.safetensors"):
            assert same(package / name, whole / name), name
        assert without_times(read_log(package / "run")) == without_times(read_log(whole / "run"))
        weights = "weights/tinted.json"
        assert (package / weights).read_bytes() == (whole / weights).read_bytes()


@pytest.mark.parametrize("generator", ["torch", "python", "numpy"])
def test_without_one_generators_state_the_bits_differ(
    generator: str, tinted: Store, whole: Path, tmp_path: Path
) -> None:
    """Else the test above would pass for a network that draws nothing."""
    package = make(tmp_path / "random", RANDOM)
    stop(package, tinted, RECIPE, STEPS + 1)
    path = package / "weights" / "tinted.checkpoint"
    state = torch.load(path, weights_only=True)
    seed_all(99)
    state["random"][0][generator] = states("cpu")[generator]
    torch.save(state, path)
    fit(package, tinted, RECIPE, package / "run")
    assert not same(package / "run/last.safetensors", whole / "run/last.safetensors")


def test_a_training_killed_in_epochs_ends_with_the_same_bits(tinted: Store, whole: Path, home: Home) -> None:
    package = make(home.root / "random", RANDOM)
    for epoch, wait_s in ((1, 0.01), (3, 0.02)):
        with subprocess.Popen(
            home.command(package, tinted),
            env=home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            next(line for line in process.stdout if line.startswith(f"epoch {epoch}/"))
            time.sleep(wait_s)
            process.kill()
        assert (package / "weights" / "tinted.checkpoint").exists(), "it was over before it was killed"
    assert "going on after epoch 3 of 4" in home.train(package, tinted).stderr
    (run,) = home.runs(package, tinted)  # all in one folder
    assert same(run / "last.safetensors", whole / "run/last.safetensors")
    assert same(package / "weights/tinted.safetensors", whole / "weights/tinted.safetensors")
    assert [entry["epoch"] for entry in read_log(run)] == [1, 2, 3, 4]


def test_a_checkpoint_of_another_architecture_is_one_line(tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "random", RANDOM)
    stop(package, tinted, RECIPE, STEPS + 1)
    assert stopped(package, tinted, RECIPE).epochs == 1
    wider = RANDOM.replace("Conv2d(3, 8", "Conv2d(3, 12").replace("BatchNorm2d(8)", "BatchNorm2d(12)")
    for other in (PLAIN, wider.replace("Linear(8", "Linear(12")):
        (package / "model.py").write_text(other)
        shutil.rmtree(package / "__pycache__", ignore_errors=True)
        with pytest.raises(SubmissionError, match=r"tinted\.checkpoint: .* of another network after 1 epochs") as error:
            stopped(package, tinted, RECIPE)
        assert "\n" not in error.value.message
