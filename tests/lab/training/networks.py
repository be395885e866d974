"""Small networks to train, as a package's model.py, and what a training of one leaves."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file

from harness.data.store import Store
from harness.lab.recipe import Recipe
from harness.lab.run import Run
from harness.lab.train import Epoch, Step, train

RECIPE = Recipe(size=16, epochs=4, batch=16, max_lr=0.05, randaugment_ops=(0, 1), cutout=0.5)
STEPS = 3  # an epoch of the tinted set's 54 crops
# Draws from every generator that a network may draw from.
RANDOM = """
import random

import numpy as np
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(.3))
        self.head = nn.Linear(8, classes)

    def forward(self, maps):
        maps = self.features(maps).mean((2, 3))
        if self.training:
            maps = maps * (random.random() + .5) + np.random.rand() / 8
        return self.head(maps)

def build(classes):
    return Net(classes)
"""
PLAIN = """
from torch import nn

def build(classes):
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), *pool, nn.Linear(8, classes))
"""


def make(folder: Path, model: str, recipe: Recipe = RECIPE) -> Path:
    """A package with this model.py and this recipe."""
    folder.mkdir(parents=True)
    (folder / "submission.toml").write_text(f'name = "{folder.name}"\nrecipe = "recipe.yaml"\n')
    (folder / "recipe.yaml").write_bytes(msgspec.yaml.encode(recipe))
    (folder / "model.py").write_text(model)
    return folder


def fit(package: Path, store: Store, recipe: Recipe = RECIPE, folder: Path | None = None) -> list[Epoch]:
    """Trains to the end; the epochs that it took."""
    run = None if folder is None else Run(folder)
    return [event for event in train(package, store, recipe, run=run) if isinstance(event, Epoch)]


def stop(package: Path, store: Store, recipe: Recipe, steps: int, folder: Path | None = None) -> None:
    """Trains and stops after so many steps, in the middle of an epoch or at its end."""
    events = train(package, store, recipe, run=None if folder is None else Run(folder))
    for done, _ in enumerate((event for event in events if isinstance(event, Step)), start=1):
        if done == steps:
            break
    events.close()


def same(ours: Path, theirs: Path) -> bool:
    """Whether two safetensors files hold equal tensors, to the last bit."""
    one, other = load_file(ours), load_file(theirs)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_times(log: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """A run's log without what no two trainings have in common."""
    return [{name: entry[name] for name in ("epoch", "loss", "val_f1", "lr")} for entry in log]
