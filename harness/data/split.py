"""Which group of photos goes to which split. Pure; deterministic by seed.

Iterative stratification (K. Sechidis, G. Tsoumakas, I. Vlahavas, On the stratification of multi-label data,
ECML PKDD 2011) over groups in place of examples: a group of near-duplicates, or the crops of one photo,
is never divided. scikit-learn's StratifiedGroupKFold makes equal folds, not shares, and promises no class a
place.
"""

from collections.abc import Sequence

import numpy as np

from harness.metrics import Floats, Ints

TRAIN, TESTS = 0, (2, 3)  # positions in harness.data.store.SPLITS


def split_groups(counts: Ints, shares: Sequence[float], seed: int) -> Ints:
    """The split, in range(4), of each group: shape (groups,).

    `counts`: (groups, classes), how many items of each class a group holds. `shares`: of train, val,
    test-public and test-private; they sum to 1. A class with as many groups as there are splits of a share
    above 0 is in each of them; one with two or more is in train and in a test split (as far as groups of
    several classes allow).

    >>> sorted(split_groups(np.ones((10, 1), dtype=np.int64), (0.6, 0.2, 0.1, 0.1), seed=0).tolist())
    [0, 0, 0, 0, 0, 0, 1, 1, 2, 3]
    """
    plan = _Plan(counts, np.asarray(shares, dtype=np.float64))
    # the largest first, while there is room for them; otherwise at random
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    while (remaining := plan.remaining()).any():
        rarest = int(np.where(remaining > 0, remaining, counts.sum() + 1).argmin())
        for group in order[(counts[order, rarest] > 0) & (plan.splits[order] < 0)].tolist():
            plan.assign(group, rarest)
    plan.splits[plan.splits < 0] = TRAIN  # groups of nothing
    return plan.splits


class _Plan:
    """The state of one stratification: what each split still wants, which classes it has."""

    def __init__(self, counts: Ints, shares: Floats) -> None:
        self.counts = counts
        self.usable = np.flatnonzero(shares > 0)
        self.splits: Ints = np.full(len(counts), -1, dtype=np.int64)
        self.wanted: Floats = shares[:, None] * counts.sum(axis=0)  # (splits, classes), in items
        self.has = np.zeros(self.wanted.shape, dtype=bool)
        self.groups_left: Ints = (counts > 0).sum(axis=0)
        self.everywhere = self.groups_left >= len(self.usable)  # classes with a group for each split

    def remaining(self) -> Ints:
        """Items of each class in groups that have no split yet."""
        left: Ints = self.counts[self.splits < 0].sum(axis=0)
        return left

    def assign(self, group: int, label: int) -> None:
        """Give `group` to the split that wants `label` most, among those that no class needs to keep free."""
        candidates = self._allowed(label)
        for other in np.flatnonzero(self.counts[group]).tolist():
            both = candidates & self._allowed(other)
            candidates = both or candidates
        wanted = self.wanted.sum(axis=1)
        best = max(sorted(candidates), key=lambda split: (self.wanted[split, label], wanted[split]))
        present = self.counts[group] > 0
        self.splits[group] = best
        self.wanted[best] -= self.counts[group]
        self.has[best] |= present
        self.groups_left -= present

    def _allowed(self, label: int) -> set[int]:
        """Splits that may take a group of `label`: only those that lack it where none can be spared."""
        lacking = {int(split) for split in self.usable if not self.has[split, label]}
        if not self.everywhere[label]:
            tests = {split for split in TESTS if split in self.usable}
            lacking = ({TRAIN} & lacking) | (tests if tests <= lacking else set())
            needed = (TRAIN in lacking) + bool(lacking - {TRAIN})
        else:
            needed = len(lacking)
        spare = self.groups_left[label] > needed
        return set(self.usable.tolist()) if spare or not lacking else lacking
