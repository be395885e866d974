"""harness profile, as a user types it; what it keeps is on the board."""

import json
import re
from pathlib import Path

from tests.cli.conftest import Project


def test_a_profile_is_a_table_a_picture_and_a_sentence(trained: Project) -> None:
    done = trained.run("profile", "mbv3_cut", "--crops", "5", "--threads", "1")
    assert re.match(
        r"mbv3_cut for practice at 32x32: torch [\d.]+, 1 thread, 5 crops\n  parameters  2,590\n", done.stdout
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "FlopCounterMode / 2 as many" in done.stdout
    assert re.search(r"\n\n\S.*\.\n\Z", done.stdout, re.DOTALL)
    assert done.stderr.splitlines() == ["picture: runs/profiles/mbv3_cut-practice.svg"]
    assert (trained.root / "runs/profiles/mbv3_cut-practice.svg").read_text().startswith("<svg")
    assert not (trained.root / "leaderboard" / "profiles").exists()


def test_a_published_profile_is_on_the_board(trained: Project) -> None:
    done = trained.here("profile", "mbv3_cut", "--crops", "3", "--publish", "--json", "--picture", "mine.svg")
    found = json.loads(done.stdout)
    kept = trained.root / "leaderboard" / "profiles" / f"{found['digest']}.json"
    assert json.loads(kept.read_text())["macs"] == found["macs"] > 1e5
    assert (trained.root / "mine.svg").is_file()
    trained.run("evaluate", "sharp", "--budget", "1s")  # no torch: it is quick
    before = json.loads(trained.here("leaderboard", "--format", "json").stdout)[0]["rows"][0]["submission"]
    assert "macs" not in before
    kept.with_name(f"{before['digest']}.json").write_text(kept.read_text().replace(found["digest"], before["digest"]))
    (kept.parent / "torn.json").write_text("{")
    after = trained.here("leaderboard", "--format", "json")
    assert json.loads(after.stdout)[0]["rows"][0]["submission"]["macs"] == found["macs"]
    assert "harness: skipped: " in after.stderr
    assert "torn.json" in after.stderr


def test_what_cannot_be_profiled_is_one_line(project: Project) -> None:
    def error(*arguments: str, code: int) -> str:
        return project.error("profile", *arguments, code=code)

    assert "no weights for practice" in error("mbv3_cut", code=4)
    assert "no package mbv4_cut" in error("mbv4_cut", code=2)
    assert "--picture: expected a plain file in a folder" in error("null", "--picture", "none/x.svg", code=2)
    assert "invalid value for '--crops'" in error("null", "--crops", "0", code=2)
    assert not (Path(project.root) / "runs").exists()


def test_a_package_without_a_network_is_timed(project: Project) -> None:
    said = project.here("profile", "colour_histogram", "--crops", "5").stdout
    assert re.search(r"parameters +[\d,]+\n +MACs +not counted\n", said)
    assert "no model.py" in said
    assert re.search(r"A crop takes [\d.]+ ms", said)
