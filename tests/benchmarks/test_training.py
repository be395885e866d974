"""Images per second of a training beside loops that somebody would write by hand. `make bench`."""

import contextlib
import shutil
import statistics
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from harness.data.folder import prepare_folder
from harness.data.preparation import PrepareSettings
from harness.data.store import Store, open_store
from harness.lab.memory import keep_pages
from harness.lab.networks import build
from harness.lab.recipe import Recipe
from harness.lab.train import Epoch, Step, train
from harness.nets.preprocess import batch
from tests.conftest import ROOT
from tests.lab.training.networks import make
from tests.pictures import render_folder

CUT = ROOT / "submissions" / "mbv3_cut"
PHOTOS = 80  # of each of six classes; six tenths of them are trained on: four batches
STEPS = 4
TURNS = 5
TRIVIAL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(27, classes)

    def forward(self, maps):
        return self.head(maps[:, :, 26::52, 26::52].flatten(1))

def build(classes):
    return Net(classes)
"""
RECIPE = Recipe(size=156, batch=64, epochs=1000)  # mbv3_cut's own but for the epochs
STILL = Recipe(size=156, batch=64, epochs=1000, randaugment_ops=(0, 0), flip=0.0, cutout=0.0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JPEG photos a class."""
    folder = tmp_path_factory.mktemp("photos")
    render_folder(folder, PHOTOS, seed=0)
    return folder


@pytest.fixture(scope="module")
def store(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    target = tmp_path_factory.mktemp("data") / "practice"
    prepare_folder(photos, target, "practice", PrepareSettings(exact_duplicates=True), lambda *_: None)
    return open_store(target)


class FromDisk(Dataset[tuple[Tensor, int]]):
    """Each picture decoded and resized when it is asked for, in this process."""

    def __init__(self, photos: Path, size: int) -> None:
        self._size = size
        self._files = [(path, number) for number, one in enumerate(sorted(photos.iterdir())) for path in one.iterdir()]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path, label = self._files[number]
        with Image.open(path) as photo:
            small = photo.convert("RGB").resize((self._size, self._size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(small, dtype=np.float32).transpose(2, 0, 1).copy())
        return (pixels - 127.5) / 64, label


def test_a_training_is_as_fast_as_a_bare_loop_on_ready_tensors(
    store: Store, tmp_path: Path, benchmark: BenchmarkFixture
) -> None:
    """mbv3_cut by its recipe, with all of its augmentation: at least 95 % of the images per second."""
    keep_pages()
    package = tmp_path / "cut"
    shutil.copytree(CUT, package, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    crops = store.crops("train")
    pixels = batch([crops[number] for number in range(RECIPE.batch)], RECIPE.size, "cpu")
    truth = torch.tensor(store.training_labels("train").labels[: RECIPE.batch])
    net = build(CUT, 6).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def ready() -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(pixels, truth)] * STEPS)

    assert compared(package, store, RECIPE, bare(net, ready), benchmark) <= 1 / 0.95


def test_pictures_come_three_times_as_fast_as_from_disk(
    photos: Path, store: Store, tmp_path: Path, benchmark: BenchmarkFixture
) -> None:
    """Without augmentation and with a trivial network: at most a third of the time."""
    package = make(tmp_path / "trivial", TRIVIAL)
    loader = DataLoader(FromDisk(photos, STILL.size), batch_size=STILL.batch, shuffle=True)

    def from_disk() -> Iterator[tuple[Tensor, Tensor]]:
        batches = iter(loader)
        return (next(batches) for _ in range(STEPS))

    assert compared(package, store, STILL, bare(build(package, 6), from_disk), benchmark) <= 1 / 3


def bare(net: nn.Module, batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> Callable[[], None]:
    """An epoch of the loop that everybody writes."""
    optimiser = torch.optim.SGD(net.parameters(), 0.1, 0.9)

    def loop() -> None:
        for pixels, truth in batches():
            loss = functional.cross_entropy(net(pixels), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return loop


def compared(
    package: Path, store: Store, recipe: Recipe, theirs: Callable[[], None], benchmark: BenchmarkFixture
) -> float:
    """The median ratio of the times of an epoch's steps, in turns; validation and writing are in neither."""
    ratios: list[float] = []
    with contextlib.closing(train(package, store, recipe, fresh=True)) as events:

        def turn() -> None:
            ours_s = an_epoch(events)
            begin = perf_counter()
            theirs()
            ratios.append(ours_s / (perf_counter() - begin))

        benchmark.pedantic(turn, rounds=TURNS, warmup_rounds=1)
    ratio = statistics.median(ratios[1:])
    benchmark.extra_info["ratios"] = [round(one, 4) for one in ratios]
    print(f"{package.name}: {ratio:.3f} of the loop's time ({min(ratios[1:]):.3f}-{max(ratios[1:]):.3f})")
    return ratio


def an_epoch(events: Generator[Step | Epoch, None, None]) -> float:
    """Seconds of its steps; then, off the clock, what follows them."""
    begin = perf_counter()
    steps = sum(isinstance(next(events), Step) for _ in range(STEPS))
    elapsed_s = perf_counter() - begin
    assert steps == STEPS
    assert isinstance(next(events), Epoch)
    return elapsed_s
