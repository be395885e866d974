"""Experiments with real workers: packages that spin a known time, on this machine, interleaved, nothing else running.

python docs/experiments/machine.py aa [--count 40]        the same package against itself
                                   slower [--count 10]    2, 5 and 10 % slower, on either side
                                   uneven                 1 % of crops 50x, 40 % of crops 10x as slow
                                   neighbour              a process beside it that burns a core half of the time
                                   disturbers             packages that disturb the baseline
                                   gate [--count 60]      time:3% on identical code and on 6 % slower code

Each run is one line of JSON in docs/experiments/NAME.jsonl, the summary is printed. `--passes` and `--spin` (us) change
a run, `--eager` takes mbv3_cut's network with random weights instead of a spin.
"""

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import ndtri, stdtr

from harness import paths, rules, staging
from harness.gate import judged, parse_gate
from harness.judge.bench import Pixels
from harness.judge.evaluate import Entry, Exam, Job, evaluate
from harness.judge.isolation import choose
from harness.judge.schedule import Exactly, Pilot, Plan
from harness.record import DataId, Result
from harness.stats import cautious_variance, passes_to_see

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("Metal", "Paper", "Paperpack", "Plastic", "Plasticbag", "Styrofoam")
RULES = rules.parse((ROOT / paths.RULES).read_bytes(), "rules.toml")
TARGET = staging.Target("exam", CLASSES)
CROPS = 600

SPIN = """
from time import perf_counter_ns

def load(device):
    {setup}
    def predict(crops):
        crop = crops[0]
        end = perf_counter_ns() + {ns}
        while perf_counter_ns() < end:
            pass
        return [int(crop[0, 0, 0]) % 6]
    return predict
"""
EAGER = """
import sys
import numpy as np
import torch
from harness.nets.build import network
from harness.nets.memory import keep_pages
from harness.nets.preprocess import batch
from harness.nets.table import parse

def load(device):
    keep_pages()
    torch.manual_seed(0)
    with open("mobilenetv3_cut.yaml", "rb") as file:
        net = network(parse(file.read(), "table"), 6).eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def predict(crops):
        return net(batch(crops, 156, device)).argmax(1).tolist()
    return predict
"""
# What a submission may do to the baseline beside it.
DISTURBERS = {
    "children": "import os, time\n    for _ in range(4):\n        if os.fork() == 0:\n            while True: pass",
    "dirty pages": "pages = [bytearray(1 << 20) for _ in range(1500)]",
    "threads": "import threading\n    def burn():\n        while True: pass\n"
    "    [threading.Thread(target=burn, daemon=True).start() for _ in range(4)]",
}


def exam() -> Exam:
    """Random crops of 192x256; the first byte of each is its class, the second its number's low bits."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, CROPS)
    crops = []
    for number, label in enumerate(labels):
        crop = rng.integers(0, 256, (192, 256, 3), dtype=np.uint8)
        crop[0, 0] = label, number % 100, 0
        crop.setflags(write=False)
        crops.append(crop)
    return Exam(
        data=DataId("exam", "e" * 64, CLASSES, CROPS, CROPS),
        pixels=Pixels(test=crops, warmup=crops[:50], sizes=np.full((CROPS, 2), (192, 256))),
        labels=labels.astype(np.int64),
        photos=tuple(map(str, range(CROPS))),
        splits=("test-public",) * CROPS,
    )


def spinning(us: str, setup: str = "pass") -> str:
    """A predict.py that spins; `us` is an expression of `crop`."""
    return SPIN.format(ns=f"int(({us}) * 1000)", setup=setup)


class Bench:
    """Packages in a folder, and one exam."""

    def __init__(self, folder: Path, passes: int) -> None:
        self.folder, self.passes, self.exam = folder, passes, exam()
        self.sandbox = choose(None, RULES.limits).sandbox
        self.made = 0

    def package(self, predict: str) -> Path:
        self.made += 1
        path = self.folder / f"p{self.made}"
        path.mkdir()
        (path / "submission.toml").write_text(f'name = "p{self.made}"\n')
        (path / "predict.py").write_text(predict)
        if predict == EAGER:
            shutil.copy(ROOT / "submissions" / "mbv3_cut" / "mobilenetv3_cut.yaml", path)
        return path

    def run(self, submission: str, baseline: str, plan: Plan | None = None, *, duel: bool = False) -> Result:
        """One evaluation (or duel) of fresh packages; of `passes` passes, unless the plan says otherwise."""
        with contextlib.ExitStack() as stack:
            sides = [
                Entry(*stack.enter_context(staging.staged(self.package(code), TARGET, RULES.limits)))
                for code in (submission, baseline)
            ]
            null = stack.enter_context(staging.staged(ROOT / "baselines" / "null", TARGET, RULES.limits))[1]
            plan = plan or Exactly(self.passes)
            job = Job(*sides, null, self.exam, RULES, self.sandbox, plan=plan, rival=duel)
            outcome = evaluate(job, unseen)
        if outcome.error is not None:
            raise outcome.error
        assert outcome.record.result is not None
        return outcome.record.result


def unseen(_what: str, _share: float) -> None:
    """Progress that nobody looks at."""


def line(name: str, result: Result, **more: object) -> dict[str, object]:
    """One run, kept as a line of NAME.jsonl."""
    ratio = result.time_ratio
    half = None if ratio.half_width is None else ratio.half_width / ratio.value
    said = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **more,
        "ratio": ratio.value,
        "half": half,
        "log_ratios": result.log_ratios,
        # Student's t of the passes, as the normal value of the same probability
        "z": None
        if not result.log_error
        else float(ndtri(stdtr(result.degrees, math.log(ratio.value) / result.log_error))),
        "flags": result.flags,
        "windows": [result.windows.all, result.windows.disturbed, result.windows.dropped],
    }
    with (Path(__file__).parent / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(said) + "\n")
    return said


def aa(bench: Bench, options: argparse.Namespace) -> str:
    """The same code on both sides, as `harness duel` takes it."""
    code = EAGER if options.eager else spinning(str(options.spin))
    name = "aa-eager" if options.eager else "aa"
    runs = [line(name, bench.run(code, code, duel=True)) for _ in range(options.count)]
    z = [float(run["z"]) for run in runs if run["z"] is not None]  # type: ignore[arg-type]
    return (
        f"A/A, {len(runs)} runs of {bench.passes} passes: median ratio {statistics.median(_all(runs, 'ratio')):.4f}, "
        f"sd of z {statistics.stdev(z):.2f}, median half-width {statistics.median(_all(runs, 'half')):.2%} "
        f"({min(_all(runs, 'half')):.2%}-{max(_all(runs, 'half')):.2%}), "
        f"noisy {sum('noisy' in run['flags'] for run in runs)}"  # type: ignore[operator]
    )


def slower(bench: Bench, options: argparse.Namespace) -> str:
    """A known slowdown, on either side."""
    said = []
    for percent in (2, 5, 10):
        fast, slow = spinning(str(options.spin)), spinning(str(options.spin * (1 + percent / 100)))
        for swapped in (False, True):
            truth = 1 / (1 + percent / 100) if swapped else 1 + percent / 100
            pair = (fast, slow) if swapped else (slow, fast)
            runs = [
                line("slower", bench.run(*pair), percent=percent, swapped=swapped, truth=truth)
                for _ in range(options.count)
            ]
            ratios = _all(runs, "ratio")
            said.append(
                f"{percent} % slower{', swapped' * swapped}: truth {truth:.4f}, median {statistics.median(ratios):.4f} "
                f"({min(ratios):.4f}-{max(ratios):.4f}), {len(runs)} runs"
            )
    return "\n".join(said)


def uneven(bench: Bench, options: argparse.Namespace) -> str:
    """Slow on some crops only: the total counts."""
    base, said = options.spin, []
    cases = {
        "1 % of crops 50x": (f"{base} * (50 if crop[0, 0, 1] == 7 else 1)", 1.49),
        "40 % of crops 10x": (f"{base} * (10 if crop[0, 0, 1] < 40 else 1)", 4.6),
    }
    for name, (expression, truth) in cases.items():
        runs = [
            line("uneven", bench.run(spinning(expression), spinning(str(base))), case=name, truth=truth)
            for _ in range(options.count)
        ]
        said.append(f"{name}: truth {truth}, median {statistics.median(_all(runs, 'ratio')):.4f}, {len(runs)} runs")
    return "\n".join(said)


def neighbour(bench: Bench, options: argparse.Namespace) -> str:
    """A process that burns a core half of the time, in tenths of a second."""
    code = spinning(str(options.spin))
    runs = []
    with _burning():
        runs = [line("neighbour", bench.run(code, code)) for _ in range(options.count)]
    noisy = sum("noisy" in run["flags"] for run in runs)  # type: ignore[operator]
    ratios = _all(runs, "ratio")
    return f"neighbour: ratios {min(ratios):.4f}-{max(ratios):.4f}, noisy {noisy} of {len(runs)}"


def disturbers(bench: Bench, options: argparse.Namespace) -> str:
    """Packages that disturb the baseline while it has its turn."""
    base, said = spinning(str(options.spin)), []
    for name, setup in DISTURBERS.items():
        runs = [
            line("disturbers", bench.run(spinning(str(options.spin), setup), base), case=name)
            for _ in range(options.count)
        ]
        flagged = sum("baseline_disturbed" in run["flags"] for run in runs)  # type: ignore[operator]
        said.append(f"{name}: ratio {statistics.median(_all(runs, 'ratio')):.4f}, flagged {flagged} of {len(runs)}")
    return "\n".join(said)


def gate(bench: Bench, options: argparse.Namespace) -> str:
    """time:3% on identical code and on code that is 6 % slower."""
    asked, said = parse_gate("time:3%"), []
    protocol = RULES.protocol

    def enough(logs: np.ndarray) -> int:
        """As `harness duel` without a checkup."""
        least, most = protocol.pilot_passes, protocol.most_passes
        return passes_to_see(cautious_variance(logs), asked.tolerance, least, most, 0.95) or most

    base = spinning(str(options.spin))
    for name, code, count in (
        ("identical", base, options.count),
        ("6 % slower", spinning(str(options.spin * 1.06)), options.slow or max(options.count // 3, 1)),
    ):
        verdicts = []
        for _ in range(count):
            result = bench.run(code, base, Pilot(enough))
            verdicts.append(str(judged(asked, result)))
            line("gate", result, case=name, verdict=verdicts[-1])
        said.append(
            f"{name}: " + ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in sorted(set(verdicts)))
        )
    return "\n".join(said)


def _all(runs: list[dict[str, object]], name: str) -> list[float]:
    return [float(run[name]) for run in runs]  # type: ignore[arg-type]


def _burn() -> None:
    while True:
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        time.sleep(0.05)


@contextlib.contextmanager
def _burning() -> Iterator[None]:
    # Not a child: the judge counts what its descendants spend as its own.
    read, write = os.pipe()
    if (middle := os.fork()) == 0:
        process = multiprocessing.get_context("fork").Process(target=_burn)
        process.start()
        os.write(write, str(process.pid).encode())
        os._exit(0)
    os.waitpid(middle, 0)
    pid = int(os.read(read, 32))
    try:
        yield
    finally:
        os.kill(pid, 9)


EXPERIMENTS: dict[str, Callable[[Bench, argparse.Namespace], str]] = {
    "aa": aa,
    "slower": slower,
    "uneven": uneven,
    "neighbour": neighbour,
    "disturbers": disturbers,
    "gate": gate,
}


def main() -> None:
    """Runs one experiment and prints its summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--spin", type=int, default=2000)
    parser.add_argument("--slow", type=int, default=0, help="runs of the gate's slower code; a third of --count")
    parser.add_argument("--eager", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(EXPERIMENTS[options.experiment](Bench(Path(folder), options.passes), options))


if __name__ == "__main__":
    main()
