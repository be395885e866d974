"""Which crops an epoch has, in which order: a function of the recipe's seed and the epoch's number alone. Pure."""

from collections.abc import Callable

import numpy as np

from harness.lab.augment import Key
from harness.lab.recipe import Recipe
from harness.metrics import Ints


def batches(labels: Ints, recipe: Recipe, epoch: int, steps: int) -> list[list[Key]]:
    """An epoch's keys, `steps` times the recipe's batch. `labels`: (n,), the class of each crop; `epoch` from 0."""
    order = SAMPLINGS[recipe.sampling](labels, steps * recipe.batch, np.random.default_rng([recipe.seed, epoch]))
    turns: dict[int, int] = {}
    keys = []
    for number in order.tolist():
        turns[number] = turns.get(number, -1) + 1
        keys.append(Key(epoch, number, turns[number]))
    return [keys[start : start + recipe.batch] for start in range(0, len(keys), recipe.batch)]


def shuffled(labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """`count` crops of them all, each at most once."""
    return rng.permutation(len(labels))[:count]


def balanced(labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """`count` crops, as many of each class that is there (one more of some where that does not divide).

    A class's crops come all once before any comes again.

    >>> sorted(balanced(np.array([0, 0, 0, 1]), 6, np.random.default_rng(0)).tolist())
    [0, 1, 2, 3, 3, 3]
    """
    classes = rng.permutation(np.unique(labels))  # which of them has one more is drawn too
    parts = []
    for place, one in enumerate(classes):
        own = np.flatnonzero(labels == one)
        wanted = count // len(classes) + (place < count % len(classes))
        rounds = [rng.permutation(own) for _ in range(-(-wanted // len(own)))]
        parts.append(np.concatenate([*rounds, own[:0]])[:wanted])
    return rng.permutation(np.concatenate(parts))


SAMPLINGS: dict[str, Callable[[Ints, int, np.random.Generator], Ints]] = {"shuffled": shuffled, "balanced": balanced}
