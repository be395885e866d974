"""A search that takes seconds: a table of four blocks, a judge that answers by the network's size; as a program, too.

`python -m tests.lab.searching FOLDER STORE TRIALS WORKERS` runs one worker of it, once there are so many, and prints
where its trials are.
"""

import math
import os
import sys
import time
from pathlib import Path

import optuna

from harness.data.store import Store, open_store
from harness.data.weights import read_info
from harness.lab.recipe import parse as parse_recipe
from harness.lab.search import run
from harness.lab.search.candidate import Files, refuse_impossible
from harness.lab.search.space import Space, laid, read
from harness.lab.search.study import Objective, open_study
from harness.nets.table import read_table
from harness.record import Result
from harness.score import ScoreRule
from tests.builders import make_result

TABLE = """
blocks:
  - {kind: conv, kernel: 3, out: 8, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 8, squeeze: 8, activation: relu}
  - {kind: depthwise_conv, kernel: 3, activation: relu}
  - {kind: conv, kernel: 1, out: 16, activation: relu}
"""
RECIPE = "size: 16\nepochs: 2\nbatch: 16\nmax_lr: 0.05\nrandaugment_ops: [0, 0]\ncutout: 0\n"
MANIFEST = """name = "small"
recipe = "recipe.yaml"
[model]
format = "table"
architecture = "network.yaml"
[input]
size = 16
"""
SPACE = """
recipe:
  size: {choose: [16, 24]}
  max_lr: {low: 0.01, high: 0.2, log: true}
  randaugment_ops: {choose: [[0, 0], [0, 1]]}
table:
  width: {choose: [1, 2]}
  every: {kernel: {choose: [1, 3]}}
  blocks:
    1: {expand: {low: 1, high: 3, step: 1}, squeeze: {choose: [0, 8]}}
  cut: [1, 2]
  add: {most: 1, of: [1]}
"""
SOURCE = "space.yaml"


def write_start(home: Path) -> Files:
    """The package to start from."""
    package = home / "small"
    package.mkdir(parents=True, exist_ok=True)
    for name, text in (("network.yaml", TABLE), ("recipe.yaml", RECIPE), ("submission.toml", MANIFEST)):
        (package / name).write_text(text)
    return Files(package, "network.yaml", "recipe.yaml")


def laid_over(text: str) -> Space:
    """A space file over that package."""
    return laid(
        read(text.encode(), SOURCE),
        parse_recipe(RECIPE.encode(), "recipe.yaml"),
        read_table(TABLE.encode(), ""),
        SOURCE,
    )


def judge_by(store: Store) -> run.Judge:
    """F1 as training saw it; the larger the network's input and file, the slower."""

    def judge(package: Path) -> Result:
        info = read_info(package / "weights" / f"{store.manifest.name}.json")
        f1 = max((float(entry["val_f1"]) for entry in info.log), default=0.0)
        size = (package / "weights" / f"{store.manifest.name}.safetensors").stat().st_size
        ratio = size / 20_000 * float(info.recipe["size"]) / 16
        return make_result([math.log(ratio)] * 2, f1=f1, baseline_f1=0.7)

    return judge


def order_in(home: Path, store: Store, trials: int, objective: Objective = "front", space: str = SPACE) -> run.Order:
    """A search below `home`, whose package is made where it is not there."""
    files = write_start(home)
    folder = home / "searches" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    its = laid_over(space)
    refuse_impossible(its, files, SOURCE)
    return run.Order(folder, folder.parent, its, files, store, objective, ScoreRule(), trials)


def study_of(order: run.Order, url: str = "") -> optuna.Study:
    """Its study, in SQLite beside it."""
    return open_study(url or f"sqlite:///{order.folder / 'study.db'}", order.folder, order.objective, {"--space": ""})


def main(home: str, store: str, trials: str, workers: str) -> None:
    """One worker; each judging takes a moment, so that there is time to kill it."""
    opened = open_store(Path(store))
    (Path(home) / f"ready-{os.getpid()}").touch()
    while len(list(Path(home).glob("ready-*"))) < int(workers):
        time.sleep(0.05)
    order, judge = order_in(Path(home), opened, int(trials)), judge_by(opened)

    def slowly(package: Path) -> Result:
        with (order.folder / "judging.log").open("a") as log:
            log.write(f"{time.monotonic()} begin {package.name}\n")
        time.sleep(0.3)
        with (order.folder / "judging.log").open("a") as log:
            log.write(f"{time.monotonic()} end {package.name}\n")
        return judge(package)

    for entry in run.search(study_of(order), order, slowly, lambda moment: print(moment.what, flush=True)):
        print("ended", entry.number, entry.end, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
