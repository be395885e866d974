"""Which crops in which order, and how many passes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.judge import schedule


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_pass_shows_each_crop_once_in_blocks_of_about_the_asked_size(count: int, block: int, seed: int) -> None:
    blocks = schedule.blocks(np.arange(count), block, np.random.default_rng(seed))
    shown = np.concatenate(blocks)
    assert sorted(shown.tolist()) == list(range(count))
    if count >= block:
        assert all(block / 2 <= b.size <= block * 1.5 + 1 for b in blocks)


def test_the_first_side_is_drawn_then_in_turns_and_the_order_is_random() -> None:
    rng = np.random.default_rng(0)
    firsts = [list(itertools.islice(schedule.first_sides(rng), 5)) for _ in range(200)]
    assert 60 < sum(sides[0] for sides in firsts) < 140
    assert all(sides in ([0, 1, 0, 1, 0], [1, 0, 1, 0, 1]) for sides in firsts)
    assert len({tuple(schedule.blocks(np.arange(100), 25, rng)[0].tolist()) for _ in range(200)}) == 200


@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.integers(0, 2**32), st.data())
@settings(max_examples=60)
def test_a_subset_has_the_classes_and_sizes_of_the_whole(counts: list[int], seed: int, data: st.DataObject) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng(seed)
    areas = rng.integers(1, 10_000, labels.size)
    size = data.draw(st.integers(1, labels.size))
    picked = schedule.subset(labels, areas, np.ones(labels.size), size, rng)
    assert picked.size == size
    assert np.unique(picked).size == size
    for label, count in enumerate(counts):
        share = count * size / labels.size
        assert abs((labels[picked] == label).sum() - share) <= 1


def test_subsets_are_drawn_anew_and_cover_every_crop_in_the_end() -> None:
    rng = np.random.default_rng(0)
    labels, areas = np.repeat([0, 1], 100), np.arange(200)
    counts = np.zeros(200, int)
    for _ in range(100):
        counts[schedule.subset(labels, areas, np.ones(labels.size), 50, rng)] += 1
    assert counts.min() > 5
    assert counts.max() < 60


def test_the_number_of_passes_follows_the_budget_alone() -> None:
    assert schedule.passes(budget_s=45, spent_s=20, pass_s=5, least=3, most=40) == 6
    assert schedule.passes(budget_s=1, spent_s=20, pass_s=5, least=3, most=40) == 3
    assert schedule.passes(budget_s=1e6, spent_s=20, pass_s=5, least=3, most=40) == 40


@pytest.mark.parametrize("drift", [0.05, -0.05])
def test_a_slow_drift_of_5_percent_moves_a_pass_by_less_than_half_a_percent(drift: float) -> None:
    """The clock is a sum here: each crop takes 5 ms, times what the machine has slowed down by until then."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        first = next(schedule.first_sides(rng))
        spent, total = [0.0, 0.0], 2 * 750 * 5.0
        now = 0.0
        for block in schedule.blocks(np.arange(750), 25, rng):
            for side in (first, 1 - first):
                for _ in block:
                    cost = 5.0 * (1.0 + drift * now / total)
                    spent[side] += cost
                    now += cost
        assert abs(spent[0] / spent[1] - 1.0) < 0.005


def test_crops_that_are_slow_have_their_share_of_each_subset() -> None:
    rng = np.random.default_rng(0)
    labels, areas = rng.integers(0, 6, 600), rng.integers(100, 10_000, 600)
    cost = np.where(np.arange(600) % 100 == 7, 50.0, 1.0) * rng.uniform(0.9, 1.1, 600)
    slow = [int((cost[schedule.subset(labels, areas, cost, 200, rng)] > 10).sum()) for _ in range(200)]
    assert min(slow) == max(slow) == 2  # a third of six; at random 0 to 5
