"""Two processes that train together make the weights of one, and one of them speaks and writes."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from safetensors.torch import load_file

from harness.data.store import Store
from harness.data.weights import read_info
from harness.errors import UsageError
from harness.lab.ranks import Ranks, of_environment
from harness.lab.run import read_log
from tests.conftest import names
from tests.lab.training.conftest import Home
from tests.lab.training.networks import PLAIN, RECIPE, STEPS, fit, make, stop


def train_by(processes: int, home: Home, package: Path, store: Store, *more: str) -> "subprocess.CompletedProcess[str]":
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*launcher, *home.command(package, store, *more)[1:]]
    return subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def alone(tinted: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a training by one process, its run in run/."""
    package = make(tmp_path_factory.mktemp("alone") / "plain", PLAIN)
    fit(package, tinted, folder=package / "run")
    return package


def test_two_processes_make_the_weights_of_one_and_one_speaks(tinted: Store, alone: Path, home: Home) -> None:
    package = make(home.root / "plain", PLAIN)
    done = train_by(2, home, package, tinted)
    assert done.returncode == 0, done.stderr
    epochs = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("epoch")]
    assert epochs == ["1/4", "2/4", "3/4", "4/4"]
    (run,) = home.runs(package, tinted)
    ours, theirs = load_file(run / "last.safetensors"), load_file(alone / "run" / "last.safetensors")
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-5
    losses, their_losses = ([entry["loss"] for entry in read_log(one)] for one in (run, alone / "run"))
    assert losses == pytest.approx(their_losses, abs=1e-5)
    assert '"processes": 2' in (run / "versions.json").read_text()
    assert names(package / "weights") == ["tinted.json", "tinted.safetensors"]
    assert read_info(package / "weights" / "tinted.json").recipe["batch"] == RECIPE.batch


def test_one_process_is_stopped_and_two_go_on(tinted: Store, alone: Path, home: Home) -> None:
    package = make(home.root / "plain", PLAIN)
    stop(package, tinted, RECIPE, 2 * STEPS + 1, home.root / "runs" / "plain" / "tinted" / "first")
    done = train_by(2, home, package, tinted)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("going on after epoch 2 of 4") == 1
    (run,) = home.runs(package, tinted)
    ours, theirs = load_file(run / "last.safetensors"), load_file(alone / "run" / "last.safetensors")
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-5


def test_what_is_wrong_is_said_once(tinted: Store, home: Home) -> None:
    package = make(home.root / "plain", PLAIN, msgspec.structs.replace(RECIPE, batch=15))
    done = train_by(2, home, package, tinted)
    assert done.returncode != 0
    said = [
        line
        for line in done.stderr.splitlines()
        if "expected processes that divide the recipe's batch of 15, got 2" in line
    ]
    assert len(said) == 1
    assert not (package / "weights").exists()


def test_processes_share_a_batch_without_rest() -> None:
    batch = list(range(12))
    parts = [batch[Ranks(rank, 3).part(12)] for rank in range(3)]
    assert sorted(number for part in parts for number in part) == batch
    assert {len(part) for part in parts} == {4}
    with pytest.raises(UsageError, match="divide"):
        Ranks(0, 5).part(12)


def test_processes_of_several_machines_are_refused() -> None:
    with pytest.raises(UsageError, match="expected all processes on one machine, got 2 of 4 here"):
        of_environment({"RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"})
    assert of_environment({}) == Ranks(0, 1)
