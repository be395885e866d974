"""What a recipe can ask for beside the competition's settings: AdamW, label smoothing, random crops, jitter."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from harness.data.store import Store, open_store
from harness.errors import SubmissionError
from harness.lab.augment import Augment, Key, TrainingPictures
from harness.lab.recipe import Recipe, parse
from harness.lab.train import Epoch, optimiser_of, parts_of, train
from tests.pictures import prepare_tinted

PLAIN = Recipe(size=32, randaugment_ops=(0, 0), cutout=0.0, flip=0.0)
FULL = Recipe(
    size=32,
    epochs=3,
    batch=16,
    optimiser="adamw",
    max_lr=0.01,
    weight_decay=0.05,
    label_smoothing=0.1,
    crop_area=0.5,
    jitter=0.3,
    flip_vertical=0.5,
    randaugment_ops=(0, 1),
)
NETWORK = """
name = "small"
recipe = "recipe.yaml"
[model]
format = "table"
architecture = "network.yaml"
[input]
size = 32
"""
TABLE = "blocks: [{kind: conv, kernel: 3, out: 8, stride: 2, activation: relu}]\n"


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A small data set that is easy to learn."""
    return open_store(prepare_tinted(tmp_path_factory.mktemp("tinted")))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A table of one block."""
    (tmp_path / "submission.toml").write_text(NETWORK)
    (tmp_path / "network.yaml").write_text(TABLE)
    return tmp_path


def changed(**settings: object) -> torch.Tensor:
    """A picture of four quarters of different greys, augmented by these settings alone."""
    pixels = torch.tensor([[0, 80], [160, 240]], dtype=torch.uint8).repeat_interleave(16, 0).repeat_interleave(16, 1)
    torch.manual_seed(1)
    return Augment(msgspec.structs.replace(PLAIN, **settings))(pixels.expand(3, 32, 32))


def test_nothing_is_changed_by_a_recipe_without_augmentation() -> None:
    assert changed()[:, ::16, ::16].tolist() == [[[0, 80], [160, 240]]] * 3


def test_each_setting_changes_what_it_says() -> None:
    assert changed(flip=1.0)[0, ::16, ::16].tolist() == [[80, 0], [240, 160]]
    assert changed(flip_vertical=1.0)[0, ::16, ::16].tolist() == [[160, 240], [0, 80]]
    cut = changed(crop_area=0.3)
    assert cut.shape == (3, 32, 32)
    assert not torch.equal(cut, changed())
    jittered = changed(jitter=0.5)
    assert not torch.equal(jittered, changed())
    assert len(jittered[0, :16, :16].unique()) == 1, "colours change, shapes do not"


def test_a_cut_picture_is_cut_from_a_larger_one(tinted: Store) -> None:
    labels = tinted.training_labels("train").labels
    whole = TrainingPictures(tinted.crops("train"), labels, PLAIN)[Key(0, 0)][0]
    cut = TrainingPictures(tinted.crops("train"), labels, msgspec.structs.replace(PLAIN, crop_area=0.5))[Key(0, 0)][0]
    assert whole.shape == cut.shape == (3, 32, 32)
    assert not torch.equal(whole, cut)


def test_the_optimiser_is_the_recipes() -> None:
    net = nn.Linear(2, 2)
    sgd, adamw = optimiser_of(net, Recipe()), optimiser_of(net, FULL)
    assert isinstance(sgd, SGD)
    assert sgd.defaults["momentum"] == 0.9
    assert isinstance(adamw, AdamW)
    assert adamw.defaults["weight_decay"] == 0.05


@pytest.mark.parametrize(("momentum", "least", "most"), [(0.9, 0.85, 0.95), (0.5, 0.45, 0.55), (0.0, 0.0, 0.0)])
def test_sgds_momentum_moves_about_the_recipes(momentum: float, least: float, most: float) -> None:
    parts, seen = parts_of(nn.Linear(2, 2), Recipe(momentum=momentum, epochs=2), 10), []
    for _ in range(20):
        seen.append(parts.optimiser.param_groups[0]["momentum"])
        parts.optimiser.step()
        parts.schedule.step()
    assert (min(seen), max(seen)) == (least, most)


def test_a_training_of_two_steps_has_a_schedule_by_any_share() -> None:
    assert parts_of(nn.Linear(2, 2), Recipe(pct_start=0.5, epochs=2), 1).optimiser.param_groups[0]["lr"] > 0


def test_a_training_by_all_of_it_goes_on_after_a_stop_as_if_it_had_not_been(tinted: Store, package: Path) -> None:
    whole = [event for event in train(package, tinted, FULL) if isinstance(event, Epoch)]
    assert all(np.isfinite(event.loss) for event in whole)
    events = train(package, tinted, FULL)
    next(event for event in events if isinstance(event, Epoch))
    events.close()
    resumed = [event for event in train(package, tinted, FULL) if isinstance(event, Epoch)]
    assert [event.epoch for event in resumed] == [2, 3]
    assert [event.loss for event in resumed] == pytest.approx([event.loss for event in whole[1:]], rel=1e-4)


def test_label_smoothing_raises_the_least_loss(tinted: Store, package: Path) -> None:
    def loss(smoothing: float) -> float:
        recipe = msgspec.structs.replace(FULL, epochs=1, label_smoothing=smoothing)
        return next(event.loss for event in train(package, tinted, recipe, fresh=True) if isinstance(event, Epoch))

    assert loss(0.9) != pytest.approx(loss(0.0))


@pytest.mark.parametrize(
    "text",
    [
        *("optimiser: lion", "label_smoothing: 1", "crop_area: 0", "jitter: 2", "flip_vertical: -1"),
        *("max_lr: .inf", "tau: .inf", "weight_decay: .inf", "seed: 9223372036854775808"),
        *("randaugment_ops: [0, 100000000000000000000]", "randaugment_bins: 100000000000"),
    ],
)
def test_a_setting_out_of_range_is_one_line(text: str) -> None:
    with pytest.raises(SubmissionError, match=rf"^recipe\.yaml: (expected a recipe: )?{text.partition(':')[0]}: "):
        parse(text.encode(), "recipe.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"size: 96\nsize: 64", "expected a recipe: the key size twice, at line 1 and line 2"),
        (b"max_lr: 1e-3", "max_lr: expected float, got str (1e-3 is text in YAML: write 1.0e-3 or 0.001)"),
        (b"seed: 2026-13-01", "expected a recipe: month must be in 1..12"),
        (b"seed: !!int one", "expected a recipe: invalid literal for int() with base 10: 'one'"),
        (b"seed: " + b"1" * 5000, "expected a recipe: Exceeds the limit (4300 digits)"),
        (b"{1: 2}", "expected str for a key"),
    ],
)
def test_what_yaml_itself_cannot_read_or_reads_otherwise_is_one_line(text: bytes, said: str) -> None:
    with pytest.raises(SubmissionError, match=rf"^recipe\.yaml: {re.escape(said)}"):
        parse(text, "recipe.yaml")
