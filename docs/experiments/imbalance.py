"""Balanced sampling against the logit-adjusted loss on an imbalanced set, each beside neither, by five seeds.

python docs/experiments/imbalance.py [--seeds N ...] [--data embedded]    a line of JSON a training to imbalance.jsonl
python docs/experiments/imbalance.py --table                          what the lines say

The embedded set's training crops are thinned: SHARES of the largest class's number is left of each, at worst 1 to 20;
its validation crops stay. The network is a small one at 64 pixels, with one thread. Macro F1 is the last epoch's, which
nothing chose. A seed is that of the weights, the order and the augmentation; the thinned set is one and the same.
"""

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from time import process_time

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).with_name("imbalance.jsonl")
SHARES = {"Metal": 0.05, "Paper": 1.0, "Paperpack": 0.05, "Plastic": 0.2, "Plasticbag": 1.0, "Styrofoam": 0.05}
ARMS: dict[str, dict[str, str]] = {
    "plain": {},
    "balanced sampling": {"sampling": "balanced"},
    "logit-adjusted loss": {"loss": "logit_adjusted"},
}
EPOCHS = 16
MANIFEST = """
name = "small"
recipe = "recipe.yaml"
[model]
format = "table"
architecture = "network.yaml"
[input]
size = 64
"""
NETWORK = """
blocks:
  - {kind: conv, kernel: 3, out: 16, stride: 2, activation: relu}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 32, stride: 2, activation: relu}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 48, stride: 2, activation: relu}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 64, stride: 2, activation: relu}
  - {kind: conv, kernel: 1, out: 128, activation: relu}
"""


def thin(source: Path, target: Path) -> None:
    """A copy of a data set with that share of the training crops of each class, the first ones of a seeded order."""
    from harness.data.store import Index, open_store

    store = open_store(source)
    crops, (labels, photos) = store.crops("train"), store.training_labels("train")
    rng, largest = np.random.default_rng(0), np.bincount(labels).max()
    kept: list[int] = []
    for number, one in enumerate(store.manifest.classes):
        own = rng.permutation(np.flatnonzero(labels == number))
        kept += own[: round(SHARES[one] * largest)].tolist()
    kept.sort()
    sizes, areas = crops.sizes[kept], crops.sizes[kept].prod(axis=1) * 3
    index = Index(tuple((areas.cumsum() - areas).tolist()), *(tuple(side.tolist()) for side in sizes.T))
    manifest = msgspec.structs.replace(store.manifest, crops={**store.manifest.crops, "train": len(kept)})
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("train.*"))
    with (target / "train.pixels").open("wb") as file:
        for number in kept:
            file.write(crops[number].tobytes())
    (target / "train.index.json").write_bytes(msgspec.json.encode(index))
    thinned = {"labels": labels[kept].tolist(), "photos": [photos[number] for number in kept]}
    (target / "labels" / "train.json").write_text(json.dumps(thinned))
    (target / "manifest.json").write_bytes(msgspec.json.encode(manifest))


def main(seeds: list[int], data: str) -> None:
    """Trains each arm by each seed that imbalance.jsonl does not have yet."""
    import torch

    from harness.data.store import open_store
    from harness.lab.recipe import Recipe
    from harness.lab.train import Epoch, train

    torch.set_num_threads(1)
    done = {(line["arm"], line["seed"]) for line in lines()}
    with tempfile.TemporaryDirectory() as home:
        thin(ROOT / "data" / data, Path(home) / "thinned")
        store = open_store(Path(home) / "thinned")
        counts = np.bincount(store.training_labels("train").labels).tolist()
        for seed, (arm, settings) in itertools.product(seeds, ARMS.items()):
            if (arm, seed) in done:
                continue
            recipe = Recipe(
                **{"size": 64, "epochs": EPOCHS, "batch": 32, "optimiser": "adamw", "max_lr": 0.006, "pct_start": 0.3},
                **{"weight_decay": 0.05, "crop_area": 0.5, "flip_vertical": 0.5, "randaugment_ops": (0, 0)},
                **{"cutout": 0.0, "seed": seed, **settings},
            )
            package = Path(home) / f"{arm}-{seed}"
            package.mkdir()
            (package / "submission.toml").write_text(MANIFEST)
            (package / "network.yaml").write_text(NETWORK)
            begin = process_time()
            f1s = [event.val_f1 for event in train(package, store, recipe) if isinstance(event, Epoch)]
            line = {"arm": arm, "seed": seed, "f1": f1s[-1], "best_f1": max(f1s), "cpu_s": process_time() - begin}
            with OUT.open("a") as out:
                out.write(json.dumps({**line, "crops": counts, "epochs": EPOCHS}) + "\n")
            print(line, flush=True)


def lines() -> list[dict[str, object]]:
    return [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []


def table() -> None:
    """Mean and standard deviation over the seeds, and of the differences from plain, seed by seed."""
    by_arm = {arm: {one["seed"]: one["f1"] for one in lines() if one["arm"] == arm} for arm in ARMS}
    print("| way | macro F1 of the last epoch, mean (sd) | more than plain, mean (sd) | seeds |\n|---|---|---|---|")
    for arm, f1s in by_arm.items():
        more = [f1 - by_arm["plain"][seed] for seed, f1 in f1s.items()]
        said = "" if arm == "plain" else f"{statistics.mean(more):+.3f} ({statistics.stdev(more):.3f})"
        mean, spread = statistics.mean(f1s.values()), statistics.stdev(f1s.values())
        print(f"| {arm} | {mean:.3f} ({spread:.3f}) | {said} | {len(f1s)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        main(arguments.seeds, arguments.data)
