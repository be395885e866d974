"""Compression: budgets are met, kills lose little, what is left is a package."""

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.data.store import Store
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import SubmissionError, UsageError
from harness.lab import compress as lab
from harness.lab.checkpoint import checkpoint_path
from harness.lab.compress import Bench, cheapest, compress, described, ordered
from harness.lab.counts import counts
from harness.lab.fitted import as_stored
from harness.lab.publishing import publish
from harness.lab.recipe import Recipe
from harness.lab.removal import rows_without
from harness.lab.steps import LOG, Choice, Order, Step, Tried
from harness.lab.tabled import Tabled, opened, reread, settings_digest
from harness.lab.train import train
from harness.record import Result
from harness.stats import Interval
from tests.conftest import ROOT
from tests.lab.test_removal import MIXED, rows_of, trained

RECIPE = Recipe(size=32, epochs=4, batch=16, max_lr=0.05)


def test_the_least_loss_for_what_is_saved_goes_first() -> None:
    last = Step(0, Choice("-"), 1, 100, 0.8, Interval(0.5, 0.49, 0.51), 1.0)
    tried = [
        Tried(1, "dear", 0.7, 90, 0.45),
        Tried(2, "cheap", 0.78, 90, 0.45),
        Tried(3, "slower", 0.8, 90, 0.51),
        Tried(4, "large", 0.7, 90, 0.3),
    ]
    assert cheapest(tried, 0.8, last) == tried[1]
    assert cheapest([*tried, Tried(5, "free", 0.81, 99, 0.49)], 0.8, last).row == 5  # type: ignore[union-attr]
    assert cheapest([tried[2]], 0.8, last) is None
    by_macs = [msgspec.structs.replace(one, time_ratio=None) for one in tried]
    assert cheapest(by_macs, 0.8, last).row == 3  # type: ignore[union-attr]


def test_a_row_is_described_in_a_few_words() -> None:
    rows = rows_of(MIXED)
    assert [described(rows, number) for number in (0, 1, 3)] == [
        "0 conv 3->16",
        "1 residual 16->16",
        "3 inverted 16->24",
    ]


# The whole road, with a judge that is told its answers


class Judged:
    """What compress reads of a judge's result; time goes with the multiply-adds."""

    def __init__(self, macs: int) -> None:
        self.time_ratio = Interval(0.1 + macs / 1e6, 0.1, 0.2)
        self.score = Interval(1.0, 0.9, 1.1)


@pytest.fixture
def package(tmp_path: Path, tinted: Store) -> Path:
    folder = tmp_path / "submissions" / "mixed"
    folder.mkdir(parents=True)
    (folder / "net.yaml").write_bytes(MIXED)
    (folder / "recipe.yaml").write_bytes(msgspec.yaml.encode(RECIPE))
    (folder / "submission.toml").write_text(
        'name = "mixed"\nauthors = "me"\nrecipe = "recipe.yaml"\n'
        '[model]\nformat = "table"\narchitecture = "net.yaml"\nthreads = 1\n[input]\nsize = 32\n'
    )
    tensors = {name: value.numpy() for name, value in as_stored(trained(rows_of(MIXED), 3).state_dict()).items()}
    manifest = tinted.manifest
    info = WeightsInfo(manifest.classes, manifest.digest, {"size": 32}, [{"epoch": 1, "val_f1": 0.3}])
    write_weights(folder, "tinted", tensors, info)
    return folder


@pytest.fixture
def bench(package: Path, tinted: Store, tmp_path: Path) -> Bench:
    its = opened(package, tinted, RECIPE)

    def judge(folder: Path) -> Any:
        return Judged(counts(reread(folder, its, "tinted").net, 32).macs)

    def fit(folder: Path, recipe: Recipe) -> None:
        list(train(folder, tinted, recipe))

    return Bench(tinted, RECIPE, judge, fit, "smaller", tmp_path / "run")


def order(its: Tabled, **changes: Any) -> Order:
    plain = Order(
        package="mixed",
        digest="",
        recipe_digest=settings_digest(RECIPE),
        data="tinted",
        data_digest=its.info.data_digest,
        baseline="base",
        by="blocks",
        macs=None,
        time=None,
        cost="macs",
        steps=2,
        epochs=0,
        passes=2,
        crops=10,
    )
    return ordered(its, msgspec.structs.replace(plain, **changes))


def steps(events: object) -> list[Step]:
    return [event for event in events if isinstance(event, Step)]  # type: ignore[attr-defined]


def test_blocks_go_one_a_step_until_the_multiply_adds_are_few_enough(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    start = counts(its.net, 32)
    wanted = order(its, macs=start.macs * 3 // 4)
    done = steps(compress(its, wanted, bench))
    assert (done[0].parameters, done[0].macs) == start
    assert all(step.macs > wanted.macs for step in done[:-1])  # type: ignore[operator]
    assert done[-1].macs <= wanted.macs  # type: ignore[operator]
    assert [len(step.choice.tried) for step in done[1:]] == [4, 3, 2, 1][: len(done) - 1]
    for before, after in itertools.pairwise(done):
        number = int(after.choice.removed.split()[0])
        rows = reread(bench.folder / str(before.number), its, "tinted").rows
        assert reread(bench.folder / str(after.number), its, "tinted").rows == rows_without(rows, number)


@pytest.mark.parametrize("by", ["blocks", "channels"])
def test_a_time_is_met_as_the_judge_measures_it(by: str, package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    done = steps(compress(its, order(its, by=by, time=0.8, cost="time"), bench))
    ratios = [step.time_ratio.value for step in done]
    assert ratios[-1] <= 0.8 * ratios[0]
    assert all(ratio > 0.8 * ratios[0] for ratio in ratios[:-1])
    assert all(one.time_ratio is not None for step in done for one in step.choice.tried)


def test_channels_go_in_as_many_steps_as_asked_for(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    start = counts(its.net, 32).macs
    done = steps(compress(its, order(its, by="channels", macs=start // 2), bench))
    shares = [step.macs / start for step in done]
    assert len(done) <= 3
    assert shares[-1] <= 0.5
    assert 0.6 < shares[1] <= 0.5**0.5
    assert "channels" in done[1].choice.removed


def test_a_step_is_fine_tuned_from_what_was_kept_and_is_never_worse_for_it(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    macs = counts(its.net, 32).macs - 1  # one block, whichever
    list(compress(its, order(its, macs=macs, epochs=2), bench))
    info = read_info(bench.folder / "1" / "weights" / "tinted.json")
    assert [entry["epoch"] for entry in info.log] == [0, 1, 2]
    assert info.recipe["max_lr"] == pytest.approx(0.05 * lab.FINE_TUNING)
    assert info.recipe["start_from"] == "tinted"
    first = read_info(bench.folder / "0" / "weights" / "tinted.json")
    assert first.log == []


def test_a_fine_tuning_that_stopped_early_is_whole_and_one_with_a_checkpoint_is_not(
    package: Path, bench: Bench
) -> None:
    its = opened(package, bench.store, RECIPE)
    wanted, fitted = order(its, macs=counts(its.net, 32).macs - 1, epochs=5), []
    counting = bench._replace(fit=lambda folder, recipe: fitted.append(recipe))
    lab._fine_tune(package, wanted, counting)  # its log has one epoch
    assert fitted == []
    checkpoint_path(package, "tinted").touch()
    lab._fine_tune(package, wanted, counting)
    assert [recipe.epochs for recipe in fitted] == [5]


def test_a_step_freezes_nothing_for_the_parts_names_change(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    frozen = msgspec.structs.replace(RECIPE, frozen=("features.0", "features.9"))
    assert lab.fine_tuning(frozen, order(its, macs=counts(its.net, 32).macs - 1, epochs=1)).frozen == ()


def test_a_stopped_compression_goes_on_after_its_last_whole_step(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    wanted = order(its, by="channels", macs=counts(its.net, 32).macs // 2, epochs=1)
    whole = steps(compress(its, wanted, bench))
    stopped = bench._replace(folder=bench.folder.with_name("stopped"))
    events = compress(its, wanted, stopped)
    next(events)
    next(events)
    events.close()
    judged: list[str] = []

    def judge(folder: Path) -> Any:
        judged.append(folder.name)
        return bench.judge(folder)

    again = steps(compress(its, wanted, stopped._replace(judge=judge)))
    assert judged == [str(step.number) for step in whole[2:]]
    assert [(step.macs, step.parameters) for step in again] == [(step.macs, step.parameters) for step in whole]
    with pytest.raises(UsageError, match=r"got one of epochs 1 \(here 2\) after \d steps; .* --fresh starts over"):
        list(compress(its, msgspec.structs.replace(wanted, epochs=2), stopped))


def test_a_step_that_was_cut_and_not_fine_tuned_is_not_chosen_again(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    wanted = order(its, macs=counts(its.net, 32).macs - 1, epochs=1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(compress(its, wanted, bench._replace(fit=killed)))
    events = list(compress(its, wanted, bench))
    assert not [event for event in events if isinstance(event, Tried)]
    assert len(steps(events)) == 2
    assert len(steps(events)[1].choice.tried) == 4


def test_another_orders_steps_are_not_taken_for_ones_own(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)

    def killed(_: Path) -> Result:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(compress(its, order(its, macs=counts(its.net, 32).macs - 1), bench._replace(judge=killed)))
    assert (bench.folder / "0").is_dir()
    other = order(its, macs=counts(its.net, 32).macs * 3 // 4, recipe_digest=settings_digest(Recipe()))
    with pytest.raises(UsageError, match=r"got one of macs \d+ \(here \d+\), another recipe after 0 steps"):
        list(compress(its, other, bench))
    (bench.folder / LOG).unlink()
    (bench.folder / "0" / "network.yaml").write_text("somebody's")
    (bench.folder / "20261128T000000Z").mkdir()  # no step
    assert steps(compress(its, other, bench))[0].macs == counts(its.net, 32).macs
    assert (bench.folder / "20261128T000000Z").is_dir()


@pytest.mark.parametrize("share", [0.0001, 1.0, 2.0])
@pytest.mark.parametrize("by", ["blocks", "channels"])
def test_a_budget_that_is_met_already_or_never_is_refused_at_the_start(
    by: str, share: float, package: Path, tinted: Store
) -> None:
    its = opened(package, tinted, RECIPE)
    start = counts(its.net, 32).macs
    with pytest.raises(UsageError, match=rf"--macs: expected [\d,]+ to {start - 1:,} .* by {by}, got "):
        order(its, by=by, macs=int(start * share))


def test_a_time_that_cannot_be_met_says_where_it_ended(package: Path, bench: Bench) -> None:
    its = opened(package, bench.store, RECIPE)
    with pytest.raises(UsageError, match="where nothing is left that saves more; the steps are in"):
        list(compress(its, order(its, time=0.01), bench))


def test_the_last_step_becomes_a_package_that_says_how_it_was_made(
    package: Path, bench: Bench, tmp_path: Path, tinted: Store
) -> None:
    its = opened(package, tinted, RECIPE)
    text = (package / "recipe.yaml").read_bytes()
    (package / "recipe.yaml").write_bytes(text.replace(b"frozen: []", b"frozen: ['0']") + b"# by hand\n")
    wanted = order(its, macs=counts(its.net, 32).macs - 1)
    done = steps(compress(its, wanted, bench))
    folder = tmp_path / "submissions" / "smaller"
    publish(bench.folder, folder, wanted, done, "harness compress mixed")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "network.yaml",
        "recipe.yaml",
        "submission.toml",
        "weights",
    ]
    assert (folder / "recipe.yaml").read_bytes() == text  # rows have other names there
    made = opened(folder, tinted, RECIPE)
    assert made.rows == reread(bench.folder / "1", its, "tinted").rows
    assert (made.manifest.name, made.manifest.authors) == ("smaller", "me")
    assert made.manifest.model is not None
    assert made.manifest.model.threads == 1
    assert made.info.recipe["compressed_from"] == "mixed"
    said = (folder / "README.md").read_text()
    assert "harness compress mixed" in said
    assert done[1].choice.removed in said
    assert f"{done[1].parameters:,}" in said


def test_a_network_that_is_no_table_is_one_line(tmp_path: Path, tinted: Store) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "submission.toml").write_text(
        'name = "other"\n[model]\nformat = "torchvision"\narchitecture = "resnet18"\n[input]\nsize = 32\n'
    )
    with pytest.raises(SubmissionError, match=r"a network that is a table of blocks .*, got format torchvision"):
        opened(folder, tinted, RECIPE)


def test_a_table_beside_a_model_py_is_found(tinted: Store) -> None:
    with pytest.raises(
        SubmissionError, match=r"no weights for tinted: expected weights/tinted\.safetensors; train them"
    ):
        opened(ROOT / "submissions" / "mbv3_cut", tinted, RECIPE)
    with pytest.raises(SubmissionError, match=r"got no table that makes that of model\.py"):
        opened(ROOT / "submissions" / "template", tinted, RECIPE)


def test_weights_of_another_preparation_or_size_are_refused(package: Path, tinted: Store) -> None:
    with pytest.raises(SubmissionError, match="weights and recipe of one size, got 32 and 64"):
        opened(package, tinted, msgspec.structs.replace(RECIPE, size=64))
    path = package / "weights" / "tinted.json"
    path.write_text(path.read_text().replace(tinted.manifest.digest, "0" * 64))
    with pytest.raises(SubmissionError, match="fitted on this preparation of tinted, got another one's"):
        opened(package, tinted, RECIPE)
