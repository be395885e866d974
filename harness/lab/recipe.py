"""A training's settings, as a YAML file in the package. Pure: bytes in, values out."""

import math
from typing import Literal

import msgspec

from harness.errors import SubmissionError
from harness.nets.reading import decoded

_MOST_OPS, _MOST_BINS = 100, 1000


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The defaults are the competition's final recipe. Another recipe never goes on from this one's checkpoint."""

    size: int = 156  # pixels a side of the network's input
    epochs: int = 50
    patience: int = 0  # epochs without a better validation macro F1 after which it stops early; 0: it never does
    batch: int = 64  # of all processes together
    sampling: Literal["shuffled", "balanced"] = "shuffled"  # the second: as many crops of each class in an epoch
    optimiser: Literal["sgd", "adamw"] = "sgd"
    max_lr: float = 0.1  # the peak of OneCycleLR, cosine
    pct_start: float = 0.05  # the share of all steps until the peak
    momentum: float = 0.9  # of sgd, in the mean: OneCycleLR moves it; AdamW's betas are torch's
    weight_decay: float = 0.0
    loss: Literal["cross_entropy", "logit_adjusted"] = "cross_entropy"  # the second: arXiv:2007.07314
    tau: float = 1.0  # of "logit_adjusted": CE(z + tau * log prior, y)
    label_smoothing: float = 0.0
    precision: Literal["float16", "float32"] = "float16"  # of autocast on a GPU; a CPU computes in float32
    crop_area: float = 1.0  # the least share of a picture that a random crop of it has; 1: none is cut
    jitter: float = 0.0  # of brightness, contrast and saturation
    randaugment_ops: tuple[int, int] = (2, 3)  # how many are drawn, both ends included
    randaugment_bins: int = 31  # of magnitude, each operation's drawn anew
    flip: float = 0.5  # probability of a horizontal flip
    flip_vertical: float = 0.0  # on a belt there is no up
    cutout: float = 0.8  # probability
    cutout_side: float = 0.45  # of the input's side
    seed: int = 0
    start_from: str = ""  # a data set, whose weights of this package are the first ones, or a file; "": random ones
    frozen: tuple[str, ...] = ()  # parts of the network that stay as they start, like features.0

    def __post_init__(self) -> None:
        least, most = self.randaugment_ops
        wrong = {
            "size": self.size < 1,
            "epochs": self.epochs < 1,
            "patience": self.patience < 0,
            "batch": self.batch < 2,  # batch norm needs two
            "max_lr": not 0 < self.max_lr < math.inf,
            "pct_start": not 0 < self.pct_start < 1,
            "momentum": not 0 <= self.momentum < 1,
            "weight_decay": not 0 <= self.weight_decay < math.inf,
            "tau": not 0 < self.tau < math.inf,
            "label_smoothing": not 0 <= self.label_smoothing < 1,
            "crop_area": not 0 < self.crop_area <= 1,
            "jitter": not 0 <= self.jitter <= 1,
            "randaugment_ops": not 0 <= least <= most <= _MOST_OPS,
            "randaugment_bins": not 2 <= self.randaugment_bins <= _MOST_BINS,
            "flip": not 0 <= self.flip <= 1,
            "flip_vertical": not 0 <= self.flip_vertical <= 1,
            "cutout": not 0 <= self.cutout <= 1,
            "cutout_side": not 0 < self.cutout_side <= 1,
            "seed": not 0 <= self.seed < 2**63,  # what torch takes
        }
        if names := [name for name, is_wrong in wrong.items() if is_wrong]:
            raise ValueError(", ".join(f"{name}: {getattr(self, name)} is out of range" for name in names))


def parse(text: bytes, source: str) -> Recipe:
    """The recipe in the bytes of the file `source`. Raises SubmissionError (kind "recipe") naming the wrong key.

    >>> parse(b"epochs: 40", "recipe.yaml").epochs
    40
    """
    try:
        return decoded(text, Recipe, "a recipe")
    except ValueError as error:
        raise SubmissionError(f"{source}: {error}", kind="recipe") from error
