"""Fits the logistic regression on a data set's training crops.

python baselines/colour_histogram/fit.py --data NAME
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from histogram import BITS, GRID, histogram
from sklearn.linear_model import LogisticRegression

from harness.data.store import Store, open_store
from harness.data.weights import WeightsInfo, write_weights
from harness.errors import HarnessError
from harness.metrics import confusion_matrix, macro_f1
from harness.paths import project_root, resolve

C = 1.0  # scikit-learn's default: a canary is to be plain, not tuned
ITERATIONS = 2000  # a limit that is never met: lbfgs converges in about 50


def fit(store: Store, package: Path, data: str) -> None:
    """Fit on train, print macro F1 on val, write the weights. Deterministic: lbfgs starts at zero."""
    classes = store.manifest.classes
    labels = {split: store.training_labels(split).labels for split in ("train", "val")}
    features = {
        split: np.stack([histogram(crop) for crop in store.crops(split)])  # (n, 512)
        for split in ("train", "val")
    }

    # Balanced, because macro F1 gives a rare class the weight of a common one.
    model = LogisticRegression(C=C, class_weight="balanced", max_iter=ITERATIONS)
    model.fit(features["train"], labels["train"])

    # A class without a training crop is never answered: its bias is the lowest that there is.
    weight = np.zeros((features["train"].shape[1], len(classes)), np.float32)
    bias = np.full(len(classes), np.finfo(np.float32).min, np.float32)
    # Of two classes scikit-learn keeps one row, the logit of the second.
    two = len(model.classes_) == 2
    weight[:, model.classes_] = np.vstack([0 * model.coef_, model.coef_]).T if two else model.coef_.T
    bias[model.classes_] = np.append(0, model.intercept_) if two else model.intercept_

    f1 = {}
    for split in ("train", "val"):
        answers = (features[split] @ weight + bias).argmax(axis=1)
        f1[split] = float(macro_f1(confusion_matrix(labels[split], answers, len(classes))))
    print(f"macro F1: train {f1['train']:.4f}, val {f1['val']:.4f}")
    info = WeightsInfo(
        classes=classes,
        data_digest=store.manifest.digest,
        recipe={"bits": BITS, "grid": GRID, "C": C},
        log=[{"train_f1": f1["train"], "val_f1": f1["val"]}],
    )
    print(f"wrote {write_weights(package, data, {'weight': weight, 'bias': bias}, info)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a data set's name in data/, or its path")
    try:
        opened = open_store(resolve(project_root(), parser.parse_args().data, "data"))
        fit(opened, Path(__file__).resolve().parent, opened.manifest.name)  # the name that evaluate looks for
    except HarnessError as error:
        sys.exit(error.message)
