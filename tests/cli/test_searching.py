"""harness search, as a user types it: run, shown, exported, checked; mistakes are one line and leave nothing."""

import json
import sqlite3

import pytest

from tests.cli.conftest import Project
from tests.conftest import names
from tests.lab.searching import SPACE, write_start


@pytest.fixture
def start(project: Project) -> Project:
    """The project with a small table, its recipe, and a space."""
    write_start(project.root / "submissions")
    (project.root / "space.yaml").write_text(SPACE)
    return project


def test_a_search_is_run_shown_exported_and_its_trial_passes_the_check(start: Project) -> None:
    command = ("search", "small", "--space", "space.yaml", "--crops", "12")
    done = start.run(*command, "--trials", "1")
    assert " values vary; the starting point has 2 epochs at 16 pixels" in done.stderr
    assert "trial 0: F1 " in done.stdout
    assert "1 on the front; 1 finished" in done.stdout
    searched = start.root / "searches" / "small-practice"
    assert {"front.png", "front.svg", "study.db", "trial-0"} <= set(names(searched))

    done = start.here("search", "small", "--all", "--export", "0", "--name", "found")
    assert "made submissions/found of trial 0" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert names(start.root / "submissions" / "found" / "weights") == ["practice.json", "practice.safetensors"]
    assert start.here("check", "found", "--data", "practice").stdout.count("ok ") == 8
    info = json.loads((start.root / "submissions" / "found" / "weights" / "practice.json").read_text())
    assert len(info["log"]) == 2

    assert "submissions/found: expected a new name" in start.error(
        "search", "small", "--export", "0", "--name", "found", code=2
    )
    assert "--export 9: expected a trial that was finished here (0)" in start.error(
        "search", "small", "--export", "9", code=2
    )
    (start.root / "space.yaml").write_text(SPACE.replace("16, 24", "16, 32"))
    assert "expected --space as when it began" in start.error(*command, "--trials", "2", code=2)
    with sqlite3.connect(searched / "study.db") as database:
        assert database.execute("select count(*) from trials").fetchone() == (1,)


def test_mistakes_are_one_line_and_leave_nothing(start: Project) -> None:
    run = ("search", "small", "--space", "space.yaml", "--trials", "1")
    assert "expected --space and --trials together" in start.error("search", "small", "--trials", "1", code=2)
    assert "no search small-practice in searches/; begin it with" in start.error("search", "small", code=2)
    for name in ("../x", "a?b"):
        said = f"--study: expected a plain name without ?, got '{name}'"
        assert said in start.error(*run, "--study", name, code=2)
    assert "--name: expected --export TRIAL beside it" in start.error(*run, "--name", "x", code=2)
    assert "space.txt: expected a file, got none" in start.error(
        "search", "small", "--space", "space.txt", "--trials", "1", code=3
    )
    said = start.error(*run, "--storage", "postgresql+nodriver://me:secret@host/name", code=2)
    assert said.startswith("harness: --storage postgresql+nodriver://me:***@host/name: expected a database's URL")
    assert "sharp: expected a recipe to train by" in start.error("search", "sharp", *run[2:], code=4)
    assert "space.yaml: table.file: expected" not in start.error("search", "template", *run[2:], code=4)
    said = start.error("search", "mbv3_cut", *run[2:], code=2)
    assert "mbv3_cut: expected a table of blocks" in said
    space = start.root / "space.yaml"
    for text, place in (
        ("table: {widht: 2}", "space.yaml: table: unknown key widht"),
        ("table: {blocks: {3: {stride: {choose: [64]}}}}", "space.yaml: table.blocks.3.stride: 64: "),
    ):
        space.write_text(text)
        assert place in start.error(*run, code=2)
    space.write_text(SPACE)
    manifest = start.root / "submissions" / "small" / "submission.toml"
    manifest.write_text('classes = ["cat", "dog"]\n' + manifest.read_text())
    said = start.error(*run, code=4)
    assert "small: expected the classes of practice: " in said
    assert "got cat, dog (other names)" in said
    assert not (start.root / "searches").exists()


def test_a_package_with_its_own_model_is_searched_through_its_table(start: Project) -> None:
    from harness.lab.networks import trainable
    from harness.lab.recipe import parse
    from harness.lab.search.candidate import Files, refuse_impossible, write_package
    from harness.lab.search.space import laid, read
    from harness.nets.table import read_table

    package = start.root / "submissions" / "mbv3_cut"
    files = Files(package, "mobilenetv3_cut.yaml", "taco_im156.yaml")
    written = read(b"{recipe: {size: 32}, table: {file: mobilenetv3_cut.yaml, cut: true}}", "space.yaml")
    recipe = parse((package / files.recipe).read_bytes(), files.recipe)
    space = laid(written, recipe, read_table((package / files.table).read_bytes(), files.table), "space.yaml")
    made = refuse_impossible(space, files, "space.yaml")
    folder = start.root / "trial"
    write_package(made, files, folder, "a trial", "about")
    assert 'name = "a trial"' in (folder / "submission.toml").read_text()
    assert sum(parameter.numel() for parameter in trainable(folder, 6, 32).parameters()) == 294_854
