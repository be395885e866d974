"""What a user waits for, each beside a reference in the same run; see conftest.py."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn import functional

from harness.data.folder import prepare_folder
from harness.data.preparation import PrepareSettings
from harness.data.store import open_store
from harness.data.weights import WeightsInfo, write_weights
from harness.derive import derive
from harness.judge.awake import awake, prompt
from harness.judge.evaluate import Entry, Exam, Job, evaluate
from harness.judge.floor import DWELL_FILE
from harness.judge.isolation import Sandbox
from harness.judge.machine import usable_cores
from harness.judge.schedule import Exactly
from harness.judge.session import Session, Setting, Staged
from harness.lab.fitted import as_stored
from harness.lab.networks import build
from harness.lab.recipe import Recipe
from harness.lab.train import Step, train
from harness.nets.preprocess import batch, normalised, square
from harness.raw import Raw
from harness.record import Record
from harness.report.rank import boards
from harness.rules import Rules
from harness.staging import Target, staged
from harness.wire import input_bytes
from tests.benchmarks.conftest import InTurns, checked
from tests.builders import make_field, make_raw, make_rules
from tests.conftest import CLASSES, ROOT, MakePackage, spinning
from tests.pictures import prepare_tinted, render_folder

SHAPE = (192, 256, 3)
CUT = ROOT / "submissions" / "mbv3_cut"
DWELL_NS = 5_000_000


@pytest.fixture
def null(strongest: Sandbox, the_rules: Rules, target: Target, tmp_path: Path) -> Iterator[Session]:
    """A null that answers at once."""
    with _null(strongest, the_rules, target, tmp_path, 0) as session:
        yield session


@contextlib.contextmanager
def _null(sandbox: Sandbox, rules: Rules, target: Target, tmp_path: Path, dwell_ns: int) -> Iterator[Session]:
    with staged(ROOT / "baselines" / "null", target, rules.limits) as (_, folder):
        own = tmp_path / f"null{dwell_ns}"
        shutil.copytree(folder, own)
        (own / DWELL_FILE).unlink()
        (own / DWELL_FILE).write_text(str(dwell_ns))
        tmp_path.chmod(0o755)
        setting = Setting(sandbox, rules.limits, "cpu", usable_cores(), input_bytes([SHAPE[:2]]))
        with Session(Staged("null", own, 1, trusted=True), setting) as session:
            session.load()
            yield session


def test_round_trip(null: Session, in_turns: InTurns) -> None:
    """A crop to a worker and its label back, beside a byte to another process and back."""
    crop = np.zeros(SHAPE, np.uint8)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if (child := os.fork()) == 0:
        ours.close()
        while message := theirs.recv(64):
            theirs.send(message)
        os._exit(0)
    theirs.close()

    def echo() -> None:
        for _ in range(2000):
            ours.send(b"x" * 32)
            ours.recv(64)

    def classify() -> None:
        for _ in range(2000):
            null.classify([crop])

    try:
        with awake(), prompt():  # as the judge does, for both
            in_turns(classify, echo)
    finally:
        ours.close()
        os.waitpid(child, 0)


def test_dwelling_null(strongest: Sandbox, the_rules: Rules, target: Target, tmp_path: Path, in_turns: InTurns) -> None:
    """A null that spins 5 ms, beside a spin of 5 ms here."""
    crop = np.zeros(SHAPE, np.uint8)

    def spin() -> None:
        for _ in range(50):
            end = perf_counter_ns() + DWELL_NS
            while perf_counter_ns() < end:
                pass

    with _null(strongest, the_rules, target, tmp_path, DWELL_NS) as session, awake(), prompt():
        in_turns(lambda: [session.classify([crop]) for _ in range(50)], spin)


def test_evaluates_overhead(
    strongest: Sandbox,
    the_rules: Rules,
    target: Target,
    exam: Exam,
    make_package: MakePackage,
    benchmark: BenchmarkFixture,
    request: pytest.FixtureRequest,
) -> None:
    """Seconds of a pass, from loaded to done, beside the seconds that were timed in it: two models of 5 ms."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        sides = [Entry(*enter(staged(make_package(n, spinning(5000)), target, the_rules.limits))) for n in "ab"]
        null = enter(staged(ROOT / "baselines" / "null", target, the_rules.limits))[1]
        job = Job(*sides, null, exam, the_rules, strongest, plan=Exactly(7))
        outcome = benchmark.pedantic(evaluate, (job, lambda what, share: None), rounds=1)
    assert outcome.raw is not None
    ratios = [
        (one.samples[-1].now_ns - one.samples[0].now_ns) / (sum(one.submission_ns) + sum(one.baseline_ns))
        for one in outcome.raw.passes
    ]
    ratio = checked(benchmark, request, ratios)
    assert ratio < 1.25 or not request.config.getoption("tight", False), "at least .8 of the seconds are timed"


def test_derive(in_turns: InTurns) -> None:
    """All numbers of a record of 763 crops and 11 passes, beside reading its raw file."""
    raw, rules = make_raw(passes=11, crops=763), make_rules()
    text = msgspec.json.encode(raw)
    in_turns(lambda: derive(raw, rules), lambda: [msgspec.json.decode(text, type=Raw) for _ in range(20)])


def test_rank(in_turns: InTurns) -> None:
    """A board of 1,000 records, beside reading them."""
    records = make_field(np.linspace(0.5, 1.5, 1000).tolist(), 0.005, 0)
    texts, rules = [msgspec.json.encode(record) for record in records], make_rules()
    in_turns(lambda: boards(records, rules), lambda: [msgspec.json.decode(text, type=Record) for text in texts])


def test_prepare(tmp_path: Path, in_turns: InTurns) -> None:
    """A data set of 240 photos, beside decoding them one after another."""
    photos = tmp_path / "photos"
    render_folder(photos, 40, seed=0)
    paths = sorted(photos.rglob("*.jpg"))
    assert len(paths) == 240
    made = iter(range(100))
    in_turns(
        lambda: prepare_folder(photos, tmp_path / f"{next(made)}", "p", PrepareSettings(), lambda done, of: None),
        lambda: [np.asarray(Image.open(path).convert("RGB")) for path in paths],
    )


def test_training_step(tmp_path: Path, in_turns: InTurns) -> None:
    """Steps of mbv3_cut at 64 pixels with augmentation, beside the same network's on one batch."""
    store = open_store(prepare_tinted(tmp_path))
    recipe = Recipe(size=64, batch=16, epochs=1000)
    labels = store.training_labels("train").labels[:16]
    pixels = torch.stack([square(store.crops("train")[number], recipe.size) for number in range(16)])
    truth = torch.tensor(labels)
    net = build(CUT, 6).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    package = tmp_path / "cut"
    shutil.copytree(CUT, package, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    with contextlib.closing(train(package, store, recipe, fresh=True)) as events:

        def ours() -> None:
            done = 0
            while done < 4:
                done += isinstance(next(events), Step)

        def theirs() -> None:
            for _ in range(4):
                loss = functional.cross_entropy(net(normalised(pixels, "cpu")), truth)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

        in_turns(ours, theirs)


def test_reference_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_turns: InTurns) -> None:
    """mbv3_cut's predict on a crop, beside its network alone on the prepared crop."""
    import importlib.util
    import sys

    net = build(CUT, len(CLASSES))
    weights = {name: value.numpy() for name, value in as_stored(net.state_dict()).items()}
    write_weights(tmp_path, "weights", weights, WeightsInfo(CLASSES, "", {"size": 156}, []))
    for path in (tmp_path / "weights").iterdir():
        path.rename(tmp_path / path.name)
    (tmp_path / "classes.json").write_bytes(msgspec.json.encode(CLASSES))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(CUT)
    spec = importlib.util.spec_from_file_location("cut_predict", CUT / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("model", None)
    predict = module.load("cpu")
    crop = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    ready = batch([crop], 156, "cpu")
    net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def alone() -> None:
        for _ in range(20):
            net(ready).argmax(1).tolist()

    in_turns(lambda: [predict([crop]) for _ in range(20)], alone, 15)


def test_twice_the_work(in_turns: InTurns) -> None:
    """The measure itself: twice the work takes twice the time."""
    numbers = np.random.default_rng(0).random(500_000)
    assert in_turns(lambda: [np.sort(numbers) for _ in range(2)], lambda: np.sort(numbers)) > 1.5
