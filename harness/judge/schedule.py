"""Which crops in which order, and how many passes. Pure; the random generator is the judge's secret."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from harness.metrics import Floats, Ints


class Budget(NamedTuple):
    """As many passes as fit into `seconds`, fixed once the first is done."""

    seconds: float


class Exactly(NamedTuple):
    """So many passes."""

    passes: int


class Pilot(NamedTuple):
    """The rules' pilot passes; then `fix` says once, from their log ratios, how many there are to be in all."""

    fix: Callable[[Floats], int]


Plan = Budget | Exactly | Pilot


class Turns(NamedTuple):
    """One pass: blocks of crop numbers, each classified by both sides; whether the submission goes first."""

    blocks: tuple[Ints, ...]
    submission_first: bool


def turns(crops: Ints, block: int, rng: np.random.Generator) -> Turns:
    """The crops in random order, cut into blocks of about `block`, and which side is first.

    >>> [b.size for b in turns(np.arange(7), 3, np.random.default_rng(0)).blocks]
    [4, 3]
    """
    order = rng.permutation(crops)
    count = max(round(order.size / block), 1)
    return Turns(tuple(np.array_split(order, count)), bool(rng.integers(2)))


def subset(labels: Ints, areas: Ints, cost: Floats, size: int, rng: np.random.Generator) -> Ints:
    """About `size` of the crops, stratified: a random start and a fixed step through (cost, class, area).

    `labels`, `areas` (pixels), `cost` (the submission's times so far, taken by octaves), each (n,): a submission that
    is slow on few crops has its share of them in each subset. Returns sorted crop numbers, all of them for size >= n.

    >>> subset(np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2]), np.ones(4), 2, np.random.default_rng(0)).size
    2
    """
    n = labels.size
    if size >= n:
        return np.arange(n)
    shuffled = rng.permutation(n)  # so that ties are not always broken alike
    octaves = np.round(np.log2(np.maximum(cost / np.median(cost), 1e-9)))[shuffled]
    order = shuffled[np.lexsort((areas[shuffled], labels[shuffled], octaves))]
    step = n / size
    picks = np.floor(rng.random() * step + step * np.arange(size)).astype(np.int64)
    return np.sort(order[np.minimum(picks, n - 1)])


def later_crops(least: int, seconds: float, crop_s: float, available: int) -> int:
    """Crops of a later pass: at least `least` of them and `seconds` of both sides' work at `crop_s` a crop.

    >>> later_crops(150, 3.0, 0.01, 1000), later_crops(150, 3.0, 0.001, 1000)
    (300, 1000)
    """
    return min(max(least, int(np.ceil(seconds / max(crop_s, 1e-9)))), available)


def passes(budget_s: float, spent_s: float, pass_s: float, least: int, most: int) -> int:
    """How many passes to make in all, fixed once the first is done: never by how the numbers look.

    `spent_s`: so far and what is still to be spent whatever happens; `pass_s`: what one more costs.

    >>> passes(45.0, 15.0, 5.0, 3, 40), passes(45.0, 60.0, 5.0, 3, 40)
    (7, 3)
    """
    more = int(max(budget_s - spent_s, 0.0) / max(pass_s, 1e-9))
    return min(max(1 + more, least), most)
