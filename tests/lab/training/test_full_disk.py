"""Where nothing more can be written, a training ends with one line, and what was whole stays whole."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from harness.data.store import Store
from harness.errors import MachineError
from harness.lab.run import Run, read_log, versions_here
from harness.lab.tracking import TRACKERS
from harness.lab.train import Epoch, train
from tests.conftest import names
from tests.lab.training.conftest import Home
from tests.lab.training.networks import PLAIN, RECIPE, fit, make


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """No process may write more into a file: what a full disk looks like to one, without a disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


@pytest.mark.parametrize("room", [0, 500, 3000, 6000])  # bytes; a checkpoint has some 15,000, weights 3,000
def test_a_training_that_cannot_write_keeps_its_last_whole_checkpoint(room: int, tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "plain", PLAIN)
    events = train(package, tinted, RECIPE)
    next(event for event in events if isinstance(event, Epoch))
    before = content(package / "weights")
    with files_of_at_most(room), pytest.raises(MachineError, match="File too large; raise the limit") as error:
        list(events)
    assert "\n" not in error.value.message
    assert str(package / "weights") in error.value.message
    assert content(package / "weights") == before
    assert torch.load(package / "weights" / "tinted.checkpoint", weights_only=True)["log"][-1]["epoch"] == 1
    assert [event.epoch for event in fit(package, tinted)] == [2, 3, 4]


def test_new_weights_that_cannot_be_written_leave_the_old_pair(tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "plain", PLAIN)
    fit(package, tinted)
    before = content(package / "weights")
    events = train(package, tinted, RECIPE, fresh=True)
    next(events)
    with files_of_at_most(1000), pytest.raises(MachineError):
        list(events)
    assert content(package / "weights") == before


def test_a_line_of_the_log_is_whole_or_not_there(tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "plain", PLAIN)
    events = train(package, tinted, RECIPE, run=Run(tmp_path / "run"))
    next(event for event in events if isinstance(event, Epoch))
    before = (tmp_path / "run" / "log.jsonl").read_bytes()
    with files_of_at_most(len(before) + 20), pytest.raises(MachineError, match=r"log\.jsonl|run: cannot write"):
        list(events)
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == before
    assert len(read_log(tmp_path / "run")) == 1


def test_a_full_disk_is_one_line_and_with_more_room_it_goes_on(tinted: Store, home: Home) -> None:
    """On a file system of its own, in which the first checkpoint fits beside the weights and the second does not."""
    package = make(home.root / "plain", PLAIN)
    fit(package, tinted)
    weights = package / "weights"
    command = " ".join(home.command(package, tinted))
    program = f"""
    mount -t tmpfs -o size=32k none {weights} || exit 99
    {command}; echo "ended with $?"; ls -A {weights}
    mount -o remount,size=1m {weights}
    {command}; echo "ended with $?"; ls -A {weights}
    """
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--mount", *user, "sh", "-c", program],
        env=home.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip().splitlines()[0]}")
    first, second = done.stdout.split("ended with ")[1:]
    complaints = [line for line in done.stderr.splitlines() if line.startswith("harness: ")]
    assert len(complaints) == 1
    assert "No space left on device; free some space there" in complaints[0]
    assert first.split()[0] == "1"
    assert "Traceback" not in done.stderr
    assert "tinted.checkpoint" in first.split()
    assert "going on after epoch 1 of 4" in done.stderr
    assert second.splitlines()[0] == "0"
    assert second.splitlines()[-2:] == ["tinted.json", "tinted.safetensors"]
    assert not [name for name in first.split() if name.startswith(".")], first


def test_a_run_folder_that_cannot_be_made_is_one_line(tinted: Store, home: Home) -> None:
    package = make(home.root / "plain", PLAIN)
    (home.root / "runs").write_text("in the way")
    said = home.train(package, tinted, code=1).stderr.strip().splitlines()
    (complaint,) = (line for line in said if line.startswith("harness: "))
    assert complaint.endswith("cannot write: Not a directory; something on the way is a file; move it away")
    assert f"{home.root}/runs/plain/tinted/" in complaint


def test_a_tracker_that_cannot_write_is_one_line(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, *_: object) -> None:
            pass

        def log(self, entry: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(TRACKERS, "tensorboard", Full)
    run = Run(tmp_path / "mine" / "data" / "now", "tensorboard")
    run.begin(RECIPE, versions_here(tinted, "", 1), [])
    with pytest.raises(MachineError, match="cannot write: No space left on device; free some space there"):
        run.epoch({"epoch": 1, "loss": 1.0, "val_f1": 0.5}, {}, None)
