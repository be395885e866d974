"""Which crops in which order, and how many passes. Pure; the random generator is the judge's secret."""

import itertools
from collections.abc import Callable, Iterator
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


def first_sides(rng: np.random.Generator) -> Iterator[int]:
    """Which side starts, loads and classifies first, 0 the submission, 1 the baseline: drawn, then in turns.

    What the first one gains or loses by it cancels over two passes and shows as their scatter.

    >>> sides = first_sides(np.random.default_rng(0))
    >>> {next(sides), next(sides)}, next(sides) == next(sides)
    ({0, 1}, False)
    """
    drawn = int(rng.integers(2))
    return itertools.cycle((drawn, 1 - drawn))


def blocks(crops: Ints, block: int, rng: np.random.Generator) -> tuple[Ints, ...]:
    """The crops in random order, cut into blocks of about `block`, each of which both sides classify.

    >>> [b.size for b in blocks(np.arange(7), 3, np.random.default_rng(0))]
    [4, 3]
    """
    order = rng.permutation(crops)
    count = max(round(order.size / block), 1)
    return tuple(np.array_split(order, count))


def batch_blocks(crops: Ints, block: int, batches: tuple[int, int], rng: np.random.Generator) -> tuple[Ints, ...]:
    """The same for requests of several crops: blocks of whole batches of the larger of both sizes, four at least.

    After each switch of sides a batch is spent on settling: four keep that a fifth of the work. The last block is what
    is left.

    >>> [b.size for b in batch_blocks(np.arange(300), 25, (32, 8), np.random.default_rng(0))]
    [128, 128, 44]
    """
    order, size = rng.permutation(crops), whole_batches(block, batches, least=4)
    return tuple(order[start : start + size] for start in range(0, order.size, size))


def whole_batches(crops: int, batches: tuple[int, int], least: int = 1) -> int:
    """`crops`, rounded up to whole batches of the larger size, `least` of them or more.

    >>> whole_batches(75, (1, 1)), whole_batches(75, (1, 32)), whole_batches(25, (8, 32), least=4)
    (75, 96, 128)
    """
    batch = max(batches)
    return max(-(-crops // batch), least) * batch


def shares(elapsed_ns: int, crops: int) -> list[int]:
    """The time of a request, shared equally by its crops; their sum is the time.

    >>> shares(10, 3)
    [4, 3, 3]
    """
    each, left = divmod(elapsed_ns, crops)
    return [each + (number < left) for number in range(crops)]


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
