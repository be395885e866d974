"""What a package without Python costs beside its bare runtime: a crop, and start-up. `make bench`."""

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import staging
from harness.judge.awake import awake
from harness.judge.isolation import Sandbox
from harness.judge.isolation.launch import environment
from harness.judge.machine import usable_cores
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.wire import input_bytes
from tests.benchmarks.conftest import InTurns
from tests.benchmarks.test_latency import ALTERNATIONS, CROPS, SHAPE, alternated
from tests.conftest import ROOT, MakePackage

# InferenceSession.run and the same preprocessing, as somebody writes it by hand.
BARE = """
import os
import onnxruntime
from harness.formats import Input
from harness.worker.pixels import preparing

def load(device):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    session = onnxruntime.InferenceSession("weights.onnx", options, providers=["CPUExecutionProvider"])
    prepare = preparing(Input(156))

    def predict(crops):
        return session.run(["scores"], {"crops": prepare(crops)})[0].argmax(1).tolist()
    return predict
"""
IMPORT_AND_LOAD = """
import sys, numpy, PIL.Image, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {"crops": numpy.zeros((1, 3, 156, 156), numpy.float32)})
"""
EMBEDDED = staging.Target("embedded", ("Metal", "Paper", "Paperpack", "Plastic", "Plasticbag", "Styrofoam"))


class Bundled(NamedTuple):
    """mbv3_cut_onnx, staged."""

    folder: Path
    setting: Setting


@pytest.fixture
def bundled(strongest: Sandbox, the_rules: Rules) -> Iterator[Bundled]:
    package = ROOT / "submissions" / "mbv3_cut_onnx"
    with staging.staged(package, EMBEDDED, the_rules.limits) as (_, folder):
        capacity = input_bytes([SHAPE[:2]])
        yield Bundled(folder, Setting(strongest, the_rules.limits, "cpu", usable_cores(), capacity))


def test_a_declared_onnx_package_is_its_bare_session(
    bundled: Bundled, make_package: MakePackage, tmp_path: Path, benchmark: BenchmarkFixture
) -> None:
    """At most 5 % more than InferenceSession.run and the same preprocessing in a plain loop."""
    crops = np.random.default_rng(0).integers(0, 256, (CROPS, *SHAPE), dtype=np.uint8)
    np.save(tmp_path / "crops.npy", crops)
    crops.setflags(write=False)
    bare = make_package("bare", BARE)
    (bare / "weights.onnx").write_bytes((bundled.folder / "weights.onnx").read_bytes())
    ratios = []

    def alternate() -> None:
        with awake():
            judged, plain = alternated(bundled.folder, crops, tmp_path / "crops.npy", bundled.setting, bare)
        ratios.append(judged / plain)
        print(f"mbv3_cut_onnx: judged {judged:.3f} ms, bare session {plain:.3f} ms, ratio {judged / plain:.3f}")

    benchmark.pedantic(alternate, rounds=ALTERNATIONS)
    benchmark.extra_info["ratios"] = [round(ratio, 4) for ratio in ratios]
    assert statistics.median(ratios) <= 1.05


def test_a_declared_package_starts_as_its_bare_runtime(bundled: Bundled, in_turns: InTurns) -> None:
    """From nothing to loaded and tried, beside a script that imports, loads and runs once: at most 1.3 times."""
    seconds: tuple[list[float], list[float]] = ([], [])

    def judged() -> None:
        begin = perf_counter()
        with Session(Staged("mbv3_cut_onnx", bundled.folder, 6), bundled.setting) as session:
            session.load()
            seconds[0].append(perf_counter() - begin)

    def plain() -> None:
        begin = perf_counter()
        command = [sys.executable, "-I", "-c", IMPORT_AND_LOAD, str(bundled.folder / "weights.onnx"), "2"]
        subprocess.run(command, env=environment(usable_cores(), "/tmp"), check=True)
        seconds[1].append(perf_counter() - begin)

    in_turns(judged, plain, 15)
    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
    print(f"start-up of mbv3_cut_onnx: {ratio:.3f} of {statistics.median(seconds[1]):.2f} s")
    assert ratio < 1.3


def test_the_openvino_runtime_is_as_fast_as_benchmark_app(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    """Within 10 % of OpenVINO's own tool as its hint for latency sets it: network alone, same threads and precision."""
    openvino = pytest.importorskip("openvino")
    model = openvino.convert_model(ROOT / "submissions" / "mbv3_cut_onnx" / "weights" / "embedded.onnx")
    model.reshape([-1, 3, 156, 156])
    openvino.save_model(model, tmp_path / "m.xml", compress_to_fp16=False)
    ratios = []

    def alternate() -> None:
        ours, theirs = _ours(tmp_path), _benchmark_app(tmp_path)
        ratios.append(ours / theirs)
        print(f"openvino: ours {ours:.3f} ms, benchmark_app {theirs:.3f} ms, ratio {ours / theirs:.3f}")

    with awake():
        benchmark.pedantic(alternate, rounds=ALTERNATIONS)
    benchmark.extra_info["ratios"] = [round(ratio, 4) for ratio in ratios]
    assert statistics.median(ratios) <= 1.1


_LOOP = """
import json, statistics, sys, time
import numpy as np
from harness.formats import Declared, Input, Model
from harness.worker.runtimes import RUNTIMES
run = RUNTIMES["openvino"](Declared(Model("openvino"), sys.argv[1], Input(156)), "cpu", int(sys.argv[2])).only(0)
pixels, times, end = np.random.rand(1, 3, 156, 156).astype(np.float32), [], time.perf_counter() + 4
while time.perf_counter() < end:
    begin = time.perf_counter()
    run(pixels)
    times.append(time.perf_counter() - begin)
print(json.dumps(statistics.median(times) * 1e3))
"""


def _ours(folder: Path) -> float:
    """Median ms of the worker's runtime in a process of its own."""
    command = [sys.executable, "-c", _LOOP, str(folder / "m.xml"), str(usable_cores())]
    return float(json.loads(_said(command)))


def _benchmark_app(folder: Path) -> float:
    """Median ms, as the tool says."""
    tool = Path(sys.executable).with_name("benchmark_app")
    # Its hint for latency forbids -nthreads; it is one stream over all threads.
    options = ["-hint", "none", "-nstreams", "1", "-nthreads", str(usable_cores()), "-infer_precision", "f32"]
    asked = ["-m", str(folder / "m.xml"), "-shape", "[1,3,156,156]", "-t", "4", "-api", "sync", *options]
    said = _said([str(tool), *asked])
    found = re.search(r"Median:\s+([\d.]+) ms", said)
    assert found is not None, said
    return float(found[1])


def _said(command: list[str]) -> str:
    settings = environment(usable_cores(), "/tmp")
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=True, cwd=ROOT).stdout
