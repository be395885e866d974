"""The judge beside other ways to time a network: MLPerf LoadGen, torch.utils.benchmark, a loop as timm's benchmark.py.

python docs/experiments/others.py [--rounds 3]         needs: pip install mlcommons-loadgen

Two networks, a fresh process for each by every tool, all tools in turns, nothing else running. Each says the
milliseconds a crop of both and their ratio. A line of JSON a tool and round lies in others.jsonl, medians are printed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import EAGER, ROOT, Bench

from harness.judge.isolation.launch import environment
from harness.judge.machine import usable_cores

SHAPE, SECONDS = (192, 256, 3), 4.0
SMALL = ROOT / "submissions" / "mobilenet_v3_small_untrained"
Answer = Callable[[], object]


def timm_style(answer: Answer) -> float:
    """Mean ms of a loop behind 10 warm-up calls, as timm's benchmark.py takes it on the CPU."""
    for _ in range(10):
        answer()
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        answer()
        calls += 1
    return (time.perf_counter() - begin) / calls * 1e3


def torch_benchmark(answer: Answer) -> float:
    """Mean ms of torch.utils.benchmark's blocks."""
    import torch
    from torch.utils.benchmark import Timer

    timer = Timer("answer()", globals={"answer": answer}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange(min_run_time=SECONDS).mean) * 1e3


def loadgen(answer: Answer) -> float:
    """Mean ms of LoadGen's single stream, by its summary."""
    import mlperf_loadgen as lg

    def issue(queries: list[lg.QuerySample]) -> None:
        for query in queries:
            answer()
            lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])

    settings = lg.TestSettings()
    settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
    settings.min_duration_ms, settings.min_query_count = int(SECONDS * 1e3), 100
    output = lg.LogOutputSettings()
    output.outdir = tempfile.mkdtemp()
    logs = lg.LogSettings()
    logs.log_output = output
    sut = lg.ConstructSUT(issue, lambda: None)
    qsl = lg.ConstructQSL(1, 1, lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(sut, qsl, settings, logs)
    lg.DestroyQSL(qsl)
    lg.DestroySUT(sut)
    text = (Path(output.outdir) / "mlperf_log_summary.txt").read_text()
    shutil.rmtree(output.outdir)
    (line,) = (line for line in text.splitlines() if line.startswith("Mean latency (ns)"))
    return float(line.split(":")[1]) / 1e6


TOOLS = {"timm-style": timm_style, "torch.utils.benchmark": torch_benchmark, "LoadGen": loadgen}


def timed(tool: str, package: Path) -> float:
    """In a process of its own: a package's ms a crop."""
    sys.path.insert(0, str(package))
    os.chdir(package)
    import predict

    answers = predict.load("cpu")
    crop = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    return TOOLS[tool](lambda: answers([crop]))


def by_tool(tool: str, packages: tuple[Path, Path]) -> tuple[float, float]:
    """ms a crop of both packages, each in a fresh process with the judge's environment."""
    found = []
    for package in packages:
        done = subprocess.run(
            [sys.executable, __file__, "--tool", tool, "--package", str(package)],
            env={**environment(usable_cores(), "/tmp"), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(float(done.stdout.splitlines()[-1]))
    return found[0], found[1]


def main() -> None:
    """Runs the tools in turns and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tool", choices=TOOLS)
    parser.add_argument("--package", type=Path)
    options = parser.parse_args()
    if options.tool is not None:
        print(timed(options.tool, options.package))
        return
    rows: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), passes=5)
        fast = (SMALL / "predict.py").read_text()
        packages = bench.package(EAGER), bench.package(fast)
        for package in packages:
            (package / "classes.json").write_text(json.dumps(list("abcdef")))
        for _ in range(options.rounds):
            result = bench.run(EAGER, fast)
            rows.setdefault("harness", []).append(
                (result.submission_latency.mean_ms, result.submission_latency.mean_ms / result.time_ratio.value)
            )
            for tool in TOOLS:
                rows.setdefault(tool, []).append(by_tool(tool, packages))
    with (Path(__file__).parent / "others.jsonl").open("a") as file:
        for tool, found in rows.items():
            for first, second in found:
                file.write(json.dumps({"tool": tool, "mbv3_cut_ms": first, "mobilenet_v3_small_ms": second}) + "\n")
    for tool, found in rows.items():
        ratios = [first / second for first, second in found]
        first, second = (statistics.median(one) for one in zip(*found, strict=True))
        print(
            f"{tool:<22} {first:6.2f} ms {second:6.2f} ms  ratio {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f}-{max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
