"""A run's folder: what a training was, how it went, its weights."""

import json
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from harness import __version__
from harness.data.store import Store
from harness.lab.curves import svg
from harness.lab.recipe import parse
from harness.lab.run import Run, new_folder, read_log
from harness.lab.train import Epoch, train
from tests.conftest import names
from tests.lab.training.networks import PLAIN, RECIPE, STEPS, fit, make, same, stop

FILES = ["best.safetensors", "curves.svg", "last.safetensors", "log.jsonl", "recipe.yaml", "versions.json"]


def text_of(picture: bytes) -> str:
    return " ".join(text.strip() for text in ElementTree.fromstring(picture).itertext())


def test_a_run_keeps_what_there_is_to_know(tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "plain", PLAIN)
    seen = fit(package, tinted, folder=tmp_path / "run")
    run = tmp_path / "run"
    assert names(run) == FILES
    assert parse((run / "recipe.yaml").read_bytes(), "recipe.yaml") == RECIPE
    versions = json.loads((run / "versions.json").read_text())
    assert versions["harness"] == __version__
    assert versions["torch"] == torch.__version__
    assert versions["threads"] == torch.get_num_threads()
    assert versions["data_digest"] == tinted.manifest.digest
    log = read_log(run)
    assert [(entry["epoch"], entry["val_f1"]) for entry in log] == [(event.epoch, event.val_f1) for event in seen]
    assert [*log[0]] == ["epoch", "loss", "val_f1", "lr", "images_per_s", "seconds"]
    assert same(run / "best.safetensors", package / "weights" / "tinted.safetensors")
    assert {value.dtype for value in load_file(run / "last.safetensors").values()} == {torch.float32}
    said = text_of((run / "curves.svg").read_bytes())
    best = max(seen, key=lambda event: event.val_f1)
    for word in ("loss", "validation macro F1", "learning rate", "epoch", f"{best.val_f1:.4f}, epoch {best.epoch}"):
        assert word in said


def test_a_run_is_whole_after_each_epoch(tinted: Store, tmp_path: Path) -> None:
    package, run = make(tmp_path / "plain", PLAIN), tmp_path / "run"
    for event in train(package, tinted, RECIPE, run=Run(run)):
        if isinstance(event, Epoch):
            assert len(read_log(run)) == event.epoch
            assert names(run) == FILES
            ElementTree.fromstring((run / "curves.svg").read_bytes())


@pytest.mark.parametrize(
    "first",
    [b"garbage", b'{"a":"\xff"}', b"{}", b'{"epoch":"x"}', b'{"epoch":1}', b'{"epoch":1e400}', b"", b"[]", None],
)
def test_a_run_whose_log_was_damaged_has_its_checkpoints(first: bytes | None, tinted: Store, tmp_path: Path) -> None:
    package, run = make(tmp_path / "plain", PLAIN), tmp_path / "run"
    stop(package, tinted, RECIPE, 2 * STEPS + 1, run)
    before = (run / "log.jsonl").read_bytes()
    damaged = before.partition(b"\n")[2] if first is None else first + b"\n" + before  # None: a line is missing
    (run / "log.jsonl").write_bytes(damaged)
    fit(package, tinted, folder=run)
    assert [entry["epoch"] for entry in read_log(run)] == list(range(1, RECIPE.epochs + 1))


def test_a_resumed_run_forgets_what_its_checkpoint_does_not_hold(tinted: Store, tmp_path: Path) -> None:
    package, run = make(tmp_path / "plain", PLAIN), tmp_path / "run"
    stop(package, tinted, RECIPE, STEPS + 1, run)
    with (run / "log.jsonl").open("a") as log:
        log.write('{"epoch":2,"loss":9.0,"val_f1":0.5}\n{"epoch":3,"lo')  # killed before the checkpoint was written
    before = (run / "versions.json").read_text()
    (run / "versions.json").write_text(before.replace('"threads": ', '"threads": 9'))  # another machine's
    fit(package, tinted, folder=run)
    assert [entry["epoch"] for entry in read_log(run)] == [1, 2, 3, 4]
    assert all(entry["loss"] != 9.0 for entry in read_log(run))
    assert (run / "versions-1.json").read_text() == before


def test_a_run_whose_folder_was_removed_begins_with_the_checkpoints_log(tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "plain", PLAIN)
    stop(package, tinted, RECIPE, STEPS + 1)
    fit(package, tinted, folder=tmp_path / "run")
    assert [entry["epoch"] for entry in read_log(tmp_path / "run")] == [1, 2, 3, 4]


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    folders = []
    for _ in range(3):
        folders.append(new_folder(tmp_path))
        folders[-1].mkdir()
    assert len(set(folders)) == 3


@pytest.mark.parametrize("epochs", [1, 3, 200])
def test_curves_of_any_length_are_drawn(epochs: int) -> None:
    log = [{"epoch": n, "loss": 1 / n, "val_f1": n / 200, "lr": 0.1} for n in range(1, epochs + 1)]
    start = {"epoch": 0, "val_f1": 0.001, "start_sha256": "ab"}
    assert f"{epochs / 200:.4f}, epoch {epochs}" in text_of(svg([start, *log], "mine <&> yours"))


def test_a_recipe_out_of_a_run_trains_the_same_again(tinted: Store, tmp_path: Path) -> None:
    package = make(tmp_path / "plain", PLAIN, msgspec.structs.replace(RECIPE, epochs=2))
    first = fit(package, tinted, msgspec.structs.replace(RECIPE, epochs=2), tmp_path / "run")
    recipe = parse((tmp_path / "run" / "recipe.yaml").read_bytes(), "recipe.yaml")
    assert [event.loss for event in fit(package, tinted, recipe)] == [event.loss for event in first]
