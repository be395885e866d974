"""Training: what is drawn depends on seed, epoch and picture alone; a killed one goes on; weights are as chosen."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from harness.data.store import Store, open_store
from harness.data.weights import read_info
from harness.errors import DataError, SubmissionError
from harness.lab.augment import Key, TrainingPictures
from harness.lab.checkpoint import checkpoint_path
from harness.lab.fitted import _fitting, as_stored, load_start, validation_f1, with_weights
from harness.lab.networks import build
from harness.lab.recipe import Recipe, parse
from harness.lab.train import Epoch, logit_shift, stopped, train, warm_up
from tests.conftest import ROOT
from tests.pictures import prepare_tinted

RECIPE = Recipe(size=32, epochs=4, batch=16, max_lr=0.05, randaugment_ops=(1, 2), cutout=0.5)
TABLE = """
blocks:
  - {kind: conv, kernel: 3, out: 8, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 8, squeeze: 8, activation: relu}
"""


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A small data set that is easy to learn."""
    return open_store(prepare_tinted(tmp_path_factory.mktemp("tinted")))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """mbv3_cut with a table of two blocks."""
    folder = tmp_path / "small"
    shutil.copytree(ROOT / "submissions" / "mbv3_cut", folder, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (folder / "mobilenetv3_cut.yaml").write_text(TABLE)
    return folder


def epochs(events: object) -> list[Epoch]:
    return [event for event in events if isinstance(event, Epoch)]  # type: ignore[attr-defined]


def test_a_picture_is_augmented_by_seed_epoch_and_number_alone(tinted: Store) -> None:
    labels = tinted.training_labels("train").labels
    pictures = TrainingPictures(tinted.crops("train"), labels, RECIPE)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first, label = pictures[Key(0, 3)]
    assert torch.equal(state, torch.random.get_rng_state())  # nothing else is drawn differently
    pictures[Key(0, 4)]
    torch.manual_seed(2)
    assert torch.equal(first, pictures[Key(0, 3)][0])
    assert label == labels[3]
    others = [pictures[Key(epoch, 3)][0] for epoch in range(1, 6)]
    assert any(not torch.equal(first, other) for other in others)
    reseeded = TrainingPictures(tinted.crops("train"), labels, Recipe(size=32, seed=1))
    assert any(not torch.equal(pictures[Key(e, 3)][0], reseeded[Key(e, 3)][0]) for e in range(5))


def test_a_training_learns_and_stores_the_weights_that_it_chose(tinted: Store, package: Path) -> None:
    seen = epochs(train(package, tinted, RECIPE))
    assert [event.epoch for event in seen] == [1, 2, 3, 4]
    best = max(event.val_f1 for event in seen)
    assert best > 0.5  # chance is 1/3
    tensors = load_file(package / "weights" / "tinted.safetensors")
    assert {value.dtype for name, value in tensors.items() if "num_batches" not in name} == {torch.float16}
    net = with_weights(build(package, 3), tensors)
    assert validation_f1(net, tinted, RECIPE.size) == best
    info = read_info(package / "weights" / "tinted.json")
    assert info.classes == ("blue", "green", "red")
    assert [entry["val_f1"] for entry in info.log] == [event.val_f1 for event in seen]
    assert info.recipe["size"] == 32
    assert not list((package / "weights").glob("*.checkpoint"))


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tinted: Store, package: Path) -> None:
    whole = epochs(train(package, tinted, RECIPE))
    weights = load_file(package / "weights" / "tinted.safetensors")
    events = train(package, tinted, RECIPE)
    for event in events:
        if isinstance(event, Epoch) and event.epoch == 2:
            break
    events.close()
    assert stopped(package, tinted, RECIPE).epochs == 2
    assert len(read_info(package / "weights" / "tinted.json").log) <= 2  # of the stopped fit, not of the first one
    with pytest.raises(SubmissionError, match=r"got one of epochs 4 \(here 9\) after 2 epochs; .* --fresh starts over"):
        stopped(package, tinted, msgspec.structs.replace(RECIPE, epochs=9))
    resumed = epochs(train(package, tinted, RECIPE))
    assert [event.epoch for event in resumed] == [3, 4]
    assert [event.loss for event in resumed] == pytest.approx([event.loss for event in whole[2:]], rel=1e-4)
    again = load_file(package / "weights" / "tinted.safetensors")
    assert all(torch.allclose(weights[name].float(), again[name].float(), atol=1e-2) for name in weights)


def test_a_training_killed_in_an_epoch_goes_on_after_the_last_whole_one(tinted: Store, package: Path) -> None:
    (package / "taco_im156.yaml").write_text("size: 32\nepochs: 12\nbatch: 16\nmax_lr: 0.05\n")
    command = [sys.executable, "-m", "harness", "train", str(package), "--data", str(tinted.path)]
    (package.parent / "baselines").mkdir()
    shutil.copy(ROOT / "baselines" / "rules.toml", package.parent / "baselines")
    home = os.environ | {"HARNESS_ROOT": str(package.parent)}  # where its run is kept
    with subprocess.Popen(command, env=home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                break
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    recipe = parse((package / "taco_im156.yaml").read_bytes(), "recipe")
    done = stopped(package, tinted, recipe).epochs
    assert done >= 2
    assert 1 <= len(read_info(package / "weights" / "tinted.json").log) <= done + 1  # the best so far can be used
    done_again = subprocess.run(command, env=home, capture_output=True, text=True, check=True)
    assert f"going on after epoch {done} of 12" in done_again.stderr
    assert f"epoch {done + 1}/12" in done_again.stdout
    assert f"epoch {done}/12" not in done_again.stdout
    assert len(read_info(package / "weights" / "tinted.json").log) == 12


def test_a_training_starts_from_other_weights_and_never_ends_below_them(tinted: Store, package: Path) -> None:
    first = epochs(train(package, tinted, RECIPE))
    best = max(event.val_f1 for event in first)
    again = msgspec.structs.replace(RECIPE, epochs=1, start_from="tinted", max_lr=1e-6, seed=5)
    epochs(train(package, tinted, again))
    log = read_info(package / "weights" / "tinted.json").log
    assert [entry["epoch"] for entry in log] == [0, 1]
    assert log[0]["val_f1"] == best
    tensors = load_file(package / "weights" / "tinted.safetensors")
    assert validation_f1(with_weights(build(package, 3), tensors), tinted, RECIPE.size) >= best
    info = package / "weights" / "tinted.json"
    info.write_text(info.read_text().replace(tinted.manifest.digest, "0" * 64))
    with pytest.raises(SubmissionError, match="expected weights fitted on this preparation of tinted"):
        next(iter(train(package, tinted, again)))
    with pytest.raises(SubmissionError, match=r"moon\.safetensors: expected weights to start from"):
        next(iter(train(package, tinted, msgspec.structs.replace(again, start_from="moon"))))


def test_a_head_of_other_classes_stays_random(tinted: Store, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs(train(package, tinted, msgspec.structs.replace(RECIPE, epochs=1)))
    net = build(package, 5)
    five = msgspec.structs.replace(tinted.manifest, name="five", classes=("a", "b", "c", "d", "e"))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    monkeypatch.setattr("harness.lab.fitted.validation_f1", lambda *_: 0.5)
    load_start(net, package, msgspec.structs.replace(tinted, manifest=five), Recipe(start_from="tinted"))
    after = net.state_dict()
    assert torch.equal(before["head.weight"], after["head.weight"])
    assert not torch.equal(before["features.0.0.weight"], after["features.0.0.weight"])


def test_a_lost_layer_of_as_many_rows_as_classes_is_no_head(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 5, 1), nn.Conv2d(5, 8, 1))
    state = net.state_dict()
    path = tmp_path / "start.safetensors"

    def fitting(lost: str) -> set[str]:
        return set(_fitting(state, {name: value for name, value in state.items() if name[0] != lost}, 8, path))

    assert fitting("2") == {name for name in state if name[0] != "2"}
    with pytest.raises(SubmissionError, match=r"0\.weight is none, here \(8, 3, 1, 1\)"):
        fitting("0")


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_one_line(content: bytes | None, tinted: Store, package: Path) -> None:
    path = checkpoint_path(package, "tinted")
    path.parent.mkdir()
    if content is None:
        torch.save({"another": "dict"}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(SubmissionError, match="expected a stopped training, got a damaged file; --fresh starts over"):
        stopped(package, tinted, RECIPE)


@pytest.mark.parametrize("steps", range(1, 45))
def test_any_number_of_steps_has_a_schedule(steps: int) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    share = warm_up(0.05, steps)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps, pct_start=share)
    for _ in range(steps - 1):
        optimiser.step()
        schedule.step()


def test_logit_adjustment_is_the_log_of_the_classes_shares() -> None:
    labels = np.array([0, 0, 0, 1])
    adjusted = logit_shift(labels, 2, Recipe(loss="logit_adjusted", tau=2.0))
    assert adjusted.tolist() == pytest.approx([2 * np.log(0.75), 2 * np.log(0.25)])
    assert logit_shift(labels, 2, Recipe()).tolist() == [0, 0]


def test_a_logit_adjusted_training_runs(tinted: Store, package: Path) -> None:
    recipe = Recipe(size=32, epochs=1, batch=16, max_lr=0.05, loss="logit_adjusted")
    assert np.isfinite(epochs(train(package, tinted, recipe))[0].loss)


def test_what_float16_cannot_hold_stays_float32() -> None:
    stored = as_stored({"large": torch.tensor([1e6]), "small": torch.tensor([0.5]), "count": torch.tensor(3)})
    assert [value.dtype for value in stored.values()] == [torch.float32, torch.float16, torch.int64]


def test_a_data_set_smaller_than_a_batch_is_refused(tinted: Store, package: Path) -> None:
    with pytest.raises(DataError, match="expected 64 crops or more"):
        next(iter(train(package, tinted, Recipe(size=32))))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epochs: 0", "epochs: 0 is out of range"),
        ("batch: 1", "batch: 1 is out of range"),
        ("flip: 2", "flip: 2.0 is out of range"),
        ("lr: 1", "unknown key lr"),
        ("loss: hinge", "loss: Invalid enum value 'hinge'"),
        ("randaugment_ops: [3, 2]", "randaugment_ops: "),
        ("[", "expected a recipe: while parsing"),
    ],
)
def test_a_malformed_recipe_is_one_line(text: str, says: str) -> None:
    with pytest.raises(SubmissionError, match=rf"^recipe\.yaml: (expected a recipe: )?{says}"):
        parse(text.encode(), "recipe.yaml")


def test_a_recipe_of_comments_alone_is_the_defaults() -> None:
    assert parse(b"# nothing yet\n", "recipe.yaml") == parse(b"", "recipe.yaml") == Recipe()


def test_the_defaults_are_the_competitions_recipe() -> None:
    ours = parse((ROOT / "submissions" / "mbv3_cut" / "taco_im156.yaml").read_bytes(), "recipe")
    assert ours == Recipe()
    assert (ours.size, ours.batch, ours.max_lr, ours.momentum, ours.pct_start) == (156, 64, 0.1, 0.9, 0.05)
