"""Fine-tuning: weights from a file, parts that stay as they are, and a stop when it gets no better."""

import hashlib
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.data.store import Store
from harness.data.weights import read_info
from harness.errors import SubmissionError
from harness.lab.recipe import Recipe
from harness.lab.run import read_log
from harness.lab.train import train
from tests.lab.training.conftest import Home
from tests.lab.training.networks import PLAIN, RANDOM, RECIPE, STEPS, fit, make, stop


@pytest.fixture(scope="module")
def given(tinted: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted weights of the random network, as a file somewhere."""
    package = make(tmp_path_factory.mktemp("given") / "random", RANDOM)
    fit(package, tinted, msgspec.structs.replace(RECIPE, epochs=1), package / "run")
    return package / "run" / "last.safetensors"


def tuned(start: Path | str, **settings: object) -> Recipe:
    return msgspec.structs.replace(RECIPE, epochs=2, start_from=str(start), **settings)


def test_a_training_starts_from_a_file_and_says_which(tinted: Store, given: Path, home: Home) -> None:
    package = make(home.root / "random", RANDOM)
    (home.root / "elsewhere").mkdir()
    copy = home.root / "elsewhere" / "mine.safetensors"
    copy.write_bytes(given.read_bytes())
    home.train(package, tinted, "--start-from", str(copy), "--epochs", "1")
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    info = read_info(package / "weights" / "tinted.json")
    assert info.recipe["start_from"] == str(copy)
    assert info.log[0]["epoch"] == 0
    assert info.log[0]["start_sha256"] == digest
    (run,) = home.runs(package, tinted)
    assert f'"start_sha256": "{digest}"' in (run / "versions.json").read_text()
    assert [entry["epoch"] for entry in read_log(run)] == [0, 1]


def test_a_path_in_a_recipe_is_one_in_the_package(tinted: Store, given: Path, tmp_path: Path) -> None:
    package = make(tmp_path / "random", RANDOM)
    (package / "first.safetensors").write_bytes(given.read_bytes())
    still = tuned("first.safetensors", frozen=("features",))
    fit(package, tinted, still, package / "run")
    ours, theirs = load_file(package / "run" / "last.safetensors"), load_file(given)
    assert torch.equal(ours["features.0.weight"], theirs["features.0.weight"])


def test_frozen_parts_stay_to_the_last_bit_running_statistics_too(tinted: Store, given: Path, tmp_path: Path) -> None:
    package = make(tmp_path / "random", RANDOM)
    recipe = tuned(given, frozen=("features",), weight_decay=0.1)
    stop(package, tinted, recipe, STEPS + 1, package / "run")  # and after a stop
    fit(package, tinted, recipe, package / "run")
    ours, theirs = load_file(package / "run" / "last.safetensors"), load_file(given)
    changed = {name for name in theirs if not torch.equal(ours[name], theirs[name])}
    assert changed == {"head.weight", "head.bias"}
    fit(package, tinted, tuned(given, frozen=("features.0",)), package / "other")
    ours = load_file(package / "other" / "last.safetensors")
    assert torch.equal(ours["features.0.weight"], theirs["features.0.weight"])
    assert not torch.equal(ours["features.1.running_mean"], theirs["features.1.running_mean"])


@pytest.mark.parametrize(
    ("frozen", "says"),
    [
        (("feature",), "frozen: expected parts of its network, like features, head, got feature"),
        (("features", "head"), "frozen: expected something left to train, got nothing"),
    ],
)
def test_frozen_parts_that_cannot_be_are_one_line(
    frozen: tuple[str, ...], says: str, tinted: Store, tmp_path: Path
) -> None:
    package = make(tmp_path / "random", RANDOM)
    with pytest.raises(SubmissionError, match=f"^random: {says}"):
        next(train(package, tinted, msgspec.structs.replace(RECIPE, frozen=frozen)))


def test_weights_of_another_network_are_one_line(tinted: Store, given: Path, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", PLAIN)
    with pytest.raises(SubmissionError, match=r"expected weights of this network, got another's: 0\.weight is none, "):
        next(train(plain, tinted, tuned(given)))
    wider = RANDOM.replace("Conv2d(3, 8", "Conv2d(3, 12").replace("BatchNorm2d(8)", "BatchNorm2d(12)")
    package = make(tmp_path / "wider", wider.replace("Linear(8", "Linear(12"))
    with pytest.raises(SubmissionError, match=r"features.0.weight is \(8, 3, 3, 3\), here \(12, 3, 3, 3\)"):
        next(train(package, tinted, tuned(given)))
    (tmp_path / "broken.safetensors").write_bytes(b"{}")
    with pytest.raises(SubmissionError, match=r"broken\.safetensors: expected weights to start from, got "):
        next(train(package, tinted, tuned(tmp_path / "broken.safetensors")))


def test_a_head_of_other_classes_or_none_stays_random(tinted: Store, given: Path, tmp_path: Path) -> None:
    weights = load_file(given)
    more = weights | {"head.weight": torch.ones(7, 8), "head.bias": torch.ones(7)}
    without = {name: value for name, value in weights.items() if not name.startswith("head")}
    package = make(tmp_path / "random", RANDOM)
    for number, start in enumerate((more, without)):
        save_file(start, tmp_path / f"{number}.safetensors")
        recipe = tuned(tmp_path / f"{number}.safetensors", frozen=("features",))
        fit(package, tinted, recipe, tmp_path / f"run{number}")
        ours = load_file(tmp_path / f"run{number}" / "last.safetensors")
        assert torch.equal(ours["features.0.weight"], weights["features.0.weight"])
        assert ours["head.weight"].shape == (3, 8)


def test_a_training_stops_when_it_gets_no_better(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make(tmp_path / "plain", PLAIN)
    f1s = iter([0.2, 0.5, 0.4, 0.5, 0.6, 0.1])
    monkeypatch.setattr("harness.lab.train.validation_f1", lambda *_: next(f1s))
    recipe = msgspec.structs.replace(RECIPE, epochs=6, patience=2)
    assert [event.epoch for event in fit(package, tinted, recipe)] == [1, 2, 3, 4]
    assert len(read_info(package / "weights" / "tinted.json").log) == 4
    assert not list((package / "weights").glob("*.checkpoint"))


def test_a_training_that_was_stopped_waits_no_longer_than_another(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make(tmp_path / "plain", PLAIN)
    f1s = iter([0.5, 0.4, 0.4, 0.4])
    monkeypatch.setattr("harness.lab.train.validation_f1", lambda *_: next(f1s))
    recipe = msgspec.structs.replace(RECIPE, epochs=6, patience=2)
    stop(package, tinted, recipe, 2 * STEPS + 1)
    assert [event.epoch for event in fit(package, tinted, recipe)] == [3]


def test_a_user_is_told_of_an_early_stop(tinted: Store, home: Home) -> None:
    recipe = msgspec.structs.replace(RECIPE, epochs=30, patience=1, max_lr=1e-6)
    said = home.train(make(home.root / "plain", PLAIN, recipe), tinted).stdout
    assert "stopped early: no better validation macro F1 for 1 epochs" in said
    assert "epoch 30/30" not in said
