"""The bundled packages, in process: right count and type on crops of odd sizes, the same answers twice."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import pytest

from harness.cli.training import read_recipe
from harness.data.store import Store, open_store
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import DataError
from harness.lab.fitted import as_stored
from harness.lab.networks import build
from harness.staging import read_manifest
from harness.worker import package as packages
from tests.conftest import CLASSES, ROOT
from tests.pictures import prepare_practice, prepare_tinted

PACKAGES = {
    "null": "baselines",
    "colour_histogram": "baselines",
    "template": "submissions",
    "mobilenet_v3_small_untrained": "submissions",
    "mbv3_cut": "submissions",
    "effnet_lite0": "submissions",
    "mobilenetv3_large": "baselines",
}
OWN_MODULES = ("predict", "model", "preprocess", "histogram", "fit")
Predict = Callable[[list[np.ndarray]], object]


def silent(done: int, total: int) -> None:
    """A progress bar that nobody sees."""


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """As in a worker: the package's folder is the current one and the first place for imports."""
    before, path = Path.cwd(), sys.path[:]
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name in OWN_MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies of the packages, those that can be fitted fitted on a small practice set by their own code."""
    home = tmp_path_factory.mktemp("packages")
    prepare_practice(home / "practice", "practice", 24)
    store = open_store(home / "practice")
    copies = {}
    for name, where in PACKAGES.items():
        copy = copies[name] = home / name
        shutil.copytree(ROOT / where / name, copy, ignore=shutil.ignore_patterns("weights", "__pycache__"))
        (copy / "classes.json").write_text(json.dumps(CLASSES))
        if read_manifest(copy).recipe is not None:
            write_random_weights(copy, store)
        elif not (copy / "fit.py").exists():
            continue
        else:
            fit_by_own_code(copy, store)
        for ending in ("safetensors", "json"):
            shutil.copy(copy / "weights" / f"practice.{ending}", copy / f"weights.{ending}")
    return copies


def fit_by_own_code(copy: Path, store: Store) -> None:
    """By its fit.py."""
    with inside(copy):
        sys.path.insert(0, str(copy))
        import fit

        if copy.name == "template":
            fit.fit(store, copy, fit.Recipe(epochs=2), True)
        else:
            fit.fit(store, copy, "practice")


def write_random_weights(copy: Path, store: Store) -> None:
    """As `harness train` would before its first step: what it trains is tested in tests/lab."""
    recipe = read_recipe(copy)
    state = as_stored(build(copy, len(CLASSES)).state_dict())
    info = WeightsInfo(CLASSES, store.manifest.digest, {"size": recipe.size}, [])
    write_weights(copy, "practice", {name: value.numpy() for name, value in state.items()}, info)


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set that is easy to learn."""
    return prepare_tinted(tmp_path_factory.mktemp("tinted"))


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_answers_crops_of_any_size_alone_and_together(name: str, fitted: dict[str, Path]) -> None:
    rng = np.random.default_rng(0)
    sizes = ((1, 1), (1, 500), (500, 1), (2000, 3), (3000, 2000), (192, 256))
    crops = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    copies = [crop.copy() for crop in crops]
    for crop in crops:
        crop.setflags(write=False)
    with inside(fitted[name]):
        predict: Predict = packages.load(packages.imported(fitted[name]), "cpu")
        alone = [packages.labels_of(predict([crop]), 1)[0] for crop in crops]
        again = [packages.labels_of(predict([crop]), 1)[0] for crop in crops]
        together = packages.labels_of(predict(crops), len(crops))
    assert alone == again == together
    assert set(alone) <= set(range(6))
    assert all(np.array_equal(crop, copy) for crop, copy in zip(crops, copies, strict=True))


@pytest.mark.parametrize("name", ["colour_histogram", "template"])
def test_fitted_weights_name_their_classes_and_data(name: str, fitted: dict[str, Path]) -> None:
    info = read_info(fitted[name] / "weights.json")
    assert info.classes == CLASSES
    assert len(info.data_digest) == 64
    assert info.recipe
    assert info.log


@pytest.mark.parametrize("name", ["colour_histogram", "template"])
def test_a_fit_learns_what_is_easy(name: str, tinted: Path, tmp_path: Path) -> None:
    copy = tmp_path / name
    shutil.copytree(ROOT / PACKAGES[name] / name, copy, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    with inside(copy):
        sys.path.insert(0, str(copy))
        import fit

        if name == "template":
            fit.fit(open_store(tinted), copy, fit.Recipe(epochs=15, batch=8), True)
        else:
            fit.fit(open_store(tinted), copy, "tinted")
    log = read_info(copy / "weights" / "tinted.json").log
    assert max(float(entry["val_f1"]) for entry in log) > 0.7  # chance is 1/3


def test_weights_come_back_as_they_were_written(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    tensors = {"turned": np.arange(6, dtype=np.float32).reshape(2, 3).T, "scalar": np.array(7)}
    info = WeightsInfo(("a", "b"), "0" * 64, {"epochs": 1, "rate": 0.5}, [{"val_f1": 0.25}])
    path = write_weights(tmp_path, "mine", tensors, info)
    read = load_file(path)
    assert all(np.array_equal(read[name], tensor) for name, tensor in tensors.items())
    assert read["scalar"].shape == ()
    assert read_info(path.with_suffix(".json")) == info
    assert {file.name for file in path.parent.iterdir()} == {"mine.safetensors", "mine.json"}


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"classes": "a"}'])
def test_a_missing_or_damaged_info_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"^[^\n]*mine\.json: expected the info of fitted weights[^\n]*$"):
        read_info(path)


def test_the_nulls_dwell_is_the_time_that_it_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "baselines" / "null", tmp_path / "null")
    (tmp_path / "null" / "dwell_ns").write_text("2000000")
    with inside(tmp_path / "null"):
        predict: Predict = packages.load(packages.imported(tmp_path / "null"), "cpu")
        times = []
        for _ in range(30):
            begin = perf_counter_ns()
            predict([])
            times.append(perf_counter_ns() - begin)
    assert min(times) == pytest.approx(2_000_000, rel=0.1)  # other tests may make one longer


def test_a_fit_that_was_stopped_goes_on_as_if_it_had_not_been(
    tinted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import load_file

    store, copy, kept = open_store(tinted), tmp_path / "template", []
    shutil.copytree(ROOT / "submissions" / "template", copy, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    with inside(copy):
        sys.path.insert(0, str(copy))
        import fit

        real, epochs = fit.train_epoch, []

        def stopped(*arguments: object) -> object:
            epochs.append(1)
            if len(epochs) == 3:
                raise KeyboardInterrupt
            return real(*arguments)

        def keep() -> None:
            path = copy / "weights" / "tinted.safetensors"
            kept.append((load_file(path), read_info(path.with_suffix(".json"))))

        recipe = fit.Recipe(epochs=5, batch=8)
        fit.fit(store, copy, recipe, True)
        keep()
        monkeypatch.setattr(fit, "train_epoch", stopped)
        fit.fit(store, copy, recipe, True)
        keep()
        monkeypatch.setattr(fit, "train_epoch", real)
        capsys.readouterr()
        fit.fit(store, copy, recipe, False)
        keep()
    (whole, whole_info), (_, half_info), (resumed, resumed_info) = kept
    assert "going on after epoch 2" in capsys.readouterr().out
    assert [len(info.log) for info in (whole_info, half_info, resumed_info)] == [5, 2, 5]
    # The losses: the weights alone could be those of an epoch before the stop.
    losses = [[entry["loss"] for entry in info.log] for info in (whole_info, resumed_info)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert all(np.allclose(whole[name], resumed[name], atol=1e-4) for name in whole)
    assert not (copy / "weights" / "tinted.checkpoint").exists()
