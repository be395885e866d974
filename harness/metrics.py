"""Classification metrics from a weighted confusion matrix. Pure numpy; checked against scikit-learn in tests."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ClassScores(NamedTuple):
    """Per class, arrays of shape (classes,): precision, recall and F1 in [0, 1], support as weight of truth."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Floats


def confusion_matrix(truth: Ints, answers: Ints, classes: int, weights: Floats | None = None) -> Floats:
    """(classes, classes) of summed weights, row = true class, column = answered class.

    `truth`, `answers`: shape (n,), integers in range(classes). `weights`: shape (n,), 1 each by default.
    Raises ValueError on a label out of range.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    for name, labels in (("truth", truth), ("answers", answers)):
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(f"{name}: expected labels in range({classes})")
    flat = np.bincount(truth * classes + answers, weights=weights, minlength=classes * classes)
    return flat.astype(np.float64).reshape(classes, classes)


def class_scores(confusion: Floats) -> ClassScores:
    """Precision, recall, F1 and support of each class from one (..., classes, classes) confusion matrix.

    A quotient with nothing below the line counts as 0 (scikit-learn's `zero_division=0`).
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support = confusion.sum(axis=-1)
    answered = confusion.sum(axis=-2)
    return ClassScores(
        precision=_quotient(hits, answered),
        recall=_quotient(hits, support),
        f1=_quotient(2.0 * hits, support + answered),
        support=support,
    )


def macro_f1(confusion: Floats) -> Floats:
    """Mean of the classes' F1, in [0, 1]; shape (...,) for confusion matrices of shape (..., classes, classes).

    Equals scikit-learn's `f1_score(average="macro", labels=range(classes), zero_division=0)`.

    >>> round(float(macro_f1(np.array([[1.0, 0.0], [1.0, 1.0]]))), 4)
    0.6667
    """
    mean: Floats = class_scores(confusion).f1.mean(axis=-1)
    return mean


def answer_weights(crops: Ints) -> Floats:
    """Weight of each answer so that the answers of one crop sum to 1: shape (n,) for crop numbers (n,).

    >>> answer_weights(np.array([7, 7, 3])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, inverse, counts = np.unique(crops, return_inverse=True, return_counts=True)
    weights: Floats = 1.0 / counts[inverse]
    return weights


def _quotient(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
