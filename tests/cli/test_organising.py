"""An organiser's commands: official runs by halves, audits, entries withdrawn or superseded, boards frozen."""

import json

import pytest

from tests.cli.conftest import Project
from tests.conftest import PREDICT, spinning

LAZY = """
from time import perf_counter_ns
kept = {}

def load(device):
    def predict(crops):
        key = crops[0].tobytes()
        if key not in kept:
            end = perf_counter_ns() + 2_000_000
            while perf_counter_ns() < end:
                pass
            kept[key] = int(crops[0][0, 0, 0]) % 6
        return [kept[key]]
    return predict
"""


@pytest.fixture
def held(project: Project) -> Project:
    """A project whose official runs are short."""
    rules = project.root / "baselines" / "rules.toml"
    text = rules.read_text().replace('baseline = "colour_histogram"', 'baseline = "steady"')
    rules.write_text(text.replace("official_half_width = 0.01", "official_half_width = 50.0"))
    project.package("steady", spinning(1000))
    return project


def rows(project: Project, *more: str) -> dict[str, dict[str, object]]:
    boards = json.loads(project.here("leaderboard", "--format", "json", *more).stdout)
    return {row["submission"]["name"]: row for board in boards for row in board["rows"]}


def test_entries_are_withdrawn_and_superseded_and_taken_back(held: Project) -> None:
    for name in ("sharp", "blunt"):
        held.here("evaluate", name, "--budget", "1s")
    said = held.here("withdraw", "sharp", "--reason", "trained on | the <test> set").stderr
    assert "withdraw: sharp (" in said
    assert rows(held)["sharp"]["rank"] is None
    assert "withdrawn: trained on | the <test> set" in held.here("leaderboard").stdout
    assert "trained on \\| the &lt;test&gt; set" in held.here("leaderboard", "--format", "md").stdout
    assert rows(held)["blunt"]["rank"] == 1
    held.here("withdraw", "sharp", "--lift")
    assert rows(held)["sharp"]["rank"] == 1
    digest = str(rows(held)["sharp"]["submission"]["digest"])  # type: ignore[index]
    held.here("supersede", digest[:8], "blunt")
    assert "superseded by blunt" in held.here("leaderboard").stdout
    assert "expected two entries, got blunt twice" in held.error("supersede", "blunt", "blunt", code=2)
    assert "no entry nobody: there are blunt, sharp" in held.error("withdraw", "nobody", code=3)
    (held.root / "leaderboard" / "decisions.json").write_text("[{]")
    assert "decisions.json: expected a list of decisions" in held.error("leaderboard", code=3)


def test_a_frozen_board_takes_no_more_runs(held: Project) -> None:
    held.here("evaluate", "sharp", "--budget", "1s")
    assert "no records of other: there are records of practice" in held.error("freeze", "--data", "other", code=3)
    held.here("freeze", "--data", "practice")
    held.here("evaluate", "blunt", "--budget", "1s")
    assert rows(held)["sharp"]["rank"] == 1
    assert rows(held)["blunt"]["rank"] is None
    assert "run after the board was frozen at 20" in " ".join(held.here("leaderboard").stdout.split())
    assert "run after the board was frozen" in held.error("evaluate", "blunt", "--budget", "1s", "--publish", code=3)
    held.here("freeze", "--data", "practice", "--lift")
    assert rows(held)["blunt"]["rank"] is not None


def test_an_official_run_shows_the_public_half_and_the_organiser_the_other(held: Project) -> None:
    said = held.run("evaluate", "sharp", "--official").stdout
    assert "the public one of the test crops" in " ".join(said.split())
    (record,) = held.local()
    assert (record["official"], record["half"]) == (True, "public")
    assert "practice: stream, isolation bwrap, public half" in held.here("leaderboard").stdout
    private = held.here("leaderboard", "--private").stdout
    assert "practice: stream, isolation bwrap, private half" in private
    f1s = [rows(held, *more)["sharp"]["f1"]["value"] for more in ((), ("--private",))]  # type: ignore[index]
    assert f1s[0] != f1s[1]
    assert "expected it without --write" in held.error("leaderboard", "--private", "--write", code=2)
    path = next((held.root / "leaderboard" / "local").glob("*.raw.json.gz"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    assert "harness: skipped: " in held.here("leaderboard", "--private").stderr
    assert "public half" in held.here("leaderboard").stdout


def test_an_audit_says_what_it_tried_and_what_it_found(held: Project) -> None:
    held.package("lazy", LAZY)
    done = held.here("audit", "lazy", "--budget", "1s", code=6)
    assert "remembers_crops: a crop shown again is answered much faster" in " ".join(done.stdout.split())
    honest = held.here("audit", "sharp", "--budget", "1s", code=0).stdout
    assert "sharp on practice: audited" in honest
    assert "not applicable: no safetensors or ONNX weights" in " ".join(honest.split())
    assert all(len(line) <= 80 for line in honest.splitlines()[:-1])


def test_an_official_failure_says_a_reason_on_the_terminal_in_the_record_and_in_no_files_name(held: Project) -> None:
    held.package(
        "telltale",
        "import sys\ncount = 0\ndef load(device):\n    def predict(crops):\n        global count\n        count += 1\n"
        "        if count > 40:\n            print('secret', file=sys.stderr)\n            raise ValueError('secret')\n"
        "        return [0]\n    return predict\n",
    )
    done = held.here("evaluate", "telltale", "--official", code=4)
    assert "secret" not in done.stdout + done.stderr
    assert "telltale: predict raised ValueError (an official run: its output is the organiser's)" in done.stderr
    (record,) = held.local()
    assert "secret" not in json.dumps(record)
    assert record["failure"]["log"] is None  # type: ignore[index]
    (log,) = (held.root / "leaderboard" / "local").glob("*.log")
    assert "secret" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_published_official_record_leaves_its_raw_file_with_the_organiser(held: Project) -> None:
    held.here("evaluate", "sharp", "--official", "--publish")
    published = held.root / "leaderboard" / "records"
    assert [path.suffix for path in published.iterdir()] == [".json"]
    assert len(list((held.root / "leaderboard" / "private").iterdir())) == 1
    assert "private half" in held.here("leaderboard", "--private").stdout
    held.here("leaderboard", "--write")
    (path,) = published.iterdir()
    result = json.loads(path.read_text())["result"]
    assert result["confusion"] == result["drawn_f1"] == result["classes"] == []
    assert result["f1"]["value"] == round(result["f1"]["value"], 3)
    assert "0 not" in held.here("rescore").stdout


def test_names_of_weights_do_nothing_to_a_terminal(project: Project) -> None:
    project.package("odd", PREDICT)
    weights = project.root / "submissions" / "odd" / "weights"
    weights.mkdir()
    for name in ("a\x1b]0;owned\x07", "b\u202e", "c"):
        (weights / f"{name}.json").write_text('{"classes": ["a", "b", "c", "d", "e", "f"]}')
        (weights / f"{name}.safetensors").write_bytes(b"")
    said = project.run("check", "odd").stdout
    assert "weights for c" in said
    assert "\x1b" not in said
    assert "\u202e" not in said
