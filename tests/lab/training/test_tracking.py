"""Trackers: what TensorBoard and W&B would show, read back from what was written; neither has a network here."""

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.data.store import Store
from harness.errors import MachineError
from harness.lab.run import read_log
from harness.lab.tracking import TRACKERS, check_tracker, wandb_mode
from tests.lab.training.conftest import Home
from tests.lab.training.networks import PLAIN, make

UNREACHABLE = {"WANDB_BASE_URL": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}


def records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format in blocks of 32 KiB, after a header of 7 bytes."""
    content, block, part = path.read_bytes(), 32 << 10, b""
    place = 7
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield part
            part = b""


def history_of(path: Path) -> list[dict[str, float]]:
    """What W&B would draw: each step's values by name."""
    from wandb.proto import wandb_internal_pb2

    steps = []
    for content in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        if record.HasField("history"):
            items = record.history.item
            steps.append({(item.key or ".".join(item.nested_key)): float(item.value_json) for item in items})
    return steps


def test_tensorboard_shows_the_log(tinted: Store, home: Home) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    package = make(home.root / "plain", PLAIN)
    home.train(package, tinted, "--track", "tensorboard", "--epochs", "3")
    (run,) = home.runs(package, tinted)
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    log = read_log(run)
    assert set(events.Tags()["scalars"]) == {"loss", "val_f1", "lr", "images_per_s", "seconds"}
    for name in ("loss", "val_f1", "lr"):
        shown = events.Scalars(name)
        assert [event.step for event in shown] == [1, 2, 3]
        assert [event.value for event in shown] == pytest.approx([entry[name] for entry in log])
    assert "recipe/text_summary" in events.Tags()["tensors"]


def test_wandb_without_a_key_needs_no_network(tinted: Store, home: Home) -> None:
    package = make(home.root / "plain", PLAIN)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        home.environment.pop(name, None)
    home.environment |= {"HOME": str(home.root), **UNREACHABLE}
    said = home.train(package, tinted, "--track", "wandb", "--epochs", "2").stdout
    (run,) = home.runs(package, tinted)
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert f"wandb sync {offline}" in said
    (file,) = offline.glob("*.wandb")
    history, log = history_of(file), read_log(run)
    assert [step["_step"] for step in history] == [1, 2]
    for name in ("loss", "val_f1", "lr"):
        assert [step[name] for step in history] == pytest.approx([entry[name] for entry in log])
    assert b"label_smoothing" in file.read_bytes(), "the recipe is its configuration"


def test_a_key_of_wandb_login_makes_it_online(tmp_path: Path) -> None:
    assert wandb_mode({"HOME": str(tmp_path)}) == "offline"
    (tmp_path / ".netrc").write_text("machine api.wandb.ai\n  login user\n  password 0123456789\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert wandb_mode({"HOME": str(tmp_path)}) == "online"
    assert wandb_mode({"HOME": str(tmp_path), "WANDB_MODE": "offline"}) == "offline"


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_library_is_one_line_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.lab.tracking.unmet_of", lambda requires: [f"{requires[0]} (not installed)"])
    with pytest.raises(
        MachineError, match=rf"^--track {name}: expected {name}>=\S+ \(not installed\); pip install '{name}>=\S+'$"
    ):
        check_tracker(name)


def test_what_is_required_is_what_the_extra_installs() -> None:
    import tomllib

    from harness.lab.tracking import _REQUIRES
    from tests.conftest import ROOT

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(_REQUIRES.values()) == set(extras["tracking"])


def test_a_resumed_training_is_tracked_on_without_what_a_kill_left(home: Home) -> None:
    """In processes of their own, for a writer's thread outlives it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    program = (
        "import sys; from pathlib import Path; from harness.lab.tracking import TensorBoard as T\n"
        "t = T(Path(sys.argv[1]), {}, 0)\n"
        "for n in (1, 2): t.log({'epoch': n, 'loss': 10.0 * n})\n"
        "t.close(); t = T(Path(sys.argv[1]), {}, 1)\n"
        "for n in (2, 3): t.log({'epoch': n, 'loss': 1.0 * n})\n"
        "t.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(home.root)], env=home.environment, check=True)
    shown = EventAccumulator(str(home.root / "tensorboard")).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in shown] == [(1, 10.0), (2, 2.0), (3, 3.0)]


def test_a_key_that_wandb_does_not_take_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = tmp_path / "mine" / "data" / "now"
    run.mkdir(parents=True)
    with pytest.raises(MachineError, match=r"^--track wandb: expected a run to begin, got .*; WANDB_MODE=offline"):
        TRACKERS["wandb"](run, {}, 0)
