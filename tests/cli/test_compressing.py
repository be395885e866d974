"""harness compress: a table's package in, a smaller one out, judged as any other; killed, it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import harness.submission
from harness.cli import run
from harness.cli.compressing import multiply_adds, share, step_line
from harness.errors import UsageError
from harness.lab.steps import Choice, Step
from harness.stats import Interval
from tests.cli.conftest import Project
from tests.conftest import claimed_elsewhere

TABLE = """
blocks:
  - {kind: conv, kernel: 3, out: 16, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 16, squeeze: 8, activation: relu}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 16, activation: relu}
"""
ARGUMENTS = (
    "compress",
    "small",
    "--data",
    "practice",
    "--name",
    "smaller",
    "--epochs",
    "1",
    "--passes",
    "2",
    "--crops",
    "20",
)


@pytest.fixture
def small(project: Project) -> Project:
    """The project with a small trained network that is a table."""
    folder = project.root / "submissions" / "small"
    folder.mkdir()
    (folder / "network.yaml").write_text(TABLE)
    (folder / "recipe.yaml").write_text("size: 32\nepochs: 1\nbatch: 16\nmax_lr: 0.05\n")
    (folder / "submission.toml").write_text(
        'name = "small"\nrecipe = "recipe.yaml"\n'
        '[model]\nformat = "table"\narchitecture = "network.yaml"\n[input]\nsize = 32\n'
    )
    project.here("train", "small", "--data", "practice")
    rules = project.root / "baselines" / "rules.toml"
    rules.write_text(rules.read_text().replace("answer_s = 1.0", "answer_s = 10.0"))  # torch's first answer is slow
    return project


def test_a_compression_killed_in_a_step_goes_on_and_ends_as_a_package(small: Project) -> None:
    arguments = [*ARGUMENTS, "--by", "blocks", "--macs", "60%", "--cost", "macs"]
    command = [sys.executable, "-m", "harness", *arguments]
    environment = small.environment()
    said = small.root / "said"
    with (
        said.open("w") as errors,
        subprocess.Popen(
            command, cwd=small.root, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert any(line.startswith("   0 ") for line in process.stdout), said.read_text()
        os.kill(process.pid, signal.SIGKILL)
    log = small.root / "runs" / "compress" / "smaller" / "steps.json"
    before = json.loads(log.read_bytes())["steps"]
    assert [step["number"] for step in before] == [0]
    assert not (small.root / "submissions" / "smaller").exists()

    done = small.here(*arguments)
    lines = done.stdout.splitlines()
    steps = json.loads(log.read_bytes())["steps"]
    assert steps[0] == before[0]  # not measured again
    assert len(steps) >= 2
    assert lines[0].startswith("step taken out")
    assert [line.split()[0] for line in lines[1 : len(steps) + 1]] == [str(step["number"]) for step in steps]
    assert "without 1 residual 16->16: val F1" in done.stderr
    assert lines[-1] == "  judge it    harness evaluate smaller --data practice"
    assert steps[-1]["macs"] <= 0.6 * steps[0]["macs"]

    assert "ok" in small.here("check", "smaller", "--data", "practice").stdout
    assert "macro F1" in small.here("evaluate", "smaller", "--data", "practice", "--budget", "1s").stdout
    assert "it is there already; --fresh replaces it" in small.error(*arguments, code=2)
    with claimed_elsewhere(small.root / "runs" / "compress" / "smaller" / ".lock"):
        said = small.error(*arguments, "--fresh", code=1)
    assert "smaller: another process compresses to it; wait for it or stop it" in said
    (small.root / "submissions" / "smaller").rename(small.root / "submissions" / "other")
    assert "got one of epochs 1 (here 2)" in small.error(*arguments, "--epochs", "2", code=2)


def test_what_is_wrong_is_one_line_before_anything_runs(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*more: str, code: int = 2) -> str:
        return small.error(*ARGUMENTS, *more, code=code)

    assert "expected a budget, --macs like 50% or 100M or --time like 70%" in error("--by", "blocks")
    assert "'layers' is not one of 'blocks', 'channels'" in error("--by", "layers", "--macs", "50%")
    assert "--steps: expected --by channels" in error("--by", "blocks", "--macs", "50%", "--steps", "2")
    assert "--time: expected a share" in error("--by", "blocks", "--time", "120%")
    assert "--macs: expected multiply-adds like 100M" in error("--by", "blocks", "--macs", "half")
    assert "multiply-adds (" in error("--by", "blocks", "--macs", "10G")
    assert "multiply-adds (" in error("--by", "channels", "--macs", "10")
    assert "expected a new name" in error("--by", "blocks", "--macs", "50%", "--name", "template")
    theirs = small.root / "submissions" / "smaller" / "notes.txt"

    def somebody_makes_it(*_: object) -> Iterator[Step]:
        theirs.parent.mkdir()
        theirs.write_text("their own work")
        yield from ()

    with monkeypatch.context() as patch:
        patch.setattr("harness.lab.compress.compress", somebody_makes_it)
        assert "it is there already" in error("--by", "blocks", "--macs", "50%")
    assert theirs.read_text() == "their own work"
    shutil.rmtree(theirs.parent)
    weights = small.root / "submissions" / "small" / "weights"
    (weights / "practice.safetensors").unlink()
    assert "train them: harness train small" in error("--by", "blocks", "--macs", "50%", code=4)
    assert not (small.root / "runs" / "compress").exists()


def test_a_missing_extra_is_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness.submission, "unmet_of", lambda _: ["torch-pruning>=1.5 (not installed)"])
    assert run([*ARGUMENTS, "--by", "channels", "--macs", "50%"]) == 1
    assert "pip install 'torch-pruning>=1.5'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0%", "100%", "70", "x%", "-5%"])
def test_a_share_is_of_what_is_there(text: str) -> None:
    with pytest.raises(UsageError, match="expected a share above 0% and below 100%"):
        share(text)


def test_a_number_of_multiply_adds_may_have_a_unit() -> None:
    its: object = None  # read for a share alone
    assert [multiply_adds(text, its) for text in ("100M", "1.5G", "800 k", "960")] == [  # type: ignore[arg-type]
        100_000_000,
        1_500_000_000,
        800_000,
        960,
    ]


def test_a_steps_line_fits_a_terminal() -> None:
    first = Step(0, Choice("-"), 4_209_718, 215_300_000, 0.7123, Interval(0.76, 0.741, 0.779), 1.1732)
    second = msgspec.structs.replace(first, number=12, choice=Choice("10 residual 112->112"), f1=0.7)
    assert step_line(first, first).startswith("   0 -")
    line = step_line(second, first)
    assert "-0.012" in line
    assert "4.2M" in line
    assert len(line) <= 80
    slow = step_line(msgspec.structs.replace(first, time_ratio=Interval(1630.63, 3.1632, 840583.7)), first)
    assert "1.63e+03 (3.163-8.41e+05)" in slow


def test_runs_are_ignored_by_git() -> None:
    assert "/runs/" in (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
