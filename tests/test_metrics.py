"""The metrics against scikit-learn's, on any labels."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics import Floats, Ints, answer_weights, class_scores, confusion_matrix, macro_f1

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from sklearn import metrics as sklearn

Labelled = tuple[int, Ints, Ints, Floats]


@st.composite
def labelled(draw: st.DrawFn) -> Labelled:
    """Classes, truth, answers, weights."""
    classes, n = draw(st.integers(2, 7)), draw(st.integers(1, 40))
    label = st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)
    weight = st.lists(st.floats(0.01, 10.0), min_size=n, max_size=n)
    return classes, np.array(draw(label)), np.array(draw(label)), np.array(draw(weight))


@given(labelled())
def test_macro_f1_is_scikit_learns(case: Labelled) -> None:
    classes, truth, answers, weights = case
    theirs = sklearn.f1_score(
        truth, answers, labels=range(classes), average="macro", zero_division=0, sample_weight=weights
    )
    assert float(macro_f1(confusion_matrix(truth, answers, classes, weights))) == pytest.approx(theirs, abs=1e-12)


@given(labelled())
def test_class_scores_are_scikit_learns(case: Labelled) -> None:
    classes, truth, answers, _ = case
    ours = class_scores(confusion_matrix(truth, answers, classes))
    theirs = sklearn.precision_recall_fscore_support(truth, answers, labels=range(classes), zero_division=0)
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-12)


@given(labelled())
def test_the_confusion_matrix_is_scikit_learns(case: Labelled) -> None:
    classes, truth, answers, weights = case
    theirs = sklearn.confusion_matrix(truth, answers, labels=range(classes), sample_weight=weights)
    np.testing.assert_allclose(confusion_matrix(truth, answers, classes, weights), theirs, atol=1e-12)


def test_a_class_that_never_occurs_counts_as_zero() -> None:
    truth = np.array([0, 0, 1, 1])
    assert float(macro_f1(confusion_matrix(truth, truth, 4))) == pytest.approx(0.5)


def test_a_constant_answer_over_six_even_classes_scores_little() -> None:
    truth = np.repeat(np.arange(6), 10)
    assert float(macro_f1(confusion_matrix(truth, np.zeros(60, dtype=np.int64), 6))) == pytest.approx(2 / 7 / 6)


def test_many_matrices_at_once_give_each_ones_f1() -> None:
    matrices = np.random.default_rng(0).integers(0, 9, (2, 5, 3, 3)).astype(float)
    assert macro_f1(matrices).shape == (2, 5)
    assert macro_f1(matrices)[1, 2] == macro_f1(matrices[1, 2])


@pytest.mark.parametrize("wrong", [-1, 3, 64])
def test_a_label_out_of_range_is_refused(wrong: int) -> None:
    right, bad = np.array([0, 1]), np.array([0, wrong])
    with pytest.raises(ValueError, match=r"answers: expected labels in range\(3\)"):
        confusion_matrix(right, bad, 3)
    with pytest.raises(ValueError, match="truth"):
        confusion_matrix(bad, right, 3)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_the_answers_of_one_crop_weigh_one_together(crops: list[int]) -> None:
    numbers = np.array(crops)
    totals = np.bincount(numbers, weights=answer_weights(numbers))
    np.testing.assert_allclose(totals[np.unique(numbers)], 1.0)


def test_a_crop_right_once_in_two_answers_is_half_right() -> None:
    crops, truth, answers = np.array([0, 1, 0]), np.array([0, 1, 0]), np.array([0, 1, 1])
    confusion = confusion_matrix(truth, answers, 2, answer_weights(crops))
    assert confusion.tolist() == [[0.5, 0.5], [0.0, 1.0]]
