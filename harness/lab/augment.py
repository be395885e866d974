"""What training does to a picture: crop, flip, jitter, RandAugment of random magnitude, cutout. Torchvision's v2."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from harness.data.store import Crops
from harness.lab.memory import available_gb
from harness.lab.recipe import Recipe
from harness.metrics import Ints
from harness.nets.preprocess import square

_MARGIN = 7 / 6  # of a picture's side before it is cut
_MEMORY_SHARE = 0.25  # of what is available, for squares that are kept


class Key(NamedTuple):
    """Which picture in which epoch: all that an augmentation depends on beside the recipe's seed."""

    epoch: int
    number: int  # of the crop in its split
    turn: int = 0  # how many times the epoch has had this crop before


class Augment:
    """uint8 (3, side, side) -> the same shape, changed by what the global generator of torch draws."""

    def __init__(self, recipe: Recipe) -> None:
        self._least, self._most = recipe.randaugment_ops
        # One operation of one magnitude each: torchvision's own draws the operations, not the magnitudes.
        bins = range(recipe.randaugment_bins)
        self._ops = [v2.RandAugment(num_ops=1, magnitude=m, num_magnitude_bins=recipe.randaugment_bins) for m in bins]
        share = recipe.cutout_side**2
        first: list[v2.Transform] = []
        if recipe.crop_area < 1:
            first.append(v2.RandomResizedCrop(recipe.size, (recipe.crop_area, 1.0), (0.8, 1.25), antialias=True))
        if recipe.flip:
            first.append(v2.RandomHorizontalFlip(recipe.flip))
        if recipe.flip_vertical:
            first.append(v2.RandomVerticalFlip(recipe.flip_vertical))
        if recipe.jitter:
            first.append(v2.ColorJitter(recipe.jitter, recipe.jitter, recipe.jitter))
        self.idle = not first and not self._most and not recipe.cutout  # whether every picture stays as it is
        self._first = v2.Compose(first or [v2.Identity()])
        self._cutout = v2.RandomErasing(recipe.cutout, scale=(share, share), ratio=(1.0, 1.0), value=0)

    def __call__(self, pixels: Tensor) -> Tensor:
        """A picture, perhaps cut, mirrored or of other colours, with some operations, perhaps with a hole of zeros."""
        pixels = self._first(pixels)
        for _ in range(int(torch.randint(self._least, self._most + 1, ()))):
            pixels = self._ops[int(torch.randint(len(self._ops), ()))](pixels)
        changed: Tensor = self._cutout(pixels)
        return changed


class Squares:
    """A split's crops as squares of a side, made when they are first asked for and kept, where all fit in memory.

    Kept by one process: what a DataLoader's worker makes is gone with it.
    """

    def __init__(self, crops: Crops, side: int, keep: bool) -> None:
        self._crops, self._side = crops, side
        size_gb = len(crops) * side * side * 3 / 1e9
        fits = keep and size_gb < _MEMORY_SHARE * (available_gb() or 0.0)
        self._kept = torch.empty((len(crops), side, side, 3), dtype=torch.uint8) if fits else None
        self._there = [False] * len(crops)

    def __getitem__(self, number: int) -> Tensor:
        """uint8 (3, side, side); not to be written to."""
        if self._kept is None:
            return square(self._crops[number], self._side)
        if not self._there[number]:
            self._kept[number] = square(self._crops[number], self._side).permute(1, 2, 0)
            self._there[number] = True
        return self._kept[number].permute(2, 0, 1)


class TrainingPictures(Dataset[tuple[Tensor, int]]):
    """Squares of a split's crops, augmented, and their labels, by Key.

    Each is drawn from a seed made of the recipe's and its Key, so that it does not depend on order, workers or a stop.
    """

    def __init__(self, crops: Crops, labels: Ints, recipe: Recipe, keep: bool = False) -> None:
        # A little larger where it is cut, so that zooming in finds real pixels.
        side = recipe.size if recipe.crop_area == 1 else round(recipe.size * _MARGIN)
        self._squares, self._labels, self._recipe = Squares(crops, side, keep), labels.tolist(), recipe
        self._augment = Augment(recipe)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        pixels, label = self._squares[key.number], self._labels[key.number]
        if self._augment.idle:
            return pixels, label
        place = key if key.turn else key[:2]  # a first turn draws what it drew when there was no other
        generator = torch.default_generator  # torch.manual_seed seeds GPUs too, which takes as long as a picture
        before = generator.get_state()
        try:
            generator.manual_seed(hash((self._recipe.seed, *place)) & (2**63 - 1))  # ints hash alike in every process
            return self._augment(pixels), label
        finally:
            generator.set_state(before)
